"""Pacing: an animation's frames equally far apart to the eye, not in t.

A survey of few drafts tells where much happens at once; the frames' times are then laid so that equal time means equal
change (DiffMorpher's rescheduling, for a fraction of its second pass).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from laser_cli.engine.models import Model
from laser_cli.engine.render import Between, Manner, Score, render
from laser_cli.engine.schedule import every
from laser_cli.stages.distances import Distance, rms
from laser_cli.stages.invert import Report
from laser_cli.stages.survey import Profile, decoded, drafted, plan_rounds, stride, survey, time_at

EXTRA = 0.15
"""What drafts may cost, as a share of the drawing itself."""
STEEPEST, FLATTEST = 2.0, 0.2
"""A stretch changes at most and at least so many times as fast as the whole way: a jump does not swallow the frames."""


@torch.inference_mode()
def paced(
    model: Model, score: Score, manner: Manner, distance: Distance = rms, report: Report = lambda rows: None
) -> Score:
    """The score with its frames moved in time so that equal time is equal change; the same if drafts cost too much."""
    segments, steps = len(score.keyframes) - 1, score.source.steps
    total = len(score.frames) + segments + 1
    rounds = _rounds(segments, total, steps)
    if not rounds:
        return score
    levels = every(model.schedule.levels(steps), stride(steps))
    source = score.source.every(stride(steps))

    def look(places: Sequence[Between]) -> tuple[list[Tensor], list[Tensor]]:
        return decoded(
            model, render(model.unet, model.eps, levels, Score(source, score.keyframes, places), manner), report
        )

    profiles = [tempered(profile) for profile in survey(look, segments, rounds, total, distance)]
    return replace(score, frames=[Between(f.end, time_at(profiles[f.end - 1], f.t)) for f in score.frames])


def tempered(profile: Profile) -> Profile:
    """A profile whose stretches are at most STEEPEST and at least FLATTEST times as steep as the whole."""
    speed = sum(gap.distance for gap in profile)
    return [
        replace(gap, distance=min(max(gap.distance, FLATTEST * mean), STEEPEST * mean))
        for gap in profile
        for mean in [speed * (gap.end - gap.begin)]
    ]


def evaluations(segments: int, total: int, steps: int, guidance: float) -> int:
    """U-Net evaluations of the drafts, at most."""
    guided = 2 if guidance != 1 else 1
    return sum(drafted(steps) * (1 + (segments + n) * guided) for n in _rounds(segments, total, steps))


def _rounds(segments: int, total: int, steps: int) -> list[int]:
    return plan_rounds(segments, total, steps, EXTRA) if total > segments + 1 else []
