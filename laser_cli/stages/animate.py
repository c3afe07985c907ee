"""The animation: a plan and an inverted picture in, frames out, each as soon as it is finished."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from functools import partial
from itertools import accumulate
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from laser_cli.controls.aid import slerp
from laser_cli.controls.base import Words
from laser_cli.controls.carry import STAYING
from laser_cli.controls.registry import LOCAL_BLEND, signal
from laser_cli.engine.render import render
from laser_cli.engine.sample import denoise
from laser_cli.engine.schedule import noise_like
from laser_cli.engine.spec import Finished, Frame, Keyframe, RenderSpec, SamplingParams
from laser_cli.models.adapter import See
from laser_cli.models.conditioning import Conditioning
from laser_cli.models.model import Model
from laser_cli.plan.schema import Plan, Segment
from laser_cli.plan.way import apart, laid
from laser_cli.stages.carrying import carried_detail, carrying, placeless
from laser_cli.stages.checkpoint import Checkpointer
from laser_cli.stages.conditions import Lead, led
from laser_cli.stages.detail import given_back
from laser_cli.stages.distances import Distance, rms
from laser_cli.stages.follow import Warn, finished
from laser_cli.stages.invert import Inversion, Report, to_array, to_tensor
from laser_cli.stages.pacing import paced
from laser_cli.stages.preview import PreviewWriter
from laser_cli.stages.wording import encoded_prompts, local_blend, reads_words, words_between


@dataclass(frozen=True)
class Picture:
    """A finished frame: its place in the animation and (h, w, 3) uint8."""

    index: int
    array: np.ndarray


@dataclass(frozen=True)
class Leads:
    """What leads an animation's keyframes beside their prompts, the source first; ``see`` as of models.adapter."""

    keyframes: Sequence[Lead]
    see: See | None = None

    def back(self, keyframe: int) -> bool:
        """Whether a keyframe is led as the source is."""
        return self.keyframes[keyframe].same(self.keyframes[0])


@dataclass(frozen=True)
class Direction:
    """What an animation is led by beside its plan.

    ``negative``: the prompt that guidance leads away from. Without one it leads away from the source's own
    (negative-prompt inversion), so that the source needs none, and by ``guidance_base`` 0..1, as far as a keyframe is
    another than the source, from the empty prompt. ``strength_scale``: what the plan's strengths are multiplied by.
    ``local``: what differs from the source in its subject alone stays the source elsewhere (local blend). ``carry``: a
    subject that is to be elsewhere is carried there, and one in another scene keeps its noise (stages.carrying), unless
    ``leads`` say where. ``fresh`` 0..1: how much of the keyframes' noise is fresh (of ``seed``); the rest is the
    picture's own, which holds on to what it shows.
    """

    negative: str | None = None
    guidance_base: float = 0.0
    strength_scale: float = 1.0
    local: bool = False
    carry: bool = False
    leads: Leads | None = None
    fresh: float = 0.0
    seed: int = 0


PLAIN = Direction()


