"""Another scheduler than a model's own, and another spacing of its levels, chosen for a run."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from laser_cli.errors import UsageError
from laser_cli.models.options import Spacing
from laser_cli.models.schedules import EULER, FLOW, FOLLOWED, Kind, Schedule

SHORT = {
    "euler": EULER,
    "euler-a": "EulerAncestralDiscreteScheduler",
    "heun": "HeunDiscreteScheduler",
    "lms": "LMSDiscreteScheduler",
    "dpm++": "DPMSolverMultistepScheduler",
    "deis": "DEISMultistepScheduler",
    "unipc": "UniPCMultistepScheduler",
    "edm": "EDMEulerScheduler",
    "flow": FLOW,
}
"""Common names of schedulers; any other is its class, with or without «Scheduler», in any case."""

SIGMAS = ("karras", "exponential", "beta")
"""Spacings that are laid in sigmas, not in timesteps."""

OWN_TIMESTEPS = ("LCMScheduler", "TCDScheduler")
"""Classes that have a setting for the spacing of timesteps and do not heed it."""


def choose_schedule(
    config: Mapping[str, Any], scheduler: str | None = None, spacing: Spacing | None = None
) -> Schedule:
    """A model's schedule, or that of another scheduler in its noise, as the library's ``from_config`` makes it.

    ``scheduler`` is a class or one of SHORT. UsageError for one that is not known, that writes levels of another kind
    than the model was trained on, or that cannot be spaced so.
    """
    own = Schedule.from_config(config)
    if scheduler is not None:
        name = _class_of(scheduler)
        if _trained_as(name) != _trained_as(own.config["_class_name"]):
            raise UsageError(
                f"--scheduler {scheduler} does not fit the model",
                why=f"the model was trained on the noise of {own.config['_class_name']}",
                hint="a scheduler of that kind, or none",
            )
        own = Schedule.from_config({**config, "_class_name": name})
    return own if spacing is None else Schedule.from_config({**own.config, **_spaced(own, spacing)})


def _spaced(schedule: Schedule, spacing: Spacing) -> dict[str, Any]:
    """The settings that space the levels so; UsageError where the scheduler has none for it."""
    import diffusers

    known = inspect.signature(getattr(diffusers, schedule.layer).__init__).parameters
    plain: dict[str, Any] = {f"use_{each}_sigmas": False for each in SIGMAS if f"use_{each}_sigmas" in known}
    told: dict[str, Any] = {"timestep_spacing": spacing}
    if spacing in SIGMAS:
        told = {f"use_{spacing}_sigmas": True}
        if spacing != "beta" and "sigma_schedule" in known:
            told = {"sigma_schedule": spacing}
    if not told.keys() <= known.keys() or schedule.layer in OWN_TIMESTEPS:
        raise UsageError(
            f"--timestep-spacing {spacing} does not fit the scheduler {schedule.config['_class_name']}",
            why="its levels have a spacing of their own",
            hint="--scheduler euler beside it, or leave the spacing out",
        )
    return {**plain, **told}


def _class_of(name: str) -> str:
    """A scheduler's class by a name of SHORT or its own; UsageError if laser follows none of that name."""
    known = {each.removesuffix("Scheduler").lower(): each for each in FOLLOWED} | SHORT
    found = known.get(name.strip().lower().removesuffix("scheduler"))
    if found is None:
        told = ", ".join(("ddim", "pndm", "lcm", "tcd", *SHORT))
        raise UsageError(f"--scheduler {name} is not known", why="laser follows no scheduler of that name", hint=told)
    return found


def _trained_as(name: str) -> str:
    """Schedulers whose levels one network can be told: those of betas, of EDM and of flow matching."""
    kind: Kind = FOLLOWED[name][0]
    return "betas" if kind in ("alphas", "sigmas") else kind
