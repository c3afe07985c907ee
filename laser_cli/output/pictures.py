"""The user's picture, of any kind, as an array in sRGB: limits first, then upright, opaque and in true colours."""

import re
import stat
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from laser_cli import limits
from laser_cli.errors import BadInputError, parsing
from laser_cli.output.colour import bits_of, to_srgb

if TYPE_CHECKING:
    from PIL.Image import Image

Fit = Literal["crop", "pad"]
SMALLEST = 8  # px a side
TOLD_CROP = 0.05  # share of a side that may be cropped without a word
HEAD = 65_536  # bytes that hold what a file says of its colours
KINDS = "a PNG, JPEG, WebP, AVIF, HEIC, TIFF, BMP or GIF file"
# no formats that run programs (EPS) or lead elsewhere
FORMATS = (
    *("PNG", "JPEG", "MPO", "WEBP", "AVIF", "HEIF", "TIFF", "GIF", "BMP", "DIB"),
    *("PPM", "JPEG2000", "ICO", "TGA", "PCX", "PSD", "QOI"),
)
_HINTS: tuple[tuple[bytes, int, str], ...] = (
    (b"ftyphei", 4, "a HEIC picture: pip install 'laser-cli[heic]', or convert it"),
    (b"ftyphev", 4, "a HEIC picture: pip install 'laser-cli[heic]', or convert it"),
    (b"ftypmif1", 4, "a HEIC picture: pip install 'laser-cli[heic]', or convert it"),
    (b"ftypmsf1", 4, "a HEIC picture: pip install 'laser-cli[heic]', or convert it"),
    (b"ftypavi", 4, "an AVIF picture: pip install -U pillow reads it, or convert it"),
    (b"\xff\x0a", 0, "a JPEG XL picture: convert it to PNG"),
    (b"\0\0\0\x0cJXL ", 0, "a JPEG XL picture: convert it to PNG"),
    (b"%PDF", 0, "a PDF: export a page as PNG"),
    (b"%!PS", 0, "a PostScript file: export it as PNG"),
    (b"ftyp", 4, "a video: save a frame of it as PNG"),
    (b"\x1aE\xdf\xa3", 0, "a video: save a frame of it as PNG"),
)
_opening = threading.Lock()


def ignore(note: str) -> None:
    """For readers that nobody listens to."""


def read_picture(
    path: Path,
    size: tuple[int, int] | int | None = None,
    multiple: int = 1,
    note: Callable[[str], object] = ignore,
) -> np.ndarray:
    """A picture file as (h, w, 3) uint8 sRGB: upright, on white where transparent, first frame if animated; then `fit`.

    `note` is told of what is lost: bits, highlights, a profile. BadInputError if the file is missing, not a picture,
    damaged, or has sides or pixels beyond the limits, before anything is decoded.
    """
    from PIL import ImageOps

    with opened(path) as picture:
        head = first_bytes(path)
        _check_size(picture, path)
        if (bits := bits_of(picture, head)) > 8:
            note(f"{path.name} has {bits} bits a channel, of which 8 are read")
        picture.load()
        upright = ImageOps.exif_transpose(picture)
        upright.format = picture.format
        image, told = to_srgb(_plain(upright), head)
        if told:
            note(f"{path.name}: {told}")
        array = np.array(_opaque(image))
    return fit(array, size, multiple)


