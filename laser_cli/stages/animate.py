"""The animation: a plan and an inverted picture in, frames out, each as soon as it is finished."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from laser_cli.engine.models import Model
from laser_cli.engine.render import Between, Drawn, Keyframe, Manner, Score, render
from laser_cli.engine.sample import denoise
from laser_cli.engine.schedule import noise_like
from laser_cli.plan.easing import ease
from laser_cli.plan.schema import Plan
from laser_cli.stages.distances import Distance, rms
from laser_cli.stages.invert import Inversion, Report, to_array, to_tensor
from laser_cli.stages.pacing import paced
from laser_cli.stages.preview import Glimpse
from laser_cli.stages.resume import Keeper

READS: dict[str, tuple[tuple[float, float], tuple[float, float]]] = {
    # control: (texture, motion) at the segment's begin and end, as shares of its strength
    "texture": ((1.0, 0.0), (1.0, 0.0)),
    "motion": ((0.0, 1.0), (0.0, 1.0)),
    "hybrid": ((1.0, 1.0), (0.0, 0.0)),  # lets go of the source, so that it arrives at its target
    "hold": ((0.0, 0.0), (0.0, 0.0)),
}


Warn = Callable[[str], object]


@dataclass(frozen=True)
class Picture:
    """A finished frame: its place in the animation and (h, w, 3) uint8."""

    index: int
    array: np.ndarray


def compose(model: Model, plan: Plan, inversion: Inversion) -> Score:
    """The plan as a score: keyframes with their strengths, frames with their eased times."""
    states = model.encode_prompts([segment.prompt for segment in plan.segments])
    first = plan.segments[0]
    begin = READS[first.control][0]
    keyframes = [Keyframe(inversion.trajectory.states, first.strength * begin[0], first.strength * begin[1])]
    frames: list[Between] = []
    for end, segment in enumerate(plan.segments, start=1):
        texture, motion = READS[segment.control][1]
        keyframes.append(Keyframe(states[end - 1 : end], segment.strength * texture, segment.strength * motion))
        steps = segment.frames - 1
        frames += [Between(end, ease(segment.easing, j / steps)) for j in range(1, steps)]
    return Score(inversion.trajectory, keyframes, frames)


@torch.inference_mode()
def animate(
    model: Model,
    plan: Plan,
    inversion: Inversion,
    manner: Manner,
    exact_first: np.ndarray | None = None,
    report: Report = lambda rows: None,
    pace: Distance | None = rms,
    keeper: Keeper | None = None,
    warn: Warn = lambda text: None,
    glimpse: Glimpse | None = None,
) -> Iterator[Picture]:
    """Yields the plan's frames in order; with ``exact_first``, the picture itself, frame 0 is exactly that.

    With ``pace`` the way is drafted first, so that frames are equally far apart by that instead of in t. What
    the VAE loses of the picture is given back to the first segment's frames as (1 - t)^2, so that nothing pops between
    frame 0 and frame 1. With a ``keeper`` it goes on from what that has saved of this render.
    """
    score = compose(model, plan, inversion)
    saved = keeper.load(model.device, len(score.frames)) if keeper else None
    if saved:
        score = replace(score, frames=saved.frames)
    elif pace and score.frames:
        score = paced(model, score, manner, pace, report)
    places = _places(plan)
    lost: Tensor | None = None
    if exact_first is not None:
        lost = to_tensor(exact_first).to(model.device) - model.decode(score.source.latents[:1])
    shares = {0: 1.0} | {i: (1 - f.t) ** 2 for i, f in zip(places.frames, score.frames, strict=True) if f.end == 1}
    held: dict[int, Tensor] = {}
    due = 0
    levels = model.schedule.levels(inversion.steps)
    for step in render(model.unet, model.eps, levels, score, manner, saved.state if saved else None):
        report(step.rows)
        if step.chunk:
            warn(fewer(step.chunk))
        if step.state and keeper:
            keeper.keep(step.state, score.frames)
        if step.state and glimpse:
            glimpse.look(model, step.state, places.keyframes, places.frames)
        if step.drawn is None:
            continue
        held.update(zip(_indices(step.drawn, places), step.drawn.latents.split(1), strict=True))
        while due in held:
            picture = model.decode(held.pop(due))[0]
            if lost is not None and due in shares:
                picture = (picture + shares[due] * lost[0]).clamp(0, 1)
            yield Picture(due, to_array(picture))
            due += 1


def fewer(chunk: int) -> str:
    """What the user is told when memory ran out and the work goes on."""
    return f"out of memory: going on with {chunk} frames at a time (--chunk {chunk} begins with that)"


@torch.inference_mode()
def generate(
    model: Model,
    prompt: str,
    seed: int,
    steps: int,
    guidance: float,
    size: tuple[int, int],
    report: Report = lambda rows: None,
) -> np.ndarray:
    """A picture of (w, h) px from a prompt alone: what an animation without a picture begins with."""
    shape = (model.vae.config.latent_channels, size[1] // model.scale, size[0] // model.scale)
    x = noise_like(shape, seed)[None].to(model.device)
    uncond, cond = model.encode_prompts(["", prompt]).split(1)
    z = x
    for z in denoise(model.eps, x, model.schedule.levels(steps), cond, uncond, guidance):  # noqa: B007
        report(2 if guidance != 1 else 1)
    return to_array(model.decode(z)[0])


@dataclass(frozen=True)
class _Places:
    keyframes: list[int]
    frames: list[int]


def _places(plan: Plan) -> _Places:
    """Where keyframes and the frames between them stand in the animation."""
    keyframes = [0]
    for segment in plan.segments:
        keyframes.append(keyframes[-1] + segment.frames - 1)
    return _Places(keyframes, [i for i in range(plan.total_frames) if i not in set(keyframes)])


def _indices(drawn: Drawn, places: _Places) -> list[int]:
    if drawn.keyframe >= 0:
        return [places.keyframes[drawn.keyframe]]
    return places.frames[drawn.first : drawn.first + len(drawn.latents)]
