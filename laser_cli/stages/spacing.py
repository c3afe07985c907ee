"""When the frames between stops are: evenly in t, by a beta distribution, or equally far apart to the eye.

The way from one stop to the next is nearly discontinuous in t: little happens for long, then much at once. Even spacing
looks before it draws: a draft of few frames at few steps, then more of them where they differ most. A stretch that does
not get shorter when it is halved is a jump: it is not halved for ever, but bridged by other means (engine.between).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, pairwise

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

Look = Callable[[Sequence[Between]], tuple[list[Tensor], list[Tensor]]]
"""Draws drafts at these places: pictures of all stops, and of the places."""

EXTRA = 0.45
"""What drafts may cost, as a share of the drawing itself."""
DRAFT_STEPS, MOST_ROUNDS, MOST_PROBES = 7, 5, 48
"""Few steps and many drafts: 9 of 7 steps tell where a 25-step way turns far better than the 4 of 13 that cost as much
(largest / median of 7 frames between two settings 1.12 and 1.79; 6.3 without drafts)."""
STUBBORN, EASED = 0.75, 0.5
"""Halved, a jump keeps this share of its length at least on one side, and this at most on the other."""
TIMES = 2
"""Halvings that a stretch withstands before it is a jump."""
HALVINGS = 40
WORTH = 1.25
"""A stretch is halved only if it is so many times as long as one frame's step is to be."""
BRIDGE_AT = 0.7
"""The share of the steps after which bridged frames begin. Largest / median distance over six jumps (median): 1.7 so,
2.6 at 0.5 (they snap to one side), 2.6 unbridged, by a longer warm-up, or by mixing the predictions of both sides; 1.9
when they read the neighbours' keys and values as well."""


@dataclass(frozen=True)
class Gap:
    """A stretch of a segment between two drafts: its ends in t, how far apart they are, the halvings it withstood."""

    begin: float
    end: float
    distance: float
    withstood: int = 0

    @property
    def jump(self) -> bool:
        """Whether it does not get shorter."""
        return self.withstood >= TIMES


Profile = list[Gap]
"""A segment's gaps in order, from 0 to 1."""


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