def fit(
    image: np.ndarray, size: tuple[int, int] | int | None = None, multiple: int = 1, mode: Fit = "crop"
) -> np.ndarray:
    """Resize (h, w, 3), never distort: both sides become multiples of `multiple`, the rest is cropped or padded.

    `size` (w, h): that size; a number: the longer side, keeping the aspect; None: as near to its own size as possible.
    `crop` keeps the middle; `pad` keeps all and repeats the outermost pixels around it.
    """
    height, width = image.shape[:2]
    target = _target(width, height, size, multiple)
    if target == (width, height):
        return image
    from PIL import Image

    if mode == "pad":
        scale = min(target[0] / width, target[1] / height)
        inner = (min(max(1, round(width * scale)), target[0]), min(max(1, round(height * scale)), target[1]))
        small = np.array(Image.fromarray(image).resize(inner, Image.Resampling.LANCZOS))
        across, down = target[0] - inner[0], target[1] - inner[1]
        sides = ((down // 2, down - down // 2), (across // 2, across - across // 2), (0, 0))
        return np.pad(small, sides, mode="edge")
    # the largest centred part with the target's aspect
    scale = min(width / target[0], height / target[1])
    across, down = target[0] * scale, target[1] * scale
    left, top = max(0.0, (width - across) / 2), max(0.0, (height - down) / 2)
    box = (left, top, min(left + across, width), min(top + down, height))
    return np.array(Image.fromarray(image).resize(target, Image.Resampling.LANCZOS, box=box))


def told_crop(width: int, height: int, size: tuple[int, int] | int | None, multiple: int) -> str:
    """What `fit` crops of a picture, in words, or "" where it is next to nothing."""
    target = _target(width, height, size, multiple)
    scale = min(width / target[0], height / target[1])
    lost = {"width": 1 - target[0] * scale / width, "height": 1 - target[1] * scale / height}
    side, share = max(lost.items(), key=lambda item: item[1])
    if share <= TOLD_CROP:
        return ""
    return f"the picture is {width} x {height}: {share:.0%} of its {side} is cropped (--fit pad keeps it whole)"


@contextmanager
def opened(path: Path) -> Iterator["Image"]:
    """A picture opened by Pillow; whatever is raised, here or while decoding, becomes a BadInputError."""
    from PIL import Image, UnidentifiedImageError

    refuse_address(path)
    _register_heif()
    with parsing(f"cannot read {path}", hint="the file may be damaged or cut short"), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of damaged EXIF, which is not read then
        try:
            found = path.stat()
        except FileNotFoundError as error:
            raise BadInputError(f"there is no picture {path}") from error
        if stat.S_ISDIR(found.st_mode):
            raise BadInputError(f"{path} is a folder, not a picture")
        try:
            # its own limit speaks of pixels that some formats never decode; ours comes right after
            with _opening:
                limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
                try:
                    picture = Image.open(path, formats=[name for name in FORMATS if name in _known_formats()])
                finally:
                    Image.MAX_IMAGE_PIXELS = limit
        except UnidentifiedImageError as error:
            hint = _hint(first_bytes(path))
            raise BadInputError(f"{path} is not a picture that laser can read", hint=hint) from error
        with picture:
            yield picture


def refuse_address(path: Path) -> None:
    """Raise BadInputError for a URL, of which a Path keeps only one of the slashes."""
    if re.match(r"[a-z][a-z0-9+.-]+:/", str(path), re.IGNORECASE) and not path.exists():
        raise BadInputError(f"{path} is an address, not a file", why="laser reads no network", hint="download it first")


def first_bytes(path: Path) -> bytes:
    """The first bytes of a file, where formats keep what describes their pixels."""
    with path.open("rb") as file:
        return file.read(HEAD)


def _check_size(picture: "Image", path: Path) -> None:
    """Refuse what is too small or large, by the header alone; let JPEG decode large pictures at a fraction."""
    width, height = picture.size
    if min(width, height) < SMALLEST or max(width, height) > limits.PICTURE_SIDE:
        why = f"it is {width} x {height} px; each side must be {SMALLEST} to {limits.PICTURE_SIDE:,}"
        raise BadInputError(f"cannot use {path}", why=why)
    if width * height > limits.PICTURE_PIXELS and picture.format in ("JPEG", "MPO"):
        # progressive files keep every coefficient in memory, at whatever size they are decoded
        if not picture.info.get("progressive"):
            picture.draft(None, (width // 2, height // 2))
        width, height = picture.size
    if width * height > limits.PICTURE_PIXELS:
        why = f"it has {width * height / 1e6:.0f} million; {limits.PICTURE_PIXELS / 1e6:.0f} are the most"
        raise BadInputError(f"{path} has too many pixels", why=why, hint="make it smaller first")


def _target(width: int, height: int, size: tuple[int, int] | int | None, multiple: int) -> tuple[int, int]:
    """Width and height of a fitted picture."""
    if size is None:
        wanted = (float(width), float(height))
    elif isinstance(size, int):
        wanted = (size * width / max(width, height), size * height / max(width, height))
    else:
        wanted = (float(size[0]), float(size[1]))
    return _round_to(wanted[0], multiple), _round_to(wanted[1], multiple)


def _round_to(side: float, multiple: int) -> int:
    return max(multiple, int(side / multiple + 0.5) * multiple)


def _plain(picture: "Image") -> "Image":
    """Any of Pillow's modes as L, RGB, RGBA or CMYK, its colours untouched."""
    from PIL import Image

    info, format = picture.info, picture.format
    if picture.mode in ("I", "F") or picture.mode.startswith("I;16"):
        # Pillow's own conversion clips at 255
        values = np.asarray(picture, dtype=np.float32)
        most = float(values.max())
        tops = (65535.0,) if picture.mode.startswith("I;16") else (1.0, 255.0) if picture.mode == "F" else (255.0,)
        top = next((top for top in tops if most <= top), 65535.0)
        scaled = np.nan_to_num(values * np.float32(255.0 / top) + np.float32(0.5))
        picture = Image.fromarray(np.clip(scaled, 0, 255).astype(np.uint8))
    elif picture.has_transparency_data:
        picture = picture.convert("RGBA")
    elif picture.mode == "1":
        picture = picture.convert("L")
    elif picture.mode not in ("L", "RGB", "CMYK"):
        picture = picture.convert("RGB")
    picture.info, picture.format = info, format
    return picture


def _opaque(picture: "Image") -> "Image":
    """As RGB, over white where transparent."""
    from PIL import Image

    if picture.mode == "RGBA":
        white = Image.new("RGBA", picture.size, "white")
        white.alpha_composite(picture)
        picture = white
    return picture.convert("RGB")


def _hint(head: bytes) -> str:
    return next((told for mark, at, told in _HINTS if head[at : at + len(mark)] == mark), KINDS)


def _known_formats() -> frozenset[str]:
    from PIL import Image

    Image.init()
    return frozenset(Image.OPEN)


def _register_heif() -> None:
    """HEIC is read where pillow-heif is installed, an extra."""
    from PIL import Image

    if "HEIF" not in Image.OPEN:
        try:
            from pillow_heif import register_heif_opener
        except ImportError:
            return
        register_heif_opener()
