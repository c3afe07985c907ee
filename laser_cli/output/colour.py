"""Colours of input pictures as sRGB, by whatever describes them: cICP or nclx, an ICC profile, gAMA and cHRM, EXIF."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from io import BytesIO
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from PIL.Image import Image

Primaries = tuple[float, float, float, float, float, float, float, float]
"""CIE xy of white, red, green and blue."""

D65 = (0.3127, 0.3290)
BT709: Primaries = (*D65, 0.640, 0.330, 0.300, 0.600, 0.150, 0.060)
# by their numbers in ITU-T H.273, which cICP and nclx use
PRIMARIES: dict[int, Primaries] = {
    1: BT709,
    4: (0.310, 0.316, 0.67, 0.33, 0.21, 0.71, 0.14, 0.08),
    5: (*D65, 0.64, 0.33, 0.29, 0.60, 0.15, 0.06),
    6: (*D65, 0.630, 0.340, 0.310, 0.595, 0.155, 0.070),
    7: (*D65, 0.630, 0.340, 0.310, 0.595, 0.155, 0.070),
    9: (*D65, 0.708, 0.292, 0.170, 0.797, 0.131, 0.046),
    11: (0.314, 0.351, 0.680, 0.320, 0.265, 0.690, 0.150, 0.060),
    12: (*D65, 0.680, 0.320, 0.265, 0.690, 0.150, 0.060),
}
ADOBE_RGB: Primaries = (*D65, 0.64, 0.33, 0.21, 0.71, 0.15, 0.06)
ADOBE_GAMMA = 563 / 256
SRGB_TRANSFER = frozenset((1, 6, 13, 14, 15))
"""Transfers that are shown as sRGB is: its own, and those of video, whose encoded values viewers take as they are."""
WHITE_NITS = 203.0
"""Luminance of diffuse white in HDR pictures (ITU-R BT.2408); what is brighter is clipped."""
HDR = {16: "PQ", 18: "HLG"}
SAME = 1
"""Levels of 255 by which a profile may differ from sRGB and still count as sRGB."""
ROWS = 256
"""Rows converted at a time, which bounds the memory."""

Decode = Callable[[np.ndarray], np.ndarray]
"""Encoded values 0..1 to linear light, 1 for white."""


@dataclass(frozen=True)
class Codes:
    """Primaries and transfer of a picture by their numbers in ITU-T H.273."""

    primaries: int
    transfer: int


def to_srgb(picture: Image, head: bytes) -> tuple[Image, str]:
    """An upright, loaded picture of mode L, RGB, RGBA or CMYK in sRGB, and what should be said about it, or "".

    `head` holds the first bytes of its file. The mode becomes RGB or RGBA; a profile that cannot be used is told and
    passed over.
    """
    profile = picture.info.get("icc_profile")
    codes = _png_codes(head) or (None if profile else _nclx_codes(head))
    if codes is not None:
        return _by_codes(picture, codes)
    if profile:
        return _by_profile(picture, profile)
    if picture.format == "PNG" or "gamma" in picture.info or "chromaticity" in picture.info:
        return _by_chunks(picture)
    if _is_adobe_rgb(picture):
        return _converted(picture, ADOBE_RGB, lambda value: value**ADOBE_GAMMA), ""
    return picture, ""


def bits_of(picture: Image, head: bytes) -> int:
    """Bits a channel in the file, where the format tells; else 8."""
    if head.startswith(b"\x89PNG") and len(head) > 24:
        return head[24]
    if picture.format == "TIFF":
        bits = getattr(picture, "tag_v2", {}).get(258, 8)
        return int(max(bits)) if isinstance(bits, tuple) and bits else int(bits) if isinstance(bits, int) else 8
    box = head.find(b"pixi")  # version and flags, the number of channels, the bits of each
    if head[4:8] == b"ftyp" and box >= 0 and len(head) > box + 9:
        return head[box + 9]
    return 8


@cache
def srgb_profile() -> bytes:
    """An ICC profile of sRGB to put into outputs, the same bytes each time."""
    from PIL import ImageCms

    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    # the time of making, and the profile's ID, a digest that covers it
    profile[24:36] = struct.pack(">6H", 2000, 1, 1, 0, 0, 0)
    profile[84:100] = bytes(16)
    return bytes(profile)


def _by_profile(picture: Image, data: bytes) -> tuple[Image, str]:
    from PIL import ImageCms

    try:
        profile = ImageCms.ImageCmsProfile(BytesIO(data))
        space = profile.profile.xcolor_space.strip()
        wanted = {"RGB": "RGB", "GRAY": "L", "CMYK": "CMYK"}.get(space)
        mode = "RGB" if picture.mode == "RGBA" else picture.mode
        if wanted == "L" and mode == "RGB" and _is_grey(picture):
            mode = "L"  # grey with alpha came as RGBA
        if wanted != mode:
            return picture, f"its colour profile ({space}) does not fit the picture and is not used"
        transform = ImageCms.buildTransform(
            profile,
            ImageCms.createProfile("sRGB"),
            mode,
            "RGB",
            renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
            flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
        )
        if mode == "RGB" and _changes_nothing(transform):
            return picture, ""
        return _with_alpha(picture, lambda part: _transformed(transform, part.convert(mode))), ""
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError, AttributeError, UnicodeDecodeError) as error:
        told = next(iter(str(error).splitlines()), "")
        return picture, f"its colour profile cannot be used ({told or type(error).__name__}); read as sRGB"


def _is_grey(picture: Image) -> bool:
    red, green, blue = np.moveaxis(np.asarray(picture.convert("RGB")), -1, 0)
    return bool(np.array_equal(red, green) and np.array_equal(green, blue))


def _transformed(transform: object, part: Image) -> Image:
    from PIL import ImageCms

    made = ImageCms.applyTransform(part, transform)  # type: ignore[arg-type]
    assert made is not None
    return made


def _changes_nothing(transform: object) -> bool:
    """Whether a transform of RGB leaves colours all over the cube as they are."""
    from PIL import Image

    steps = np.linspace(0, 255, 9).round().astype(np.uint8)
    cube = np.stack(np.meshgrid(steps, steps, steps), axis=-1).reshape(27, 27, 3)
    after = np.asarray(_transformed(transform, Image.fromarray(cube)))
    return int(np.abs(after.astype(int) - cube).max()) <= SAME


def _by_codes(picture: Image, codes: Codes) -> tuple[Image, str]:
    primaries = PRIMARIES.get(codes.primaries, BT709)
    if codes.transfer in HDR:
        decode: Decode = _pq if codes.transfer == 16 else _hlg
        note = f"a high dynamic range picture ({HDR[codes.transfer]}): what is brighter than white is cut"
        return _converted(picture, primaries, decode), note
    if codes.transfer in SRGB_TRANSFER or codes.transfer not in (4, 5, 8):
        if primaries == BT709:
            return picture, ""
        return _converted(picture, primaries, _srgb_decode), ""
    gamma = {4: 2.2, 5: 2.8, 8: 1.0}[codes.transfer]
    return _converted(picture, primaries, lambda value: value**gamma), ""


def _by_chunks(picture: Image) -> tuple[Image, str]:
    """By a PNG's gAMA and cHRM, which an sRGB chunk overrides."""
    if "srgb" in picture.info:
        return picture, ""
    gamma, chromaticity = picture.info.get("gamma"), picture.info.get("chromaticity")
    if not gamma and not chromaticity:
        return picture, ""
    primaries = BT709
    if chromaticity and len(chromaticity) == 8 and _plausible(tuple(chromaticity)):
        near = np.abs(np.subtract(chromaticity, BT709)).max() < 0.005
        primaries = BT709 if near else tuple(chromaticity)
    if not gamma or not 0.05 < gamma < 5:
        return (picture, "") if primaries == BT709 else (_converted(picture, primaries, _srgb_decode), "")
    # encoders write 1/2.2 for what is sRGB
    if primaries == BT709 and abs(gamma - 1 / 2.2) < 0.005:
        return picture, ""
    return _converted(picture, primaries, lambda value: value ** (1 / gamma)), ""


