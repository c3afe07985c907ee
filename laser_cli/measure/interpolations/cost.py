"""What an interpolation costs: U-Net evaluations, time and memory."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from laser_cli.measure.figures import Figure
from laser_cli.measure.library import SOURCE, TARGET
from laser_cli.measure.memory import main
from laser_cli.measure.memory import memory as peaks
from laser_cli.models.model import Model
from laser_cli.stages.distances import Distance, rms
from laser_cli.stages.interpolate import (
    Endpoint,
    Endpoints,
    FrameSchedule,
    InterpolationParams,
    interpolate,
    prepare,
)
from laser_cli.stages.spacing import by_beta, even, measure, uniform

FRAMES = 24
"""At which costs are measured."""
Say = Callable[[str], object]


@dataclass(frozen=True)
class Cost:
    """Of one frame: U-Net evaluations and seconds, drafts and stops included; and the former beside AID's own code."""

    evaluations: float
    seconds: float
    against_published: float


def published(frames: int, steps: int) -> int:
    """U-Net evaluations of AID's code: three rows of both halves for every frame but the ends."""
    return 6 * (frames - 2) * steps


def endpoints_of(
    model: Model, params: InterpolationParams, prompts: Sequence[str] = (SOURCE, TARGET), seed: int = 0
) -> Endpoints:
    """Prompts as endpoints, at the model's own size."""
    return prepare(model, [Endpoint(prompt) for prompt in prompts], params, (seed,), (model.size, model.size))


def schedule_of(
    model: Model,
    endpoints: Endpoints,
    params: InterpolationParams,
    frames: int,
    spacing: str,
    distance: Distance = rms,
) -> FrameSchedule:
    """When the frames between two endpoints are; beta as AID recommends it, a = b = steps."""
    if spacing == "beta":
        return by_beta(frames, 1, float(params.steps), float(params.steps))
    profiles = measure(model, endpoints, params, frames, distance) if spacing == "even" else None
    return even(frames, profiles, params.steps) if profiles else uniform(frames, 1)


def costs(model: Model, ways: Mapping[str, InterpolationParams], frames: int = FRAMES) -> dict[tuple[str, str], Cost]:
    """By (method, spacing): an animation of each, drawn whole. Beta spacing does the work of uniform spacing."""
    told: dict[tuple[str, str], Cost] = {}
    for name, params in ways.items():
        endpoints = endpoints_of(model, params)
        for spacing in ("even", "uniform"):
            nfe, begin = model.nfe, time.perf_counter()
            for _ in interpolate(model, endpoints, params, schedule_of(model, endpoints, params, frames, spacing)):
                pass
            nfe, seconds = model.nfe - nfe, time.perf_counter() - begin
            whole = published(frames, params.steps)
            told[name, spacing] = Cost(nfe / frames, seconds / frames, nfe / whole)
        told[name, "beta"] = told[name, "uniform"]
    return told


def memory(model: str, say: Say = lambda text: None, short: int = 50, long: int = 1000) -> list[Figure]:
    """Peak memory of two interpolations of different length, each in a process of its own."""
    return peaks("laser_cli.measure.interpolations.cost", model, say, short, long)


def _draw(model: Model, frames: int) -> None:
    """An evenly spaced interpolation of so many frames at two steps."""
    params = InterpolationParams(steps=2)
    endpoints = endpoints_of(model, params)
    for _ in interpolate(model, endpoints, params, schedule_of(model, endpoints, params, frames, "even")):
        pass


if __name__ == "__main__":
    main(_draw)
