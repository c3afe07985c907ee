"""Inversion as a stage: a picture to its trajectory, how well that draws it again, and the file that keeps it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from laser_cli.engine.invert import METHODS, Method, Trajectory, invert
from laser_cli.engine.models import Model
from laser_cli.engine.sample import denoise
from laser_cli.errors import BadInputError

FORMAT = "laser-inversion-1"
FIELDS = ("prompt", "method", "model", "revision", "steps", "input_sha256", "schedule")
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
    report: Report = lambda rows: None,
    states: Tensor | None = None,
) -> Inversion:
    """Inverts a picture (sides multiples of ``model.scale``) under its prompt, or those ``states``, at guidance 1."""
    states = model.encode_prompts([prompt]) if states is None else states
    z = model.encode_picture(to_tensor(picture))
    latents, before = [z], model.rows
    for noisier in invert(model.eps, z, model.schedule.levels(steps), states, method):
        latents.append(noisier)
        report(model.rows - before)
        before = model.rows
    trajectory = Trajectory(torch.cat(latents), states, pinned=method != "ddim")
    return Inversion(trajectory, prompt, method, model.name, model.revision, input_sha256, _schedule_key(model))


@torch.inference_mode()
def regenerate(model: Model, inversion: Inversion, report: Report = lambda rows: None) -> Tensor:
    """Plain DDIM from the inverted noise, [1, 3, h, w] in 0..1: what the inversion is worth without pinning."""
    noise, states = inversion.trajectory.noise, inversion.trajectory.states
    z = noise
    for z in denoise(model.eps, noise, model.schedule.levels(inversion.steps), states):  # noqa: B007
        report(1)
    return model.decode(z)


def save_inversion(inversion: Inversion, path: Path) -> None:
    """Writes the inversion as safetensors; the caller stages the path."""
    from safetensors.torch import save_file

    t = inversion.trajectory
    name = Path(inversion.model).name if Path(inversion.model).is_absolute() else inversion.model
    about = {field: str(getattr(inversion, field)) for field in FIELDS} | {"format": FORMAT, "model": name}
    save_file({"latents": t.latents.cpu().contiguous(), "states": t.states.cpu().contiguous()}, path, metadata=about)


def load_inversion(path: Path, model: Model) -> Inversion:
    """Reads an inversion for this model; BadInputError if it is damaged or was made with other weights."""
    about, tensors = _read(path, model)
    for what, theirs, ours in (
        ("model", about["revision"], model.revision),
        ("noise schedule", about["schedule"], _schedule_key(model)),
    ):
        if theirs != ours:
            raise BadInputError(
                f"{path} was made with another {what}",
                why=f"it was made with {about['model']} ({theirs}); this run's is {model.name} ({ours})",
                hint=f"pass --model {about['model']}, or invert again with this model",
            )
    latents, states = tensors["latents"].float(), tensors["states"].float()
    if latents.shape[1:2] != (model.vae.config.latent_channels,) or str(len(latents) - 1) != about["steps"]:
        raise BadInputError(f"{path} does not fit the model", why=f"its latents are {tuple(latents.shape)}", hint=AGAIN)
    method: Method = about["method"]  # type: ignore[assignment]
    trajectory = Trajectory(latents, states, pinned=method != "ddim")
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
    whole = about.get("format") == FORMAT and about.keys() >= set(FIELDS) and about["method"] in METHODS
    if not whole or tensors.keys() != {"latents", "states"} or tensors["latents"].dim() != 4:
        raise BadInputError(f"{path} is not an inversion of laser", hint=AGAIN)
    return about, tensors


def _schedule_key(model: Model) -> str:
    fields = ("beta_start", "beta_end", "beta_schedule", "num_train_timesteps", "prediction_type")
    return json.dumps({k: model.schedule.config.get(k) for k in (*fields, "steps_offset", "timestep_spacing")})
