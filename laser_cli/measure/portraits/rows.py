"""The ways to reenact a portrait that are compared: each draws the frames of a reenactment."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor

from laser_cli.controls.knit.driven import FaceMotion
from laser_cli.controls.knit.load import Nets
from laser_cli.engine.spec import SamplingParams
from laser_cli.jobs.drive import OWN_SAMPLING
from laser_cli.jobs.merge import flags
from laser_cli.jobs.model import settle
from laser_cli.jobs.run_animate import direction_of
from laser_cli.jobs.settings import AnimateSettings
from laser_cli.measure.portraits.items import Reenactment, read_motion
from laser_cli.models.model import Model
from laser_cli.plan.schema import Plan, Segment
from laser_cli.stages.animate import animate
from laser_cli.stages.invert import invert_picture, to_array, to_tensor
from laser_cli.stages.portrait import draw_portrait
from laser_cli.stages.sitting import READ, Words
from laser_cli.storybook.classifier import AttributeClassifier
from laser_cli.storybook.world import caption_of

Way = Callable[[Reenactment, Tensor, FaceMotion], tuple[Tensor, int]]
"""(reenactment, the reference's picture [3, h, w], what drives it: first the reference's own face, then n others) ->
its frames [1 + n, 3, h, w] and the evaluations."""
COPIED, WORDS, ATTENTION, KNITTING = "reference copied", "text prompts only", "attention only", "knitting"
COMPARED = "the other adapters"


def ways(
    model: Model,
    classifier: AttributeClassifier,
    nets: Nets,
    steps: int | None = None,
    other: Nets | None = None,
) -> dict[str, Way]:
    """All ways by name, in as many steps as animate draws each in, or in `steps`; `other` adapters beside, such as
    those of plain attention. The classifier reads the reference's own face."""
    found: dict[str, Way] = {
        COPIED: copied,
        WORDS: partial(by_words, model, steps, "hold"),
        ATTENTION: partial(by_words, model, steps, "motion"),
        KNITTING: partial(by_nets, model, classifier, steps, nets),
    }
    if other is not None:
        found[COMPARED] = partial(by_nets, model, classifier, steps, other)
    return found


def copied(item: Reenactment, reference: Tensor, motion: FaceMotion) -> tuple[Tensor, int]:
    """The reference itself."""
    return reference.expand(1 + len(item.targets), *reference.shape), 0


def by_words(
    model: Model, steps: int | None, control: str, item: Reenactment, reference: Tensor, motion: FaceMotion
) -> tuple[Tensor, int]:
    """An animation of the reference by captions of what it should become, with or without the source's attention."""
    before = model.nfe
    segments = tuple(Segment(prompt=caption_of(p), control=control, frames=2) for p in item.targets)
    plan = Plan(source=caption_of(item.reference), segments=segments)
    settings = settle(AnimateSettings, flags({"model": model.name}))
    inversion = invert_picture(model, to_array(reference), plan.source, steps or settings.steps)
    params, led = SamplingParams(guidance=settings.guidance), direction_of(settings)
    frames = animate(model, plan, inversion, params, pace=None, direction=led)
    return torch.cat([to_tensor(frame.array) for frame in frames]), model.nfe - before


def by_nets(
    model: Model,
    classifier: AttributeClassifier,
    steps: int | None,
    nets: Nets,
    item: Reenactment,
    reference: Tensor,
    motion: FaceMotion,
) -> tuple[Tensor, int]:
    """Portrait adapters under the drive, from the reference's own face on; the words tell the looks alone."""
    before = model.nfe
    bare = replace(item.reference, yaw=0.0, pitch=0.0, roll=0.0)
    words = Words(caption_of(bare, unsaid=frozenset({"expression"})))
    params, count = SamplingParams(guidance=OWN_SAMPLING["guidance"]), steps or OWN_SAMPLING["steps"]
    own, fresh = read_motion(classifier, reference[None]), OWN_SAMPLING["fresh_noise"]
    picture = to_array(reference)
    frames = draw_portrait(model, nets, picture, motion, words, params, count, own=own, fresh=fresh, fade=1)
    return torch.cat([to_tensor(frame.array) for frame in frames]), model.nfe - before + READ
