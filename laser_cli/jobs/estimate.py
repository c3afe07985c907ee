"""The memory that a job needs, told from its settings and the model's configuration alone."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

from laser_cli.errors import NotFoundError
from laser_cli.jobs.settings import FrameSettings
from laser_cli.models.identify import identify, read_header
from laser_cli.models.layout import PREFIXES, config_folder, read_json, weight_files

BYTES = {"float32": 4, "bfloat16": 2, "float16": 2}


@dataclass(frozen=True)
class Shape:
    """A model's configuration as far as it decides sizes: blocks, latent channels, the side it was trained at."""

    unet: dict[str, Any]
    vae: dict[str, Any]

    @property
    def scale(self) -> int:
        """Pixels a latent stands for, on a side."""
        return int(2 ** (len(self.vae["block_out_channels"]) - 1))

    @property
    def side(self) -> int:
        """The side of the pictures the model was trained on, in px."""
        told = self.unet["sample_size"]
        if told is None:
            return int(self.vae.get("sample_size") or 512)
        return int(min(told) if isinstance(told, list) else told) * self.scale


def read_shape(path: Path) -> Shape | None:
    """The shape of a model in a folder or file; None if its settings are not whole (loading tells what is missing)."""
    try:
        folder = config_folder(identify(path).family) if path.is_file() else path
        unet, vae = (read_json(folder / part / "config.json") for part in ("unet", "vae"))
        shape = Shape(unet, vae)
        return shape if shape.side > 0 and unet["block_out_channels"] else None
    except (NotFoundError, OSError, ValueError, TypeError, KeyError):
        return None


def parameters(path: Path, part: str) -> int:
    """How many numbers a part of a model has, as far as its safetensors tell."""
    files = [path] if path.is_file() else weight_files(path / part)
    prefixes = PREFIXES[part] if path.is_file() else ("",)
    safe = (file for file in files if file.suffix == ".safetensors")
    return sum(prod(shape) for file in safe for key, shape in read_header(file).items() if key.startswith(prefixes))


def memory(path: Path, shape: Shape, settings: FrameSettings, size: tuple[int, int], keyframes: int) -> dict[str, int]:
    """Bytes that will be held at once, by kind; a lower bound, as libraries and passing results come on top.

    weights; latents (float32: all frames, keyframes, the source's trajectory); the U-Net's skip connections of one
    chunk, which are all there when its middle is reached.
    """
    number = BYTES[settings.dtype]
    text = 0 if settings.free_text_encoders else parameters(path, "text_encoder") + parameters(path, "text_encoder_2")
    weights = number * (parameters(path, "unet") + parameters(path, "vae")) + 4 * text
    across, down = size[0] // shape.scale, size[1] // shape.scale
    latent = int(shape.vae.get("latent_channels", 4)) * across * down * 4
    rows = min(settings.chunk, max(settings.frames - 1, 1)) * (2 if settings.guidance != 1 else 1)
    layers = shape.unet.get("layers_per_block", 2)
    layers = layers if isinstance(layers, int) else max(layers)
    blocks = shape.unet["block_out_channels"]
    skips = sum(
        channels * -(-across // 2**i) * -(-down // 2**i) * (layers + (i < len(blocks) - 1))
        for i, channels in enumerate(blocks)
    )
    parts = {
        "weights": weights,
        "latents": latent * (settings.frames + keyframes + settings.steps + 1),
        "skip_connections": rows * skips * number,
    }
    return {**parts, "at_least": sum(parts.values())}
