"""The animation: a plan and an inverted picture in, frames out, each as soon as it is finished."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from laser_cli.controls.registry import signal
from laser_cli.engine.render import render
from laser_cli.engine.sample import denoise
from laser_cli.engine.schedule import noise_like
from laser_cli.engine.spec import Finished, Frame, Keyframe, RenderSpec, SamplingParams
from laser_cli.models.model import Model
from laser_cli.plan.easing import ease
from laser_cli.plan.schema import Plan
from laser_cli.stages.checkpoint import Checkpointer
from laser_cli.stages.distances import Distance, rms
from laser_cli.stages.invert import Inversion, Report, to_array, to_tensor
from laser_cli.stages.pacing import paced
from laser_cli.stages.preview import PreviewWriter

Warn = Callable[[str], object]


@dataclass(frozen=True)
class Picture:
    """A finished frame: its place in the animation and (h, w, 3) uint8."""

    index: int
    array: np.ndarray


def compose(model: Model, plan: Plan, inversion: Inversion, negative: str | None = None) -> RenderSpec:
    """The plan as a render: keyframes with their strengths, frames at their eased times.

    Guidance leads away from the source's own prompt (negative-prompt inversion), so that the source needs none; with
    ``negative`` from that prompt. A segment that leads to the source's prompt ends in the source itself.
    """
    source = inversion.trajectory
    held = source if source.pinned else None
    told = model.encode_prompts([segment.prompt for segment in plan.segments])
    strengths = [_strengths(segment.control, segment.strength) for segment in plan.segments]
    keyframes = [Keyframe(source.noise, source.conditioning, held, strengths[0][0])]
    frames: list[Frame] = []
    for k, segment in enumerate(plan.segments):
        back = held is not None and segment.prompt == inversion.prompt
        conditioning = source.conditioning if back else told.select([k])
        keyframes.append(Keyframe(source.noise, conditioning, held if back else None, strengths[k][1]))
        steps = segment.frames - 1
        frames += [Frame(k, ease(segment.easing, j / steps)) for j in range(1, steps)]
    base = source.conditioning if negative is None else model.encode_prompts([negative])
    return RenderSpec(keyframes, frames, base, source=0)


def _strengths(control: str, strength: float) -> tuple[dict[str, float], dict[str, float]]:
    """Strengths by control at a segment's begin and end."""
    shares = signal(control).items()
    return {name: strength * begin for name, (begin, _) in shares}, {name: strength * end for name, (_, end) in shares}


@torch.inference_mode()
def animate(
    model: Model,
    plan: Plan,
    inversion: Inversion,
    params: SamplingParams,
    exact_first: np.ndarray | None = None,
    report: Report = lambda nfe: None,
    pace: Distance | None = rms,
    checkpointer: Checkpointer | None = None,
    warn: Warn = lambda text: None,
    preview: PreviewWriter | None = None,
    negative: str | None = None,
    wanted: AbstractSet[int] | None = None,
) -> Iterator[Picture]:
    """Yields the plan's frames in order; with ``exact_first``, the picture itself, frame 0 is exactly that.

    With ``pace`` drafts are rendered first, so that frames are equally far apart by that distance instead of in t. What
    the VAE loses of the picture is given back to the frames near it by (1 - t)^2, so that nothing pops between frame 0
    and frame 1. With a ``checkpointer`` it goes on from what that has saved of this render. ``wanted``: only these
    frames are drawn, the very pictures that they are among all; such a render has no checkpoint.
    """
    spec = compose(model, plan, inversion, negative)
    saved = checkpointer.load(model.device, len(spec.frames)) if checkpointer else None
    if saved:
        spec = replace(spec, frames=saved.frames)
    elif pace and spec.frames:
        spec = paced(model, spec, params, inversion.steps, pace, report)
    places = _places(plan)
    if wanted is not None:
        spec, places = _only(spec, places, wanted)
    due = deque(i for i in range(plan.total_frames) if wanted is None or i in wanted)
    lost: Tensor | None = None
    if exact_first is not None:
        lost = to_tensor(exact_first).to(model.device) - model.decode(inversion.trajectory.latents[:1])
    shares = _shares(spec, places) if lost is not None else {}
    waiting: dict[int, Tensor] = {}
    levels = model.schedule.levels(inversion.steps)
    for step in render(model.backbone, levels, spec, params, saved.state if saved else None, model.workers):
        report(step.nfe)
        if step.batch_size:
            warn(smaller_batches(step.batch_size))
        if step.state and checkpointer:
            checkpointer.save(step.state, spec.frames)
        if step.state and preview:
            preview.update(model, step.state, places.keyframes, places.frames)
        if step.finished is None:
            continue
        indices = _indices(step.finished, places)
        if wanted is not None and wanted.isdisjoint(indices):
            continue
        pictures = model.decode(step.finished.latents)
        waiting.update(zip(indices, pictures, strict=True))
        while due and due[0] in waiting:
            index = due.popleft()
            picture = waiting.pop(index)
            if lost is not None and shares.get(index):
                picture = (picture + shares[index] * lost[0]).clamp(0, 1)
            yield Picture(index, to_array(picture))


def smaller_batches(size: int) -> str:
    """The warning shown when a batch ran out of memory and is retried at a smaller size."""
    return f"out of memory: going on with {size} frames at a time (--chunk {size} begins with that)"


@torch.inference_mode()
def generate(
    model: Model,
    prompt: str,
    seed: int,
    steps: int,
    guidance: float,
    size: tuple[int, int],
    report: Report = lambda nfe: None,
    negative: str = "",
) -> np.ndarray:
    """A picture of (w, h) px from a prompt alone: what an animation without a picture begins with."""
    shape = (model.vae.config.latent_channels, size[1] // model.scale, size[0] // model.scale)
    x = noise_like(shape, seed)[None].to(model.device)
    told = model.encode_prompts([negative, prompt])
    uncond, cond, levels, z = told.select([0]), told.select([1]), model.schedule.levels(steps), x
    for z in denoise(model.backbone, x, levels, cond, uncond, guidance, model.workers):  # noqa: B007
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


def _only(spec: RenderSpec, places: _Places, wanted: AbstractSet[int]) -> tuple[RenderSpec, _Places]:
    """The render without the frames that are not wanted; keyframes stay, as frames read them."""
    kept = [(place, f) for place, f in zip(places.frames, spec.frames, strict=True) if place in wanted]
    return replace(spec, frames=[f for _, f in kept]), _Places(places.keyframes, [place for place, _ in kept])


def _shares(spec: RenderSpec, places: _Places) -> dict[int, float]:
    """How much of what the VAE loses is given back to each picture: all to the source, less and less around it."""
    held = [k == 0 or keyframe.trajectory is not None for k, keyframe in enumerate(spec.keyframes)]
    shares = {places.keyframes[k]: 1.0 for k, at in enumerate(held) if at}
    for place, f in zip(places.frames, spec.frames, strict=True):
        shares[place] = held[f.segment] * (1 - f.t) ** 2 + held[f.segment + 1] * f.t**2
    return shares


def _indices(finished: Finished, places: _Places) -> list[int]:
    if finished.keyframe >= 0:
        return [places.keyframes[finished.keyframe]]
    return places.frames[finished.first : finished.first + len(finished.latents)]
