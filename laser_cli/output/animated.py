"""Animated WebP and APNG, written picture by picture: only the part that changed, and nothing held in memory."""

import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from io import BytesIO
from pathlib import Path
from typing import BinaryIO, Protocol

import numpy as np

from laser_cli.errors import LaserError
from laser_cli.output.colour import srgb_profile
from laser_cli.output.look import Look
from laser_cli.output.record import PNG_KEY, to_xmp

PNG_HEAD = b"\x89PNG\r\n\x1a\n"
WEBP_LONGEST = 2**24 - 1  # ms a frame
WEBP_METHOD = 4  # libwebp's own default; 6 takes three times as long for 3 % less

Box = tuple[int, int, int, int]


class Container(Protocol):
    """One file format: a head, pictures, an end that fills in what the head could not know."""

    def picture(self, part: np.ndarray, box: Box) -> None:
        """Append `part`, which stands at `box` (left, top, right, bottom)."""

    def end(self) -> None:
        """Complete the file."""


class AnimatedWriter:
    """Takes the frames of one animation, in order: (h, w, 3) uint8 arrays; `size` is (w, h)."""

    def __init__(self, size: tuple[int, int], container: Container, grid: int) -> None:
        self.size = size
        self.count = 0
        self._container = container
        self._grid = grid
        self._shown: np.ndarray | None = None

    def add(self, frame: np.ndarray) -> None:
        """Append one frame: the smallest rectangle that holds what differs from the one before."""
        width, height = self.size
        if frame.shape != (height, width, 3) or frame.dtype != np.uint8:
            raise ValueError(f"a frame is {frame.shape} {frame.dtype}, not {(height, width, 3)} uint8")
        box = (0, 0, width, height) if self._shown is None else changed(self._shown, frame, self._grid)
        left, top, right, bottom = box
        self._container.picture(np.ascontiguousarray(frame[top:bottom, left:right]), box)
        self._shown = frame.copy()
        self.count += 1


@contextmanager
def open_animated(path: Path, size: tuple[int, int], look: Look, record_json: str) -> Iterator[AnimatedWriter]:
    """A writer into an animated .webp or .apng, complete when the context ends; memory does not grow with the frames.

    Frames that stand still stay frames of their own, of one pixel.
    """
    with path.open("wb") as file:
        if path.suffix.lower() == ".webp":
            writer = AnimatedWriter(size, _Webp(file, size, look, record_json), 2)
        else:
            writer = AnimatedWriter(size, _Apng(file, size, look, record_json), 1)
        yield writer
        if writer.count == 0:
            raise LaserError("a video needs at least one frame")
        writer._container.end()


def changed(before: np.ndarray, after: np.ndarray, grid: int) -> Box:
    """The box of all pixels that differ, its left and top on the grid; one pixel where none does."""
    differ = (before != after).any(axis=-1)
    if not differ.any():
        return 0, 0, 1, 1
    rows, columns = np.flatnonzero(differ.any(axis=1)), np.flatnonzero(differ.any(axis=0))
    left, top = int(columns[0]), int(rows[0])
    return left - left % grid, top - top % grid, int(columns[-1]) + 1, int(rows[-1]) + 1