def _is_adobe_rgb(picture: Image) -> bool:
    """By EXIF: uncalibrated and of the DCF's optional space (R03), or the 2 that some cameras write."""
    from PIL.ExifTags import IFD

    try:
        exif = picture.getexif()
        space = exif.get_ifd(IFD.Exif).get(0xA001)
        option = exif.get_ifd(IFD.Interop).get(1)
    except (OSError, SyntaxError, ValueError, KeyError, TypeError, AttributeError, struct.error):
        return False  # EXIF is often damaged, and then says nothing
    return space == 2 or (space == 0xFFFF and str(option).startswith("R03"))


def _converted(picture: Image, primaries: Primaries, decode: Decode) -> Image:
    """RGB or grey of these primaries and this transfer, as sRGB."""
    from PIL import Image

    table = decode(np.linspace(0, 1, 256, dtype=np.float32)).astype(np.float32)
    matrix = (np.linalg.inv(_to_xyz(BT709)) @ _to_xyz(primaries)).astype(np.float32).T

    def change(part: Image.Image) -> Image.Image:
        encoded = np.asarray(part.convert("RGB"))
        made = np.empty_like(encoded)
        for top in range(0, len(encoded), ROWS):
            linear = table[encoded[top : top + ROWS]] @ matrix
            made[top : top + ROWS] = (_srgb_encode(linear) * 255 + 0.5).astype(np.uint8)
        return Image.fromarray(made)

    return _with_alpha(picture, change)


