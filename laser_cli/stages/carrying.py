"""How an animation's subject is carried to where its prompts say it is, or kept in another scene (controls.carry)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor

from laser_cli.controls.base import QKV, Words
from laser_cli.controls.carry import HELD, Carried, Carry
from laser_cli.controls.registry import signal
from laser_cli.controls.words import blend_mask, cover, cross_attentions
from laser_cli.engine.schedule import noise_like
from laser_cli.engine.spec import Frame, RenderSpec
from laser_cli.models.base import AttentionCall, plain_attention
from laser_cli.models.model import Model
from laser_cli.plan.difference import (
    moved_to,
    only_the_place_changes,
    only_the_scene_changes,
    same_light,
    same_subject,
)
from laser_cli.plan.schema import Plan, Segment
from laser_cli.plan.wording.phrases import main_phrase
from laser_cli.stages.invert import Inversion
from laser_cli.stages.wording import words_between

LOOKED_AT = (0.4, 0.5, 0.6)
"""The shares of the steps at which the source's attentions are read: earlier there is no picture, later no shape."""
FOUND = 0.2
"""The share of its largest value from which on a map covers a subject: less than where a picture may differ, as what is
left out of a subject stays behind."""
MOST = 0.6
"""The share of a picture beyond which what was found is no subject that could move in it."""
OWN = 0.6
"""How far a subject in another scene goes without fresh noise: wholly, and the scene itself would change less."""
KEEPING = frozenset(("texture", "motion"))
ROUND = 0.04
"""What a mask has around its subject, in shares of the width: so much of it may leave the picture."""


class Carrying(NamedTuple):
    """What subjects are carried with, and how that of each keyframe is, the source first."""

    carry: Carry
    keyframes: Sequence[Carried]


@torch.inference_mode()
def carrying(
    model: Model, plan: Plan, inversion: Inversion, shares: Sequence[float] = (), seed: int = 0
) -> Carrying | None:
    """How the plan moves its subject, or keeps it in another scene; None if it does neither, or if the model does not
    tell where the subject is.

    Only segments that keep the source by ``texture`` or ``motion`` carry it: others hold a layout, or nothing.
    ``shares``: how much of the noise of each segment's end is fresh, of ``seed``, where more than the place changes.
    """
    source = inversion.prompt
    if not follows(plan, source, any(shares)) or not cross_attentions(model.backbone.attentions):
        return None
    mask = subject_mask(model, inversion)
    if mask is None:
        return None
    shape = tuple(inversion.trajectory.noise.shape[1:])
    behind, fresh = (noise_like(shape, number)[None].to(mask) for number in (seed + 1, seed))
    how = [Carried(around=True, held=1.0, own=_own(source, plan.segments[0]))]
    for segment, share in zip(plan.segments, shares or [0.0] * len(plan.segments), strict=True):
        place, around = _place(source, segment), only_the_place_changes(source, segment.prompt)
        alike = same_subject(source, segment.prompt, look=True) and same_light(source, segment.prompt)
        how.append(
            Carried(
                shift=0.0 if place is None else shift_to(mask, place),
                held=HELD * segment.strength if alike else 0.0,
                around=around,
                fresh=0.0 if around else share,
                own=_own(source, segment),
            )
        )
    return Carrying(Carry(mask, behind, fresh), how)


def follows(plan: Plan, source: str, fresh: bool) -> bool:
    """Whether a plan moves its subject, or keeps it in another scene, which matters where some noise is fresh."""
    moves = any(_place(source, segment) is not None for segment in plan.segments)
    return moves or (fresh and any(_own(source, s) > 0 and s.prompt != source for s in plan.segments))


def nfe(plan: Plan, source: str, fresh: bool, steps: int) -> int:
    """Evaluations that it takes to find the subject."""
    return len(_looked_at(steps)) if follows(plan, source, fresh) and main_phrase(source) is not None else 0


