"""A model's own portrait adapters: a folder with their settings and weights, found beside the model's."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from laser_cli.controls.knit.load import Nets
from laser_cli.controls.knit.narrow import FINER, NarrowControl, narrow_reference
from laser_cli.controls.knit.pose import HeadPose, soft_pose_maps
from laser_cli.controls.knit.reference import ReferenceAdapter
from laser_cli.controls.knit.versions import Version
from laser_cli.errors import BadInputError, NotFoundError

SETTINGS, WEIGHTS = "config.json", "model.safetensors"
"""The files of a folder of adapters."""
PROBED = 32
"""Weights by which a U-Net is known."""


class AdapterSettings(BaseModel):
    """What adapters are made for: the `blocks` of their U-Net and its `base` (see `base_probe`), how many `pixels` a
    place of its latents stands for, whose `faces`, and where those heads are (`place`: x, y, z of a `HeadPose`)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    version: Literal[1] = 1
    blocks: tuple[int, ...]
    base: tuple[float, ...]
    pixels: int
    faces: Literal["puppets", "people"] = "puppets"
    place: tuple[float, float, float] | None = None
    plain: bool = False


def read_settings(folder: Path) -> AdapterSettings:
    """The settings in a folder of adapters. Raises NotFoundError."""
    file = folder / SETTINGS
    try:
        return AdapterSettings.model_validate(json.loads(file.read_text("utf-8")))
    except (OSError, ValueError, ValidationError) as error:
        why = "no such file" if isinstance(error, FileNotFoundError) else str(error).splitlines()[0]
        hint = "a folder with config.json and model.safetensors, or hellomeme:v5b"
        raise NotFoundError(f"{folder} holds no portrait adapters", why=f"{file}: {why}", hint=hint) from error


def new_adapters(settings: AdapterSettings) -> tuple[ReferenceAdapter, NarrowControl]:
    """Untrained reference and control, which leave the U-Net's pictures as they are."""
    plain = settings.plain
    return narrow_reference(settings.blocks, plain), NarrowControl(settings.blocks, plain=plain)


def as_nets(settings: AdapterSettings, reference: ReferenceAdapter, control: NarrowControl) -> Nets:
    """The adapters as the stages use them."""
    finer = settings.pixels // FINER

    def maps(pose: HeadPose, height: int, width: int) -> Tensor:
        return soft_pose_maps(pose, height // finer, width // finer)

    version = Version("the portrait adapters", (), "euler", max_side=None)
    return Nets(version, reference, control, maps=maps, place=settings.place)


def save_adapters(folder: Path, settings: AdapterSettings, reference: nn.Module, control: nn.Module) -> None:
    """Write them, the weights in half precision."""
    folder.mkdir(parents=True, exist_ok=True)
    parts = {"reference": reference, "control": control}
    weights = {f"{name}.{key}": x for name, part in parts.items() for key, x in part.state_dict().items()}
    save_file({key: x.detach().half().cpu().contiguous() for key, x in weights.items()}, folder / WEIGHTS)
    (folder / SETTINGS).write_text(json.dumps(settings.model_dump(mode="json"), indent=2) + "\n")


def load_own(folder: Path, unet: Any, dtype: torch.dtype, device: torch.device | str) -> Nets:
    """The adapters of a folder for this U-Net. Raises NotFoundError, BadInputError for another U-Net's."""
    settings = read_settings(folder)
    if not fits(settings.base, unet):
        raise BadInputError(
            f"the portrait adapters in {folder} do not fit this model",
            why="they were trained on another U-Net",
            hint="use the model they were trained on, or train them for this one",
        )
    reference, control = new_adapters(settings)
    try:
        weights = load_file(folder / WEIGHTS)
        for name, part in (("reference", reference), ("control", control)):
            own = {key.removeprefix(f"{name}."): x for key, x in weights.items() if key.startswith(f"{name}.")}
            part.load_state_dict(own)
            part.to(device, dtype).eval().requires_grad_(False)
    except (OSError, SafetensorError, RuntimeError) as error:
        why = str(error).splitlines()[0]
        hint = "copy or train them again"
        raise NotFoundError(f"the portrait adapters in {folder} are not whole", why=why, hint=hint) from error
    return as_nets(settings, reference, control)


def base_probe(unet: Any) -> tuple[float, ...]:
    """What tells a U-Net from others: some weights of its first convolution, which LoRAs leave alone."""
    weights = unet.conv_in.weight.detach().float().cpu().flatten()
    return tuple(round(x, 6) for x in weights[:: max(1, len(weights) // PROBED)][:PROBED].tolist())


def fits(base: Sequence[float], unet: Any) -> bool:
    """Whether this is the U-Net of a `base_probe`, in whichever precision."""
    probe = base_probe(unet)
    return len(probe) == len(base) and np.allclose(probe, base, rtol=2**-7, atol=1e-5)