def compose(model: Model, plan: Plan, inversion: Inversion, direction: Direction = PLAIN) -> RenderSpec:
    """The plan as a render: keyframes with their strengths, frames at their eased times.

    A segment that leads to the source's prompt ends in the source itself, unless other leads lead there.
    """
    source, leads, negative = inversion.trajectory, direction.leads, direction.negative
    held = source if source.pinned else None
    told = model.encode_prompts(encoded_prompts(model, plan))
    conditionings, between = [source.conditioning, *(told.select([k]) for k in range(len(plan.segments)))], None
    if leads:
        height, width = (side * model.scale for side in source.latents.shape[-2:])
        bare = replace(source.conditioning, image_embeds=model.unseen, spatial={})
        conditionings, courses = led(model, [bare, *conditionings[1:]], leads.keyframes, (width, height), leads.see)
        between = courses.of_frames(lambda step, k, t: conditionings[k].lerp(conditionings[k + 1], t))
    backs = [
        held is not None and segment.prompt == inversion.prompt and (leads is None or leads.back(k + 1))
        for k, segment in enumerate(plan.segments)
    ]
    fresh = [direction.fresh * share for share in apart(plan.segments, backs)]
    blended = [direction.local and local_blend(model, inversion.prompt, segment) for segment in plan.segments]
    moves = carrying(model, plan, inversion, fresh, direction.seed) if direction.carry and leads is None else None
    carried = moves.keyframes if moves else [STAYING] * (1 + len(plan.segments))
    scaled = partial(_strengths, direction.strength_scale)
    strengths = [
        placeless(*strengths) if how.shift else strengths
        for strengths, how in zip(map(scaled, plan.segments, blended), carried[1:], strict=True)
    ]
    words: list[Words | None] = [None] * (1 + len(plan.segments))
    if any(blended) or any(reads_words(segment.control) for segment in plan.segments):
        words = [words_between(model, inversion.prompt, prompt) for prompt in (inversion.prompt, *plan.prompts[1:])]
    new = noise_like(tuple(source.noise.shape[1:]), direction.seed)[None].to(source.noise)
    guided, other = negative is not None, direction.guidance_base if negative is None else 0.0
    keyframes = [Keyframe(source.noise, conditionings[0], held, strengths[0][0], words[0], guided, carried[0])]
    for k, back in enumerate(backs):
        conditioning = conditionings[0] if back else conditionings[k + 1]
        if moves:  # a carried subject goes with its own noise
            noise = moves.carry.noise(source.noise, carried[k + 1])
        else:
            noise = slerp(source.noise, new, fresh[k]) if fresh[k] else source.noise
        how = (
            held if back else None,
            strengths[k][1],
            words[k + 1],
            guided or not back,
            carried[k + 1],
            0.0 if back else other,
        )
        keyframes.append(Keyframe(noise, conditioning, *how))
    frames = [Frame(k, t) for k, t in laid(plan.segments)]
    # away from words, under whatever leads the picture that is guided
    own = replace(conditionings[0], spatial={}) if leads else conditionings[0]
    base = own if negative is None else model.encode_prompts([negative])
    blank = replace(model.encode_prompts([""]), image_embeds=base.image_embeds) if other else None
    moved = moves.carry if moves else None
    return RenderSpec(keyframes, frames, base, source=0, conditioning=between, carry=moved, blank=blank)


def _strengths(scale: float, segment: Segment, local: bool) -> tuple[dict[str, float], dict[str, float]]:
    """Strengths by control at a segment's begin and end."""
    shares, strength, more = signal(segment.control), scale * segment.strength, {LOCAL_BLEND: 1.0} if local else {}
    begin, end = ({name: strength * share[at] for name, share in shares.items()} for at in (0, 1))
    return begin | more, end | more