def carried_detail(spec: RenderSpec, frame: Frame, scale: int, given: Tensor) -> Tensor:
    """What a frame gets back of its picture's detail [3, h, w], ``scale`` times its latents' size, with its subject."""
    shift = spec.carried(frame).shift
    if spec.carry is None or not shift:
        return given
    mask = spec.carry.mask.repeat_interleave(scale, -1).repeat_interleave(scale, -2)
    moved = Carry(mask, mask, mask).moved(given[None], scale * shift, torch.zeros_like(given)[None])
    return moved[0]


def _place(source: str, segment: Segment) -> float | None:
    """Where a segment moves the subject to."""
    return moved_to(source, segment.prompt) if _keeps(source, segment) else None


def _own(source: str, segment: Segment) -> float:
    """How far the subject at a segment's end keeps its own noise."""
    stays = segment.prompt == source or only_the_scene_changes(source, segment.prompt)
    return OWN if stays and _keeps(source, segment) else 0.0


def _looked_at(steps: int) -> Sequence[int]:
    return sorted({int(share * steps) for share in LOOKED_AT})


def _keeps(source: str, segment: Segment) -> bool:
    """Whether a segment draws the source's own subject again."""
    read = signal(segment.control).keys()
    return bool(read) and read <= KEEPING and segment.strength > 0 and same_subject(source, segment.prompt)


def placeless(*ends: Mapping[str, float]) -> tuple[dict[str, float], ...]:
    """Strengths at a segment's ends with motion in place of texture, which would hold a subject where it was."""
    told = []
    for strengths in ends:
        kept = {name: strength for name, strength in strengths.items() if name != "texture"}
        told.append(kept | {"motion": max(strengths.get("motion", 0.0), strengths.get("texture", 0.0))})
    return tuple(told)


def shift_to(mask: Tensor, place: float) -> float:
    """By how many latent pixels to the right a subject [1, 1, h, w] gets to a place in 0..1, all of it in the picture.

    A subject that the picture cuts off may be cut off as far as it was.
    """
    columns = mask[0, 0].amax(0).nonzero()[:, 0] + 0.5
    width, weights = mask.shape[-1], mask[0, 0].sum(0)
    centre = float((weights * (torch.arange(width, device=mask.device) + 0.5)).sum() / weights.sum())
    first, last = float(columns.min()), float(columns.max())
    least, most = -ROUND * width, (1 + ROUND) * width
    return min(max(place * width - centre, min(0.0, least - first)), max(0.0, most - last))


def subject_mask(model: Model, inversion: Inversion) -> Tensor | None:
    """Where the words for the source's subject look, in its own latents, [1, 1, h, w] in 0 and 1; None if nowhere."""
    prompt, trajectory = inversion.prompt, inversion.trajectory
    phrase = main_phrase(prompt)
    if phrase is None:
        return None
    words = words_between(model, prompt[: phrase.body] + prompt[phrase.end :], prompt)
    looking, levels, steps = _Looking(words), model.schedule.levels(trajectory.steps), trajectory.steps
    for step in _looked_at(steps):
        latents = trajectory.latents[steps - step : steps - step + 1]
        model.backbone.predict(latents, levels[step], trajectory.conditioning, looking)
    if not looking.covers:
        return None
    mask = blend_mask(looking.covers, (trajectory.latents.shape[-2], trajectory.latents.shape[-1]), FOUND)
    return mask if 0 < float(mask.mean()) <= MOST else None


@dataclass
class _Looking:
    """Hooks that change nothing and see what the changed words look at, [1, 2, n] a layer."""

    words: Words
    features: Sequence[str] = ()
    covers: list[Tensor] = field(default_factory=list)

    def attend(self, call: AttentionCall) -> Tensor:
        if call.kind == "cross":
            own = QKV(call.q, call.k, call.v)
            if (covered := cover(own, own, self.words)) is not None:
                self.covers.append(covered)
        return plain_attention(call)

    def feature(self, name: str, x: Tensor) -> Tensor:
        return x
