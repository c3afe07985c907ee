"""The memory that a job needs, told from its settings and the model's configuration alone."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

from laser_cli.jobs.settings import FrameSettings

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
        return int(self.unet["sample_size"]) * self.scale


def read_shape(folder: Path) -> Shape | None:
    """The shape of a model in a folder; None if its configuration is not whole (loading it tells what is missing)."""
    try:
        unet, vae = (json.loads((folder / part / "config.json").read_text("utf-8")) for part in ("unet", "vae"))
        shape = Shape(unet, vae)
        return shape if shape.side > 0 and unet["block_out_channels"] else None
    except (OSError, ValueError, TypeError, KeyError):
        return None


def read_header(file: Path) -> dict[str, list[int]]:
    """The shapes of the tensors in a safetensors file; ValueError if it is damaged. Weights are not read."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(file, "np") as data:
            return {name: list(data.get_slice(name).get_shape()) for name in data.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise ValueError(str(error).splitlines()[0]) from error


def weights_of(folder: Path) -> Iterator[Path]:
    """The weight files that are loaded of a part: of several precisions the full one."""
    files = sorted(folder.glob("*.safetensors"))
    return (file for file in files if not {"fp16", "non_ema"} & set(file.name.split(".")))


def parameters(folder: Path) -> int:
    """How many numbers a part of a model has."""
    return sum(prod(shape) for file in weights_of(folder) for shape in read_header(file).values())


def memory(
    folder: Path, shape: Shape, settings: FrameSettings, size: tuple[int, int], keyframes: int
) -> dict[str, int]:
    """Bytes that will be held at once, by kind; a lower bound, as libraries and passing results come on top.

    weights; latents (float32: all frames, keyframes, the source's trajectory); the U-Net's skip connections of one
    chunk, which are all there when its middle is reached.
    """
    number = BYTES[settings.dtype]
    vae = 4 if not settings.device.startswith("cuda") else number
    weights = (
        number * parameters(folder / "unet")
        + vae * parameters(folder / "vae")
        + 4 * (parameters(folder / "text_encoder") + parameters(folder / "text_encoder_2"))
    )
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


def cached_model(name: str) -> tuple[Path, str] | None:
    """Folder and revision of a model if it is on this machine; nothing is fetched."""
    from laser_cli.models import find

    return find.cached_model(name)