class _Webp:
    """RIFF with VP8X, ICCP (sRGB), ANIM, an ANMF for each frame, and the record as XMP; fields are little-endian."""

    def __init__(self, file: BinaryIO, size: tuple[int, int], look: Look, record_json: str) -> None:
        self._file = file
        self._look = look
        self._count = 0
        self._xmp = to_xmp(record_json) if record_json else b""
        flags = 0x20 | 0x02 | (0x04 if self._xmp else 0)  # colour profile, animation, XMP
        file.write(b"RIFF\0\0\0\0WEBP")
        self._chunk(b"VP8X", struct.pack("<I", flags) + _u24(size[0] - 1) + _u24(size[1] - 1))
        self._chunk(b"ICCP", srgb_profile())
        self._chunk(b"ANIM", struct.pack("<IH", 0xFFFFFFFF, look.plays))

    def picture(self, part: np.ndarray, box: Box) -> None:
        left, top, right, bottom = box
        # whole milliseconds that add up to the rate
        begin, end = (round(place * 1000 / self._look.fps) for place in (self._count, self._count + 1))
        place = _u24(left // 2) + _u24(top // 2) + _u24(right - left - 1) + _u24(bottom - top - 1)
        head = place + _u24(min(end - begin, WEBP_LONGEST)) + b"\x02"  # laid over the old, not blended with it
        self._chunk(b"ANMF", head + self._encoded(part))
        self._count += 1

    def end(self) -> None:
        if self._xmp:
            self._chunk(b"XMP ", self._xmp)
        length = self._file.tell()
        self._file.seek(4)
        self._file.write(struct.pack("<I", length - 8))

    def _encoded(self, part: np.ndarray) -> bytes:
        from PIL import Image

        made, quality = BytesIO(), self._look.quality
        # lossless: the number is an effort, and exact keeps every pixel
        options = {"lossless": True, "quality": 80, "exact": True} if quality == 100 else {"quality": quality}
        Image.fromarray(part).save(made, "WEBP", method=WEBP_METHOD, **options)
        return made.getvalue()[12:]  # the chunk VP8 or VP8L, without the RIFF around it

    def _chunk(self, name: bytes, data: bytes) -> None:
        self._file.write(name + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2))


class _Apng:
    """PNG with sRGB and acTL, then an fcTL and fdAT (IDAT for the first) for each frame; fields are big-endian."""

    def __init__(self, file: BinaryIO, size: tuple[int, int], look: Look, record_json: str) -> None:
        self._file = file
        self._plays = look.plays
        # both numbers of the delay are 16 bits
        self._delay = Fraction(1 / look.fps).limit_denominator(65_535)
        self._count = 0
        self._number = 0
        file.write(PNG_HEAD)
        self._chunk(b"IHDR", struct.pack(">IIBBBBB", *size, 8, 2, 0, 0, 0))
        self._chunk(b"sRGB", b"\0")
        self._counts_at = file.tell()
        self._counts()
        if record_json:
            self._chunk(b"iTXt", PNG_KEY.encode() + b"\0\0\0\0\0" + record_json.encode("utf-8"))

    def picture(self, part: np.ndarray, box: Box) -> None:
        left, top, right, bottom = box
        delay = (min(self._delay.numerator, 65_535), self._delay.denominator)
        self._chunk(
            b"fcTL", self._next() + struct.pack(">IIIIHHBB", right - left, bottom - top, left, top, *delay, 0, 0)
        )
        data = _png_data(part)
        if self._count:
            self._chunk(b"fdAT", self._next() + data)
        else:
            self._chunk(b"IDAT", data)
        self._count += 1

    def end(self) -> None:
        self._chunk(b"IEND", b"")
        self._file.seek(self._counts_at)
        self._counts()

    def _counts(self) -> None:
        self._chunk(b"acTL", struct.pack(">II", self._count, self._plays))

    def _next(self) -> bytes:
        self._number += 1
        return struct.pack(">I", self._number - 1)

    def _chunk(self, name: bytes, data: bytes) -> None:
        self._file.write(struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)))


def _png_data(part: np.ndarray) -> bytes:
    """The compressed pixels of a picture, as Pillow filters them."""
    from PIL import Image

    made = BytesIO()
    Image.fromarray(part).save(made, "PNG")
    data, at, found = made.getvalue(), len(PNG_HEAD), b""
    while at < len(data):
        length, name = struct.unpack(">I4s", data[at : at + 8])
        if name == b"IDAT":
            found += data[at + 8 : at + 8 + length]
        at += 12 + length
    return found


def _u24(value: int) -> bytes:
    return value.to_bytes(3, "little")
