"""Inversion as a stage: a picture to its trajectory, how well that draws it again, and the file that keeps it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from laser_cli.engine.invert import METHODS, Method, Trajectory, invert
from laser_cli.engine.sample import denoise
from laser_cli.errors import BadInputError
from laser_cli.models.conditioning import Conditioning
from laser_cli.models.model import Model

FORMAT = "laser-inversion-2"
FIRST_FORMAT = "laser-inversion-1"
"""That of release 0.1: one tensor of all embeddings, an SDXL model's pooled one as its last row."""
FIELDS = ("prompt", "method", "model", "revision", "steps", "input_sha256", "schedule")
EMBEDDINGS = ("prompt_embeds", "mask", "pooled", "image_embeds")
AGAIN = "make it again with: laser invert IMAGE -o FILE.safetensors"
Report = Callable[[int], object]
"""Called with the U-Net evaluations just made."""


@dataclass(frozen=True)
class Inversion:
    """A trajectory and what it was made of and with; a file written from it can be used again under the same model."""

    trajectory: Trajectory
    prompt: str
    method: Method
    model: str
    revision: str
    input_sha256: str
    schedule: str

    @property
    def steps(self) -> int:
        return self.trajectory.steps


def to_tensor(picture: np.ndarray) -> Tensor:
    """(h, w, 3) uint8 to [1, 3, h, w] in 0..1."""
    return torch.from_numpy(picture.copy()).permute(2, 0, 1)[None].float() / 255


def to_array(picture: Tensor) -> np.ndarray:
    """[3, h, w] in 0..1 to (h, w, 3) uint8."""
    return (picture * 255).round().byte().permute(1, 2, 0).cpu().numpy()


@torch.inference_mode()
def invert_picture(
    model: Model,
    picture: np.ndarray,
    prompt: str,
    steps: int,
    method: Method = "direct",
    input_sha256: str = "",
    report: Report = lambda nfe: None,
    conditioning: Conditioning | None = None,
) -> Inversion:
    """Inverts a picture (sides multiples of ``model.scale``) under its prompt, or this conditioning, at guidance 1."""
    conditioning = conditioning or model.encode_prompts([prompt])
    z = model.encode_picture(to_tensor(picture))
    latents, before = [z], model.nfe
    for noisier in invert(model.backbone, z, model.schedule.levels(steps), conditioning, method):
        latents.append(noisier)
        report(model.nfe - before)
        before = model.nfe
    trajectory = Trajectory(torch.cat(latents), conditioning, pinned=method != "ddim")
    return Inversion(trajectory, prompt, method, model.name, model.revision, input_sha256, model.schedule.key)


@torch.inference_mode()
def regenerate(model: Model, inversion: Inversion, report: Report = lambda nfe: None) -> Tensor:
    """Plain DDIM from the inverted noise, [1, 3, h, w] in 0..1: what the inversion is worth without pinning."""
    source = inversion.trajectory
    z, levels = source.noise, model.schedule.levels(inversion.steps)
    for z in denoise(model.backbone, source.noise, levels, source.conditioning):  # noqa: B007
        report(1)
    return model.decode(z)


def save_inversion(inversion: Inversion, path: Path) -> None:
    """Writes the inversion as safetensors; the caller stages the path."""
    from safetensors.torch import save_file

    t = inversion.trajectory
    name = Path(inversion.model).name if Path(inversion.model).is_absolute() else inversion.model
    about = {field: str(getattr(inversion, field)) for field in FIELDS} | {"format": FORMAT, "model": name}
    told = {name: getattr(t.conditioning, name) for name in EMBEDDINGS}
    tensors = {"latents": t.latents, **{name: tensor for name, tensor in told.items() if tensor is not None}}
    save_file({name: tensor.cpu().contiguous() for name, tensor in tensors.items()}, path, metadata=about)


def load_inversion(path: Path, model: Model) -> Inversion:
    """Reads an inversion for this model; BadInputError if it is damaged or was made with other weights."""
    about, tensors = _read(path, model)
    same_model = f"pass --model {about['model']}, or invert again with this model"
    same_schedule = "the same --scheduler and --timestep-spacing, or invert again with these"
    for what, theirs, ours, hint in (
        ("model", about["revision"], model.revision, same_model),
        ("noise schedule", about["schedule"], model.schedule.key, same_schedule),
    ):
        if theirs != ours:
            raise BadInputError(
                f"{path} was made with another {what}",
                why=f"it was made with {about['model']} ({theirs}); this run's is {model.name} ({ours})",
                hint=hint,
            )
    latents, conditioning = tensors["latents"].float(), _conditioning(about, tensors, model)
    if latents.shape[1:2] != (model.vae.config.latent_channels,) or str(len(latents) - 1) != about["steps"]:
        raise BadInputError(f"{path} does not fit the model", why=f"its latents are {tuple(latents.shape)}", hint=AGAIN)
    method: Method = about["method"]  # type: ignore[assignment]
    trajectory = Trajectory(latents, conditioning, pinned=method != "ddim")
    return Inversion(
        trajectory, about["prompt"], method, about["model"], about["revision"], about["input_sha256"], about["schedule"]
    )


def _read(path: Path, model: Model) -> tuple[dict[str, str], dict[str, Tensor]]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "pt", device=str(model.device)) as file:
            about: dict[str, str] = file.metadata() or {}
            tensors = {k: file.get_tensor(k) for k in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        why = str(error).splitlines()[0]
        raise BadInputError(f"cannot read the inversion {path}", why=why, hint=AGAIN) from error
    wanted = {FORMAT: {"latents", "prompt_embeds"}, FIRST_FORMAT: {"latents", "states"}}.get(about.get("format", ""))
    whole = wanted is not None and about.keys() >= set(FIELDS) and about["method"] in METHODS
    if not whole or not (wanted or set()) <= tensors.keys() or tensors["latents"].dim() != 4:
        raise BadInputError(f"{path} is not an inversion of laser", hint=AGAIN)
    return about, tensors


def _conditioning(about: dict[str, str], tensors: dict[str, Tensor], model: Model) -> Conditioning:
    """The embeddings that a picture was inverted under, of this format or the first."""
    if about["format"] == FORMAT:
        told = {name: tensors[name] for name in EMBEDDINGS if name in tensors}
        floats: dict[str, Any] = {name: x if x.dtype == torch.bool else x.float() for name, x in told.items()}
        return Conditioning(**floats)
    states = tensors["states"].float()
    if model.second is None:
        return Conditioning(states)
    return Conditioning(states[:, :-1], pooled=states[:, -1, : model.second.width])
