"""Pacing: an animation's frames equally far apart to the eye, not in t.

A few drafts tell where much happens at once; the frames' times are then laid so that equal time means equal change
(DiffMorpher's rescheduling, for a fraction of its second pass).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from laser_cli.engine.render import nfe as render_nfe
from laser_cli.engine.render import render
from laser_cli.engine.schedule import every
from laser_cli.engine.spec import Frame, RenderSpec, SamplingParams
from laser_cli.models.base import Backbone
from laser_cli.models.model import Model
from laser_cli.plan.schema import Segment
from laser_cli.plan.way import laid, spaced
from laser_cli.stages.distances import Distance, rms
from laser_cli.stages.invert import Report
from laser_cli.stages.profile import (
    DistanceProfile,
    coarse,
    decoded,
    drafted,
    measure_profiles,
    plan_rounds,
    stride,
    time_at,
)

EXTRA = 0.4
"""What drafts may cost, as a share of the rendering itself."""
STEEPEST, FLATTEST = 4.0, 0.2
"""A stretch changes at most and at least so many times as fast as the whole way: a jump does not swallow the frames."""


@torch.inference_mode()
def paced(
    model: Model,
    spec: RenderSpec,
    params: SamplingParams,
    steps: int,
    distance: Distance = rms,
    report: Report = lambda nfe: None,
    planned: Sequence[Segment] = (),
    backbone: Backbone | None = None,
) -> RenderSpec:
    """The spec with its frames moved in time so that equal time is equal change; the same if drafts cost too much.

    ``planned``: its segments, of which those on one way give each other frames; without them each keeps its own.
    ``backbone``: what draws in place of the model's own.
    """
    segments = len(spec.keyframes) - 1
    total = len(spec.frames) + segments + 1
    rounds = _rounds(segments, total, steps)
    if not rounds:
        return spec
    levels = every(model.schedule.levels(steps), stride(steps))
    brief = replace(spec, keyframes=[coarse(keyframe, stride(steps)) for keyframe in spec.keyframes])

    def draft(frames: Sequence[Frame]) -> tuple[list[Tensor], list[Tensor]]:
        drafts = render(
            backbone or model.backbone, levels, replace(brief, frames=frames), params, workers=model.workers
        )
        return decoded(model, drafts, report)

    measured = measure_profiles(draft, segments, rounds, total, distance)
    profiles, frames = [tempered(profile) for profile in measured], spec.frames
    if any(segment.via for segment in planned):
        far = [sum(gap.distance for gap in profile) for profile in measured]
        frames = [Frame(k, t) for k, t in laid(spaced(planned, _bounded(far)))]
    return replace(spec, frames=[replace(f, t=time_at(profiles[f.segment], f.t)) for f in frames])


def _bounded(far: Sequence[float]) -> list[float]:
    """Distances of which none is more than STEEPEST nor less than FLATTEST times the mean."""
    mean = sum(far) / len(far)
    return [min(max(each, FLATTEST * mean), STEEPEST * mean) for each in far]


def tempered(profile: DistanceProfile) -> DistanceProfile:
    """A profile whose stretches are at most STEEPEST and at least FLATTEST times as steep as the whole."""
    speed = sum(gap.distance for gap in profile)
    return [
        replace(gap, distance=min(max(gap.distance, FLATTEST * mean), STEEPEST * mean))
        for gap in profile
        for mean in [speed * (gap.end - gap.begin)]
    ]


def nfe(segments: int, total: int, steps: int, guidance: float, unguided: int = 1) -> int:
    """Function evaluations of the drafts, at most; ``unguided``: 1 if guidance leads away from the source's prompt."""
    rounds = _rounds(segments, total, steps)
    return sum(render_nfe(1 + segments + n, drafted(steps), guidance, unguided) for n in rounds)


def _rounds(segments: int, total: int, steps: int) -> list[int]:
    return plan_rounds(segments, total, steps, EXTRA) if total > segments + 1 else []
