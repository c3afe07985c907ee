"""Pacing: frames equally far apart to the eye, not in t.

The way from one keyframe to the next is uneven: little happens for long, then much at once. A quick draft, few frames
at few steps, measures where; the frames' times are then laid so that equal time means equal change (DiffMorpher's
rescheduling, for a fraction of its second pass).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate, pairwise

import torch

from laser_cli.engine.invert import Trajectory, invert
from laser_cli.engine.models import Model
from laser_cli.engine.render import Between, Manner, Score, render
from laser_cli.stages.invert import Inversion, Report

PROBES, PROBE_STEPS = 7, 8
"""Frames of a draft, shared by its segments (at least two each), and its steps."""
STEEPEST, FLATTEST = 2.0, 0.2
"""A stretch of the way counts at most and at least so many times the mean: a jump is not bisected for ever."""

Times = Sequence[float]


def even(distances: Sequence[float], wanted: Times) -> list[float]:
    """The t at which each wanted share (0..1) of the whole change is done; ``distances`` are those of equal steps in t.

    Monotone, 0 stays 0 and 1 stays 1; without any change t is the share itself.
    """
    mean = sum(distances) / len(distances)
    weights = [min(max(d, FLATTEST * mean), STEEPEST * mean) for d in distances] if mean > 0 else [1.0] * len(distances)
    done = [0.0, *accumulate(weights)]
    marks = [d / done[-1] for d in done]
    times = []
    for share in wanted:
        i = next((i for i, mark in enumerate(marks[1:]) if share <= mark), len(weights) - 1)
        inside = (share - marks[i]) / (marks[i + 1] - marks[i])
        times.append(min(1.0, (i + max(0.0, inside)) / len(weights)))
    return times


@torch.inference_mode()
def draft(
    model: Model, score: Score, inversion: Inversion, manner: Manner, report: Report = lambda rows: None
) -> list[list[float]]:
    """Distances of neighbours along every segment of the score, one more than its probes, from a quick draft of it."""
    levels = model.schedule.levels(min(PROBE_STEPS, inversion.steps))
    source = score.source
    latents = [source.latents[:1], *invert(model.eps, source.latents[:1], levels, source.states)]
    report(len(levels))
    segments = range(1, len(score.keyframes))
    each = probes_each(len(segments))
    probes = [Between(end, (i + 1) / (each + 1)) for end in segments for i in range(each)]
    quick = Score(Trajectory(torch.cat(latents), source.states, source.pinned), score.keyframes, probes)
    keyframes: dict[int, torch.Tensor] = {}
    frames: list[torch.Tensor] = []
    for step in render(model.unet, model.eps, levels, quick, manner):
        report(step.rows)
        if step.drawn is None:
            continue
        pictures = list(model.decode(step.drawn.latents))
        if step.drawn.keyframe >= 0:
            keyframes[step.drawn.keyframe] = pictures[0]
        else:
            frames += pictures
    distances = []
    for end in segments:
        way = [keyframes[end - 1], *frames[(end - 1) * each : end * each], keyframes[end]]
        distances.append([float((a - b).square().mean().sqrt()) for a, b in pairwise(way)])
    return distances


def probes_each(segments: int) -> int:
    """Frames of a draft in each of so many segments."""
    return max(2, PROBES // segments)


def evaluations(segments: int, steps: int, guidance: float) -> int:
    """U-Net evaluations of a draft."""
    steps = min(PROBE_STEPS, steps)
    return steps * (2 + segments * (probes_each(segments) + 1) * (2 if guidance != 1 else 1))
