"""When the frames between keyframes are: evenly in t, by a beta distribution, or equally far apart to the eye.

Even spacing drafts before it renders (stages.profile); over a jump frames start late, on an arc (engine.spec).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import accumulate

import torch
from torch import Tensor

from laser_cli.engine.beta import beta_ppf
from laser_cli.engine.render import nfe as render_nfe
from laser_cli.engine.render import render
from laser_cli.engine.schedule import every
from laser_cli.engine.spec import Arc, Frame
from laser_cli.errors import BadInputError
from laser_cli.models.model import Model
from laser_cli.plan.schema import share_frames
from laser_cli.stages.distances import Distance, rms
from laser_cli.stages.interpolate import Endpoints, FrameSchedule, InterpolationParams, spec_of
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

EXTRA = 0.45
"""What drafts may cost, as a share of the rendering itself."""
BRIDGE_AT = 0.7
"""The share of the steps after which bridged frames begin. Largest / median distance over six jumps (median): 1.7 so,
2.6 at 0.5 (they snap to one side), 2.6 unbridged, by a longer warm-up, or by mixing the predictions of both sides; 1.9
when they read the neighbours' keys and values as well."""


def uniform(total: int, segments: int) -> FrameSchedule:
    """Frames evenly in t, the segments equally long."""
    return _schedule([[Frame(k, j / n) for j in range(1, n)] for k, n in enumerate(_steps(total, [1] * segments))])


def by_beta(total: int, segments: int, a: float, b: float) -> FrameSchedule:
    """t_j = BetaPPF(j / n; a, b) in every segment (AID, section 3.4; it recommends a = b = steps)."""
    steps = enumerate(_steps(total, [1] * segments))
    return _schedule([[Frame(k, beta_ppf(j / n, a, b)) for j in range(1, n)] for k, n in steps])


def even(total: int, profiles: Sequence[DistanceProfile], steps: int) -> FrameSchedule:
    """Frames equally far apart along measured segments, jumps bridged; a longer segment gets more of the frames."""
    lengths = [sum(gap.distance for gap in profile) for profile in profiles]
    if sum(lengths) <= 0:
        return uniform(total, len(profiles))
    segments: list[list[Frame]] = []
    first = 0
    for k, (n, profile) in enumerate(zip(_steps(total, _weights(lengths)), profiles, strict=True)):
        times, spans = _lay(n, profile)
        frames = [Frame(k, t) for t in times]
        for span in spans:
            bridge(frames, *span, int(steps * BRIDGE_AT), first)
        segments.append(frames)
        first += len(frames)
    return _schedule(segments)


def bridge(frames: list[Frame], first: int, last: int, step: int, offset: int = 0) -> None:
    """Lets frames ``first`` to ``last`` of a segment start at ``step``, on the arc between their two neighbours.

    ``offset``: the number of the segment's first frame among all. At the segment's ends the neighbours are keyframes.
    """
    left = first - 1 + offset if first > 0 else None
    right = last + 1 + offset if last + 1 < len(frames) else None
    for j in range(first, last + 1):
        arc = Arc(left, right, (j - first + 1) / (last - first + 2))
        frames[j] = replace(frames[j], start_step=step, arc=arc)


@torch.inference_mode()
def measure(
    model: Model,
    endpoints: Endpoints,
    params: InterpolationParams,
    total: int,
    distance: Distance = rms,
    report: Report = lambda nfe: None,
) -> list[DistanceProfile] | None:
    """The profiles of all segments from drafts; None if there is nothing to lay, or no room for drafts."""
    segments, steps = len(endpoints.keyframes) - 1, params.steps
    rounds = plan_rounds(segments, total, steps, EXTRA)
    if params.method == "dissolve" or not rounds or total <= segments + 1:
        return None
    # a schedule of its own would begin at another noise level, and turn elsewhere on the way
    levels = every(model.schedule.levels(steps), stride(steps))
    quick = replace(params, steps=len(levels))
    brief = replace(endpoints, keyframes=[coarse(keyframe, stride(steps)) for keyframe in endpoints.keyframes])

    def draft(frames: Sequence[Frame]) -> tuple[list[Tensor], list[Tensor]]:
        spec = spec_of(brief, quick, frames)
        return decoded(model, render(model.backbone, levels, spec, quick.sampling, workers=model.workers), report)

    return measure_profiles(draft, segments, rounds, total, distance)


def drafting_nfe(segments: int, total: int, steps: int, guidance: float) -> int:
    """Function evaluations of the drafts, at most."""
    rounds = plan_rounds(segments, total, steps, EXTRA) if total > segments + 1 else []
    return sum(render_nfe(segments + 1 + n, drafted(steps), guidance) for n in rounds)


def _lay(n: int, profile: DistanceProfile) -> tuple[list[float], list[tuple[int, int]]]:
    """The n - 1 times within a segment, and which of them (first, last) span a jump.

    The segment is cut at its jumps; each piece gets steps by its length, and lays its own evenly.
    """
    pieces: list[DistanceProfile] = []
    for gap in profile:
        if not pieces or gap.jump or pieces[-1][-1].jump:
            pieces.append([])
        pieces[-1].append(gap)
    lengths = [sum(gap.distance for gap in piece) for piece in pieces]
    if len(pieces) > n or min(lengths) <= 0:
        pieces, lengths = [profile], [1.0]
    times: list[float] = []
    spans = []
    for piece, steps in zip(pieces, _steps(n + 1, _weights(lengths)), strict=True):
        if len(piece) == 1 and piece[0].jump and steps > 1:
            spans.append((len(times), len(times) + steps - 2))
        times += [time_at(piece, j / steps) for j in range(1, steps + 1)]
    return times[:-1], spans


def _steps(total: int, weights: Sequence[int]) -> list[int]:
    """Split ``total`` - 1 steps among the parts in proportion to their weights; BadInputError if one would get none."""
    if total - 1 < len(weights):
        what = f"{total} frames are too few for {len(weights) + 1} stops"
        raise BadInputError(what, hint=f"--frames {len(weights) + 1} or more")
    return [n - 1 for n in share_frames(total, weights)]


def _weights(lengths: Sequence[float]) -> list[int]:
    """Lengths as whole numbers, none of them 0: the same shares on every machine."""
    return [max(1, round(1_000_000 * length / sum(lengths))) for length in lengths]


def _schedule(segments: Sequence[Sequence[Frame]]) -> FrameSchedule:
    """The schedule of these frames, segment by segment."""
    places = [0, *accumulate(len(frames) + 1 for frames in segments)]
    return FrameSchedule([frame for frames in segments for frame in frames], places)