def survey(look: Look, segments: int, rounds: Sequence[int], target: int, distance: Distance) -> list[Profile]:
    """Measures every segment: in the first round so many drafts evenly, in the next ones halves the longest gaps.

    ``target``: the frames that are to be laid; gaps hardly longer than their step are left alone.
    """
    each = max(1, rounds[0] // segments)
    first = [Between(end, (i + 1) / (each + 1)) for end in range(1, segments + 1) for i in range(each)]
    stops, drafts = look(first)
    seen = {(end, float(t)): stops[end - 1 + t] for end in range(1, segments + 1) for t in (0, 1)}
    seen |= {(f.end, f.t): picture for f, picture in zip(first, drafts, strict=True)}
    profiles = []
    for end in range(1, segments + 1):
        ways = pairwise([0.0, *(f.t for f in first if f.end == end), 1.0])
        profiles.append([Gap(a, b, distance(seen[end, a], seen[end, b])) for a, b in ways])
    for count in rounds[1:]:
        step = sum(gap.distance for profile in profiles for gap in profile) / max(1, target - 1)
        wanted = [(gap.distance, end, gap) for end, p in enumerate(profiles, 1) for gap in p]
        wanted = [w for w in wanted if w[0] > WORTH * step and not w[2].jump]
        chosen = sorted(wanted, key=lambda w: (-w[0], w[1], w[2].begin))[:count]
        if not chosen:
            break
        chosen.sort(key=lambda w: (w[1], w[2].begin))
        middles = [Between(end, (gap.begin + gap.end) / 2) for _, end, gap in chosen]
        for (_, end, gap), f, picture in zip(chosen, middles, look(middles)[1], strict=True):
            seen[end, f.t] = picture
            profile = profiles[end - 1]
            k = profile.index(gap)
            left, right = distance(seen[end, gap.begin], picture), distance(picture, seen[end, gap.end])
            profile[k : k + 1] = _halves(gap, f.t, left, right)
    return profiles


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
    rounds = plan_rounds(segments, total, approach.steps)
    if approach.method == "dissolve" or not rounds or total <= segments + 1:
        return None
    # a schedule of its own would begin at another noise level, and turn elsewhere on the way
    levels = every(model.schedule.levels(approach.steps), _stride(approach.steps))
    quick = replace(approach, steps=len(levels))
    drafted = replace(chain, stops=[_coarse(stop, _stride(approach.steps)) for stop in chain.stops])

    def look(places: Sequence[Between]) -> tuple[list[Tensor], list[Tensor]]:
        way = way_of(drafted, quick, Course(places, ()))
        ends: list[Tensor] = []
        frames: list[Tensor] = []
        for step in interpolate(model.unet, model.eps, levels, way, quick.manner, quick.blend):
            report(step.rows)
            if step.drawn is not None:
                (ends if step.drawn.keyframe >= 0 else frames).extend(model.decode(step.drawn.latents))
        return ends, frames

    return survey(look, segments, rounds, total, distance)


def plan_rounds(segments: int, total: int, steps: int) -> list[int]:
    """Drafts in each round, so that all cost at most EXTRA of the drawing; none if there is room for none."""
    room = EXTRA * total * steps / -(-steps // _stride(steps))  # in drafts
    for count in range(MOST_ROUNDS, 0, -1):
        probes = min(MOST_PROBES, int(room - count * (segments + 1)))
        if probes >= (4 * count if count > 1 else segments):
            first = probes if count == 1 else max(segments, probes // 2)
            later = [(probes - first) // (count - 1)] * (count - 1) if count > 1 else []
            return [first, *(n for n in later if n)]
    return []


def drafting(segments: int, total: int, steps: int, guidance: float) -> int:
    """U-Net evaluations of the drafts, at most."""
    rounds = plan_rounds(segments, total, steps) if total > segments + 1 else []
    return sum(evaluations(segments + 1, n, -(-steps // _stride(steps)), guidance) for n in rounds)


def _stride(steps: int) -> int:
    """A draft takes every so many of the steps."""
    return -(-steps // DRAFT_STEPS)


def _coarse(stop: Stop, stride: int) -> Stop:
    """A stop for drafts: a picture's trajectory at the levels that are left."""
    if not stop.trajectory:
        return stop
    latents = stop.trajectory.latents
    kept = torch.cat([latents[:1], latents[1:].flip(0)[::stride].flip(0)])
    return replace(stop, trajectory=replace(stop.trajectory, latents=kept))


def _halves(gap: Gap, middle: float, left: float, right: float) -> list[Gap]:
    """A gap's two halves; the one that took nearly all of it over has withstood once more."""
    steep = max(left, right) >= STUBBORN * gap.distance and min(left, right) <= EASED * gap.distance
    withstood = [gap.withstood + 1 if steep and d == max(left, right) else 0 for d in (left, right)]
    return [Gap(gap.begin, middle, left, withstood[0]), Gap(middle, gap.end, right, withstood[1])]


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
        times += [_time(piece, j / steps) for j in range(1, steps + 1)]
    return times[:-1], spans


def _time(piece: Profile, share: float) -> float:
    """The t at which a share of a piece's length is done.

    Between the drafts the length done is a monotone cubic of t (Fritsch and Carlson, 1980), so that frames do not bunch
    where one gap ends and the next begins.
    """
    marks = [0.0, *accumulate(gap.distance for gap in piece)]
    if marks[-1] <= 0:
        return piece[0].begin + share * (piece[-1].end - piece[0].begin)
    wanted = share * marks[-1]
    i = next((i for i, mark in enumerate(marks[1:]) if wanted <= mark), len(piece) - 1)
    gap, (before, after) = piece[i], _speeds(piece)[i : i + 2]
    width = gap.end - gap.begin
    low, high = 0.0, 1.0
    for _ in range(HALVINGS):
        u = (low + high) / 2
        done = gap.distance * u * u * (3 - 2 * u) + width * u * (1 - u) * ((1 - u) * before - u * after)
        low, high = (u, high) if marks[i] + done < wanted else (low, u)
    return gap.begin + width * (low + high) / 2


def _speeds(piece: Profile) -> list[float]:
    """Distance by t at the ends of all gaps: weighted harmonic means of the gaps on both sides."""
    widths = [gap.end - gap.begin for gap in piece]
    speeds = [gap.distance / width for gap, width in zip(piece, widths, strict=True)]
    inner = []
    for (h, k), (a, b) in zip(pairwise(widths), pairwise(speeds), strict=True):
        inner.append(3 * (h + k) / ((2 * k + h) / a + (k + 2 * h) / b) if a > 0 and b > 0 else 0.0)
    return [speeds[0], *inner, speeds[-1]]


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
