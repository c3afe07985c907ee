"""What an animation will cost, told from its settings, its plan and the model's configuration alone."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from laser_cli.plan.schema import Plan
from laser_cli.settings.schema import Settings

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


def read_header(file: Path) -> dict[str, Any]:
    """The header of a safetensors file, tensor name to dtype, shape and place; ValueError if it is damaged."""
    with file.open("rb") as data:
        start = data.read(8)
        if len(start) < 8:
            raise ValueError("it is cut short")
        length = struct.unpack("<Q", start)[0]
        size = file.stat().st_size
        if length > size - 8:
            raise ValueError("its header is cut short")
        header = json.loads(data.read(length))
    tensors = {key: value for key, value in header.items() if key != "__metadata__"}
    end = max((value["data_offsets"][1] for value in tensors.values()), default=0)
    if end != size - 8 - length:
        raise ValueError(f"it holds {size - 8 - length:,} bytes of weights, its header says {end:,}")
    return tensors


def weights_of(folder: Path) -> Iterator[Path]:
    """The weight files that are loaded of a part: of several precisions the full one."""
    files = sorted(folder.glob("*.safetensors"))
    return (file for file in files if not {"fp16", "non_ema"} & set(file.name.split(".")))


def parameters(folder: Path) -> int:
    """How many numbers a part of a model has."""
    total = 0
    for file in weights_of(folder):
        for tensor in read_header(file).values():
            count = 1
            for side in tensor["shape"]:
                count *= side
            total += count
    return total


def memory(folder: Path, shape: Shape, settings: Settings, size: tuple[int, int], keyframes: int) -> dict[str, int]:
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


def evaluations(settings: Settings, plan: Plan, *, drawn_first: bool, inverted: bool) -> dict[str, int]:
    """U-Net evaluations, stage by stage: drawing the first picture, inverting it, drafting its pace, rendering."""
    # the engine's own counts, so that no second formula can differ from them
    from laser_cli.engine import invert, render
    from laser_cli.stages import pacing

    guided = 2 if settings.guidance != 1 else 1
    way = (len(plan.segments), plan.total_frames, settings.steps, settings.guidance)
    stages = {
        "first_picture": settings.steps * guided if drawn_first else 0,
        "inversion": invert.nfe(settings.steps, settings.method) if inverted else 0,
        "pacing": pacing.nfe(*way) if settings.even_pace else 0,
        "rendering": render.nfe(plan.total_frames, settings.steps, settings.guidance, unguided=1),
    }
    return {**stages, "total": sum(stages.values())}


def cached_model(name: str) -> tuple[Path, str] | None:
    """Folder and revision of a model if it is on this machine; nothing is fetched."""
    from laser_cli.models import find

    return find.cached_model(name)
