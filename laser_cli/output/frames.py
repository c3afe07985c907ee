"""Single pictures: frames as PNG with the record inside, and the user's picture, whatever its kind, as an array."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from laser_cli.errors import BadInputError
from laser_cli.output.record import PNG_KEY, read_record, to_json
from laser_cli.terminal import printable

if TYPE_CHECKING:
    from PIL.Image import Image

SMALLEST, LARGEST = 8, 20_000  # px a side


def frame_name(index: int) -> str:
    """`frame_0000.png` and so on; it sorts up to 9,999 frames."""
    return f"frame_{index:04}.png"


def write_png(path: Path, array: np.ndarray, record: Mapping[str, Any] | None = None) -> None:
    """Write (h, w, 3) uint8 with the record as iTXt `laser`, and `parameters` for programs that read A1111's."""
    from PIL import Image
    from PIL.PngImagePlugin import PngInfo

    notes = PngInfo()
    if record is not None:
        notes.add_itxt(PNG_KEY, to_json(record))
        if record.get("prompt"):
            notes.add_itxt("parameters", printable(_a1111(record), keep="\n"))
    Image.fromarray(array).save(path, format="PNG", pnginfo=notes)


def read_picture(path: Path, size: tuple[int, int] | int | None = None, multiple: int = 1) -> np.ndarray:
    """A picture file as (h, w, 3) uint8: upright, on white where transparent, first frame if animated; then `fit`.

    BadInputError if it is missing, not a picture, damaged, or a side is under 8 or over 20,000 px.
    """
    from PIL import ImageOps

    with _opened(path) as picture:
        if min(picture.size) < SMALLEST or max(picture.size) > LARGEST:
            why = f"it is {picture.width} x {picture.height} px; each side must be {SMALLEST} to {LARGEST:,}"
            raise BadInputError(f"cannot use {path}", why=why)
        picture.load()
        image = np.array(_as_rgb(ImageOps.exif_transpose(picture)))
    return fit(image, size, multiple)


def fit(image: np.ndarray, size: tuple[int, int] | int | None = None, multiple: int = 1) -> np.ndarray:
    """Centre-crop and resize, never distort: both sides become multiples of `multiple`.

    `size` (w, h): that size; a number: the longer side, keeping the aspect; None: as near to its own size as possible.
    """
    height, width = image.shape[:2]
    if size is None:
        wanted = (float(width), float(height))
    elif isinstance(size, int):
        wanted = (size * width / max(width, height), size * height / max(width, height))
    else:
        wanted = (float(size[0]), float(size[1]))
    target = (_round_to(wanted[0], multiple), _round_to(wanted[1], multiple))
    if target == (width, height):
        return image
    from PIL import Image

    # the largest centred part with the target's aspect
    scale = min(width / target[0], height / target[1])
    across, down = target[0] * scale, target[1] * scale
    left, top = max(0.0, (width - across) / 2), max(0.0, (height - down) / 2)
    box = (left, top, min(left + across, width), min(top + down, height))
    return np.array(Image.fromarray(image).resize(target, Image.Resampling.LANCZOS, box=box))


def picture_prompt(path: Path) -> str | None:
    """The prompt that a picture carries: that of laser's own record, else the first line of A1111's `parameters`."""
    with _opened(path) as picture:
        ours = PNG_KEY in picture.info
        theirs = str(picture.info.get("parameters") or "").strip().splitlines()[:1]
    if ours:
        prompt = read_record(path).get("prompt")
        return str(prompt) if prompt else None
    line = "".join(theirs).strip()
    return None if not line or line.startswith(("Negative prompt:", "Steps:")) else line


@contextmanager
def _opened(path: Path) -> Iterator["Image"]:
    """A picture opened by Pillow; whatever it raises, here or while decoding, becomes a BadInputError."""
    import warnings

    from PIL import Image, UnidentifiedImageError

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(path) as picture:
                yield picture
    except FileNotFoundError as error:
        raise BadInputError(f"there is no picture {path}") from error
    except UnidentifiedImageError as error:
        hint = "a PNG, JPEG, WebP, TIFF, BMP or GIF file"
        raise BadInputError(f"{path} is not a picture that laser can read", hint=hint) from error
    except Image.DecompressionBombError as error:
        raise BadInputError(f"{path} has too many pixels", why=str(error), hint="make it smaller first") from error
    except IsADirectoryError as error:
        raise BadInputError(f"{path} is a folder, not a picture") from error
    except (OSError, SyntaxError, ValueError, EOFError, IndexError) as error:
        # the kinds that Pillow's decoders raise for damaged files
        why = getattr(error, "strerror", None) or str(error)
        raise BadInputError(f"cannot read {path}", why=why, hint="the file may be damaged or cut short") from error


def _as_rgb(picture: "Image") -> "Image":
    """Any of Pillow's modes as RGB, over white where transparent."""
    from PIL import Image

    if picture.mode in ("I", "F") or picture.mode.startswith("I;16"):
        # Pillow's own conversion clips at 255
        values = np.asarray(picture, dtype=np.float64)
        tops = (65535.0,) if picture.mode.startswith("I;16") else (1.0, 255.0) if picture.mode == "F" else (255.0,)
        top = next((top for top in tops if values.max() <= top), 65535.0)
        picture = Image.fromarray(np.clip(values * (255.0 / top) + 0.5, 0, 255).astype(np.uint8))
    if picture.has_transparency_data:
        white = Image.new("RGBA", picture.size, "white")
        white.alpha_composite(picture.convert("RGBA"))
        picture = white
    return picture.convert("RGB")


def _round_to(side: float, multiple: int) -> int:
    return max(multiple, int(side / multiple + 0.5) * multiple)


def _a1111(record: Mapping[str, Any]) -> str:
    settings = record.get("settings") or {}
    model = (record.get("model") or {}).get("id")
    named = {"Steps": settings.get("steps"), "Seed": record.get("seed"), "Model": model}
    line = [f"{key}: {value}" for key, value in named.items() if value is not None]
    return "\n".join([" ".join(str(record["prompt"]).split()), ", ".join([*line, "Version: laser"])])