def _with_alpha(picture: Image, change: Callable[[Image], Image]) -> Image:
    """Change the colours of a picture and keep its alpha."""
    if picture.mode != "RGBA":
        return change(picture)
    alpha = picture.getchannel("A")
    made = change(picture.convert("RGB"))
    made.putalpha(alpha)
    return made


def _to_xyz(primaries: Primaries) -> np.ndarray:
    """The matrix from linear RGB to XYZ relative to white, adapted to D65 by Bradford's method (Lindbloom)."""
    xy = np.array(primaries, dtype=np.float64).reshape(4, 2)
    columns = np.stack([xy[:, 0] / xy[:, 1], np.ones(4), (1 - xy.sum(axis=1)) / xy[:, 1]])
    white, rgb = columns[:, 0], columns[:, 1:]
    to_xyz = rgb * np.linalg.solve(rgb, white)
    bradford = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
    d65 = np.array([D65[0] / D65[1], 1.0, (1 - sum(D65)) / D65[1]])
    scale = np.diag((bradford @ d65) / (bradford @ white))
    return np.asarray(np.linalg.inv(bradford) @ scale @ bradford @ to_xyz)


def _plausible(chromaticity: tuple[float, ...]) -> bool:
    """Whether xy values span a triangle: files of others may hold anything."""
    xy = np.array(chromaticity, dtype=np.float64).reshape(4, 2)
    if not np.isfinite(xy).all() or xy.min() < 0 or xy.max() > 1 or xy[:, 1].min() < 0.01:
        return False
    one, two = xy[2] - xy[1], xy[3] - xy[1]
    return bool(abs(one[0] * two[1] - one[1] * two[0]) > 0.01)


def _srgb_decode(value: np.ndarray) -> np.ndarray:
    return np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)


def _srgb_encode(linear: np.ndarray) -> np.ndarray:
    linear = np.clip(linear, 0, 1)
    return np.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055)


def _pq(value: np.ndarray) -> np.ndarray:
    """SMPTE ST 2084."""
    power = value.astype(np.float64) ** (1 / 78.84375)
    light = (np.maximum(power - 0.8359375, 0) / (18.8515625 - 18.6875 * power)) ** (1 / 0.1593017578125)
    return light * (10_000 / WHITE_NITS)


def _hlg(value: np.ndarray) -> np.ndarray:
    """ITU-R BT.2100, its reference white at 75 % of the signal."""
    a, b, c = 0.17883277, 0.28466892, 0.55991073

    def scene(signal: np.ndarray) -> np.ndarray:
        return np.where(signal <= 0.5, signal**2 / 3, (np.exp((signal - c) / a) + b) / 12)

    return (scene(value) / scene(np.array(0.75))) ** 1.2


def _png_codes(head: bytes) -> Codes | None:
    """The cICP chunk of a PNG, which stands before the pixels."""
    if not head.startswith(b"\x89PNG"):
        return None
    at = 8
    while at + 12 <= len(head):
        length, name = struct.unpack(">I4s", head[at : at + 8])
        if name == b"cICP" and length == 4:
            return Codes(head[at + 8], head[at + 9])
        if name in (b"IDAT", b"IEND"):
            return None
        at += 12 + length
    return None


def _nclx_codes(head: bytes) -> Codes | None:
    """The nclx colour box of an AVIF or HEIC."""
    box = head.find(b"colrnclx")
    if head[4:8] != b"ftyp" or box < 0 or len(head) < box + 12:
        return None
    return Codes(*struct.unpack(">HH", head[box + 8 : box + 12]))