@torch.inference_mode()
def source_conditioning(model: Model, prompt: str, leads: Leads | None, size: tuple[int, int]) -> Conditioning:
    """The conditioning of an animation's first keyframe: its prompt, and what leads it, at (w, h) px."""
    told = model.encode_prompts([prompt])
    if leads is None:
        return told
    (told,), _ = led(model, [told], leads.keyframes[:1], size, leads.see)
    return told


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
    direction: Direction = PLAIN,
    wanted: AbstractSet[int] | None = None,
) -> Iterator[Picture]:
    """Yields the plan's frames in order; with ``exact_first``, the picture itself, frame 0 is exactly that.

    With ``pace`` drafts are rendered first, so that frames are equally far apart by that distance instead of in t. What
    the VAE loses of the picture is given back to the frames near it (stages.detail), so that nothing pops between frame
    0 and frame 1. With a ``checkpointer`` it goes on from what that has saved of this render. ``wanted``: only these
    frames are drawn, the very pictures that they are among all; such a render has no checkpoint.
    """
    before = model.nfe
    spec = compose(model, plan, inversion, direction)
    report(model.nfe - before)
    saved = checkpointer.load(model.device, len(spec.frames)) if checkpointer else None
    if saved:
        spec = replace(spec, frames=saved.frames)
    elif pace and spec.frames:
        spec = paced(model, spec, params, inversion.steps, pace, report, plan.segments)
    places = places_of(spec)
    if wanted is not None:
        spec, places = only(spec, places, wanted)
    due = deque(i for i in range(plan.total_frames) if wanted is None or i in wanted)
    lost: Tensor | None = None
    if exact_first is not None:
        lost = to_tensor(exact_first).to(model.device) - model.decode(inversion.trajectory.latents[:1])
    details = _details(spec, places, lost[0]) if lost is not None else {}
    carried = dict(zip(places.frames, spec.frames, strict=True)) if spec.carry else {}
    waiting: dict[int, Tensor] = {}
    levels = model.schedule.levels(inversion.steps)
    steps = render(
        model.backbone, levels, spec, params, saved.state if saved else None, model.workers, clean=preview is not None
    )
    kept = (report, warn, checkpointer, preview)
    for done in finished(steps, model, spec.frames, (places.keyframes, places.frames), *kept):
        indices = _indices(done, places)
        if wanted is not None and wanted.isdisjoint(indices):
            continue
        pictures = model.decode(done.latents)
        waiting.update(zip(indices, pictures, strict=True))
        while due and due[0] in waiting:
            index = due.popleft()
            picture = waiting.pop(index)
            if index in details:
                given = given_back(*details[index])
                if index in carried and isinstance(given, Tensor):
                    given = carried_detail(spec, carried[index], model.scale, given)
                picture = (picture + given).clamp(0, 1)
            yield Picture(index, to_array(picture))


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
    leads: Leads | None = None,
) -> np.ndarray:
    """A picture of (w, h) px from a prompt alone: what an animation without a picture begins with.

    It is led as the first keyframe is.
    """
    shape = (model.vae.config.latent_channels, size[1] // model.scale, size[0] // model.scale)
    x = noise_like(shape, seed)[None].to(model.device)
    told = model.encode_prompts([negative])
    cond = source_conditioning(model, prompt, leads, size)
    uncond, levels, z = told.beside(cond), model.schedule.levels(steps), x
    for z in denoise(model.backbone, x, levels, cond, uncond, guidance, model.workers):  # noqa: B007
        report(2 if guidance != 1 else 1)
    return to_array(model.decode(z)[0])


class Places(NamedTuple):
    """The numbers of a render's keyframes among all frames, and of the frames between them."""

    keyframes: list[int]
    frames: list[int]


def places_of(spec: RenderSpec) -> Places:
    """Where keyframes and the frames between them stand in the animation."""
    between = Counter(f.segment for f in spec.frames)
    keyframes = list(accumulate((between[k] + 1 for k in range(len(spec.keyframes) - 1)), initial=0))
    return Places(keyframes, [i for i in range(keyframes[-1]) if i not in set(keyframes)])


def only(spec: RenderSpec, places: Places, wanted: AbstractSet[int]) -> tuple[RenderSpec, Places]:
    """The render without the frames that are not wanted; keyframes stay, as frames read them."""
    kept = [(place, f) for place, f in zip(places.frames, spec.frames, strict=True) if place in wanted]
    return replace(spec, frames=[f for _, f in kept]), Places(places.keyframes, [place for place, _ in kept])


def _details(spec: RenderSpec, places: Places, lost: Tensor) -> dict[int, tuple[float, Tensor | None, Tensor | None]]:
    """For the pictures in segments that begin or end in the source: t, and what the VAE loses at either end."""
    held = [lost if k == 0 or keyframe.trajectory is not None else None for k, keyframe in enumerate(spec.keyframes)]
    details: dict[int, tuple[float, Tensor | None, Tensor | None]] = {}
    details |= {places.keyframes[k]: (0.0, mine, None) for k, mine in enumerate(held) if mine is not None}
    for place, f in zip(places.frames, spec.frames, strict=True):
        begin, end = held[f.segment], held[f.segment + 1]
        if begin is not None or end is not None:
            details[place] = (f.t, begin, end)
    return details


def _indices(finished: Finished, places: Places) -> list[int]:
    if finished.keyframe >= 0:
        return [places.keyframes[finished.keyframe]]
    return places.frames[finished.first : finished.first + len(finished.latents)]
