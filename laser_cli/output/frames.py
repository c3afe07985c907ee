"""Frames as PNG files, tagged as sRGB, with the record inside."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from laser_cli.output.pictures import fit as fit
from laser_cli.output.pictures import read_picture as read_picture
from laser_cli.output.prompts import picture_prompt as picture_prompt
from laser_cli.output.record import PNG_KEY, to_json
from laser_cli.terminal import printable


def frame_name(index: int) -> str:
    """`frame_0000.png` and so on; it sorts up to 9,999 frames."""
    return f"frame_{index:04}.png"


def write_png(path: Path, array: np.ndarray, record: Mapping[str, Any] | None = None) -> None:
    """Write (h, w, 3) uint8 sRGB with the record as iTXt `laser`, and `parameters` for programs that read A1111's."""
    from PIL import Image
    from PIL.PngImagePlugin import PngInfo

    notes = PngInfo()
    notes.add(b"sRGB", b"\0")
    if record is not None:
        notes.add_itxt(PNG_KEY, to_json(record))
        if record.get("prompt"):
            notes.add_itxt("parameters", printable(_a1111(record), keep="\n"))
    Image.fromarray(array).save(path, format="PNG", pnginfo=notes)


def _a1111(record: Mapping[str, Any]) -> str:
    settings = record.get("settings") or {}
    model = (record.get("model") or {}).get("id")
    named = {"Steps": settings.get("steps"), "Seed": record.get("seed"), "Model": model}
    line = [f"{key}: {value}" for key, value in named.items() if value is not None]
    return "\n".join([" ".join(str(record["prompt"]).split()), ", ".join([*line, "Version: laser"])])
