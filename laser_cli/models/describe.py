"""What a model is and what laser can do with it, told from its configurations and headers; no weights are read."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from math import prod
from pathlib import Path
from typing import Any

from laser_cli.errors import NotFoundError
from laser_cli.models.find import STORYBOOK
from laser_cli.models.identify import identify
from laser_cli.models.layout import PREFIXES, config_folder, read_json, weight_files
from laser_cli.models.schedules import Schedule
from laser_cli.models.single_file import scheduler_config

TRIED = "tried with random weights in this layout only; storybook's are the only real ones it was tried with"


@dataclass(frozen=True)
class Description:
    """A model's facts; sizes in px, ``parameters`` in numbers, by part."""

    model: str
    path: str
    kind: str
    layout: str
    side: int
    latent_channels: int
    pixels_per_latent: int
    precision: tuple[str, ...]
    parameters: dict[str, int]
    scheduler: str
    prediction: str
    spacing: str
    first_level: str
    draws: str
    tried: str

    def json(self) -> dict[str, Any]:
        """As one JSON object."""
        return asdict(self)

    def lines(self) -> Iterable[str]:
        """As lines for people: what it is first."""
        millions = ", ".join(f"{part} {count / 1e6:,.1f} M" for part, count in self.parameters.items())
        told = {
            "kind": f"{self.kind}, {self.layout}",
            "path": self.path,
            "pictures": f"{self.side} px; {self.latent_channels} latent channels, {self.pixels_per_latent} px each",
            "weights": f"{', '.join(self.precision)}; {millions}",
            "schedule": f"{self.scheduler}, predicts {self.prediction}, {self.spacing} spacing, {self.first_level}",
            "laser": self.draws,
            "note": self.tried,
        }
        return (f"{key:<10}{value}" for key, value in told.items() if value)


def describe(name: str, path: Path, variant: str | None = None) -> Description:
    """The facts of a model that is on this machine; NotFoundError that says what the path is if it is not one."""
    identity = identify(path)
    family = identity.require(name)
    if identity.plugin:
        raise NotFoundError(f"{name} is a model of the plugin {family}", why="laser knows no more of it")
    folder = config_folder(family) if path.is_file() else path
    unet, vae = (read_json(folder / part / "config.json") for part in ("unet", "vae"))
    told = scheduler_config(path, family) if path.is_file() else read_json(path / "scheduler/scheduler_config.json")
    schedule = Schedule.from_config(told)
    first = schedule.levels(25)[0]
    parameters, precision = _weights(path, variant)
    scale = 2 ** (len(vae["block_out_channels"]) - 1)
    side = unet.get("sample_size")
    side = min(side) if isinstance(side, list) else side
    draws = "animate, interpolate, invert"
    if unet.get("time_cond_proj_dim"):
        draws += "; guidance is told to the network (--guidance), at the cost of none"
    return Description(
        model=name,
        path=str(path),
        kind=family,
        layout="a single file in the original layout" if path.is_file() else "the standard diffusers layout",
        side=int(side) * scale if side else int(vae.get("sample_size") or 512),
        latent_channels=int(vae.get("latent_channels") or 4),
        pixels_per_latent=scale,
        precision=precision,
        parameters=parameters,
        scheduler=str(schedule.config["_class_name"]),
        prediction=schedule.prediction,
        spacing=str(schedule.config.get("timestep_spacing") or schedule.config.get("sigma_schedule") or "its own"),
        first_level=f"starts at {first.timestep:g} with {100 * float(first.signal):.2g} % signal (of 25 steps)",
        draws=draws,
        tried="" if name == STORYBOOK else TRIED,
    )


def _weights(path: Path, variant: str | None) -> tuple[dict[str, int], tuple[str, ...]]:
    """Numbers of each part, and the precisions they are stored in."""
    counts: dict[str, int] = {}
    kinds: dict[str, None] = {}
    for part, prefixes in PREFIXES.items():
        files = [path] if path.is_file() else weight_files(path / part, variant)
        total = 0
        for file in files:
            for key, (kind, shape) in _tensors(file).items():
                if not path.is_file() or key.startswith(prefixes):
                    total += prod(shape)
                    if kind.startswith(("F", "BF", "float", "bfloat")):
                        kinds[kind] = None
        if total:
            counts[part] = total
    names = {"F32": "float32", "F16": "float16", "BF16": "bfloat16", "F8_E4M3": "float8"}
    return counts, tuple(names.get(kind, kind) for kind in kinds)


def _tensors(file: Path) -> dict[str, tuple[str, tuple[int, ...]]]:
    """Precision and shape of a weight file's tensors."""
    if file.suffix != ".safetensors":
        import torch

        told = torch.load(file, map_location="meta", weights_only=True, mmap=True)
        return {key: (str(x.dtype).removeprefix("torch."), tuple(x.shape)) for key, x in told.items()}
    from safetensors import safe_open

    with safe_open(file, "pt") as data:
        slices = {key: data.get_slice(key) for key in data.keys()}  # noqa: SIM118
        return {key: (each.get_dtype(), tuple(each.get_shape())) for key, each in slices.items()}
