"""Raw frames for another program: `laser animate ... -o - --format y4m | ...`."""

from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from typing import BinaryIO, Literal

import numpy as np

from laser_cli.errors import LaserError
from laser_cli.output.look import Look, Player
from laser_cli.output.video import playing

StreamFormat = Literal["y4m", "rgb24"]

# BT.601 in the limited range: what readers take a y4m for, whose header cannot name its matrix
TO_YUV = np.array(
    [
        [65.481, 128.553, 24.966],
        [-37.797, -74.203, 112.0],
        [112.0, -93.786, -18.214],
    ],
    dtype=np.float32,
) / np.float32(255)
OFFSET = np.array([16, 128, 128], dtype=np.float32)


class StreamWriter:
    """Writes frames, (h, w, 3) uint8 of `size` (w, h), to a binary stream as they come; BrokenPipeError propagates."""

    def __init__(self, stream: BinaryIO, format: StreamFormat, size: tuple[int, int], fps: float) -> None:
        self.size = size
        self.count = 0
        self._stream = stream
        self._format = format
        self._rate = Fraction(fps).limit_denominator(1001)

    def add(self, frame: np.ndarray) -> None:
        """Write one frame: its RGB bytes, or as y4m three whole planes (4:4:4) of limited range BT.601."""
        width, height = self.size
        if frame.shape != (height, width, 3) or frame.dtype != np.uint8:
            raise ValueError(f"a frame is {frame.shape} {frame.dtype}, not {(height, width, 3)} uint8")
        if self._format == "rgb24":
            self._write(frame.tobytes())
        else:
            if self.count == 0:
                rate = f"F{self._rate.numerator}:{self._rate.denominator}"
                self._write(f"YUV4MPEG2 W{width} H{height} {rate} Ip A1:1 C444 XCOLORRANGE=LIMITED\n".encode())
            planes = (frame @ TO_YUV.T + (OFFSET + 0.5)).astype(np.uint8).transpose(2, 0, 1)
            self._write(b"FRAME\n" + planes.tobytes())
        self._stream.flush()
        self.count += 1

    def _write(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            # an unbuffered stream may take only a part
            rest = rest[self._stream.write(rest) or 0 :]


@contextmanager
def open_stream(stream: BinaryIO, format: StreamFormat, size: tuple[int, int], look: Look) -> Iterator[Player]:
    """A writer of distinct frames of `size` (w, h) to a binary stream, as `look` shows them; the stream stays open.

    A number of loops repeats the content; forever and none are one pass. What is shown again is kept in a temporary
    file.
    """
    writer = StreamWriter(stream, format, size, look.fps)
    with playing(writer, look, look.passes) as player:
        yield player
    if writer.count == 0:
        raise LaserError("a video needs at least one frame")
