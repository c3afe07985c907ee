"""When the frames between stops are: evenly in t, by a beta distribution, or equally far apart to the eye.

Even spacing looks before it draws (stages.survey); a jump is bridged by other means (engine.between).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import accumulate

import torch
from torch import Tensor

from laser_cli.engine.beta import beta_ppf
from laser_cli.engine.between import Bridge, Stop, evaluations, interpolate
from laser_cli.engine.models import Model
from laser_cli.engine.render import Between
from laser_cli.engine.schedule import every
from laser_cli.errors import BadInputError
from laser_cli.plan.schema import share_frames
from laser_cli.stages.distances import Distance, rms
from laser_cli.stages.interpolate import Approach, Chain, Course, way_of
from laser_cli.stages.invert import Report
from laser_cli.stages.survey import Profile, decoded, drafted, plan_rounds, stride, survey, time_at

EXTRA = 0.45
"""What drafts may cost, as a share of the drawing itself."""
BRIDGE_AT = 0.7
"""The share of the steps after which bridged frames begin. Largest / median distance over six jumps (median): 1.7 so,
2.6 at 0.5 (they snap to one side), 2.6 unbridged, by a longer warm-up, or by mixing the predictions of both sides; 1.9
when they read the neighbours' keys and values as well."""


def uniform(total: int, segments: int) -> Course:
    """Frames evenly in t, the segments equally long."""
    return _course([[j / n for j in range(1, n)] for n in _steps(total, [1] * segments)])


def by_beta(total: int, segments: int, a: float, b: float) -> Course:
    """t_j = BetaPPF(j / n; a, b) in every segment (AID, section 3.4; it recommends a = b = steps)."""
    return _course([[beta_ppf(j / n, a, b) for j in range(1, n)] for n in _steps(total, [1] * segments)])


def even(total: int, profiles: Sequence[Profile], steps: int) -> Course:
    """Frames equally far apart along measured segments, jumps bridged; a longer segment gets more of the frames."""
    lengths = [sum(gap.distance for gap in profile) for profile in profiles]
    if sum(lengths) <= 0:
        return uniform(total, len(profiles))
    times: list[list[float]] = []
    bridges: list[Bridge] = []
    at = 0
    for n, profile in zip(_steps(total, _weights(lengths)), profiles, strict=True):
        here, spans = _lay(n, profile)
        bridges += [Bridge(at + first, at + last, int(steps * BRIDGE_AT)) for first, last in spans]
        times.append(here)
        at += len(here)
    return replace(_course(times), bridges=bridges)


@torch.inference_mode()
def measure(
    model: Model,
    chain: Chain,
    approach: Approach,
    total: int,
    distance: Distance = rms,
    report: Report = lambda rows: None,
) -> list[Profile] | None:
    """The profiles of a chain's segments from drafts of it; None if there is nothing to lay, or no room for drafts."""
    segments = len(chain.stops) - 1
    rounds = plan_rounds(segments, total, approach.steps, EXTRA)
    if approach.method == "dissolve" or not rounds or total <= segments + 1:
        return None
    # a schedule of its own would begin at another noise level, and turn elsewhere on the way
    levels = every(model.schedule.levels(approach.steps), stride(approach.steps))
    quick = replace(approach, steps=len(levels))
    brief = replace(chain, stops=[_coarse(stop, stride(approach.steps)) for stop in chain.stops])

    def look(places: Sequence[Between]) -> tuple[list[Tensor], list[Tensor]]:
        way = way_of(brief, quick, Course(places, ()))
        drafts = interpolate(model.unet, model.eps, levels, way, quick.manner, quick.blend)
        return decoded(model, drafts, report)

    return survey(look, segments, rounds, total, distance)


def drafting(segments: int, total: int, steps: int, guidance: float) -> int:
    """U-Net evaluations of the drafts, at most."""
    rounds = plan_rounds(segments, total, steps, EXTRA) if total > segments + 1 else []
    return sum(evaluations(segments + 1, n, drafted(steps), guidance) for n in rounds)


def _coarse(stop: Stop, stride: int) -> Stop:
    """A stop for drafts: a picture's trajectory at the levels that are left."""
    return replace(stop, trajectory=stop.trajectory.every(stride)) if stop.trajectory else stop


def _lay(n: int, profile: Profile) -> tuple[list[float], list[tuple[int, int]]]:
    """The n - 1 times within a segment, and which of them (first, last) span a jump.

    The segment is cut at its jumps; each piece gets steps by its length, and lays its own evenly.
    """
    pieces: list[Profile] = []
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
    """Steps of each part, ``total`` - 1 together, by weight; BadInputError if they are too few."""
    if total - 1 < len(weights):
        what = f"{total} frames are too few for {len(weights) + 1} stops"
        raise BadInputError(what, hint=f"--frames {len(weights) + 1} or more")
    return [n - 1 for n in share_frames(total, weights)]


def _weights(lengths: Sequence[float]) -> list[int]:
    """Lengths as whole numbers, none of them 0: the same shares on every machine."""
    return [max(1, round(1_000_000 * length / sum(lengths))) for length in lengths]


def _course(times: Sequence[Sequence[float]]) -> Course:
    """The course of these times, segment by segment."""
    places = [0, *accumulate(len(one) + 1 for one in times)]
    return Course([Between(end, t) for end, one in enumerate(times, start=1) for t in one], places)
