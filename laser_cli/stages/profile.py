"""Distance profiles: drafts of a segment tell where it changes, and how much.

The way from one picture to the next is nearly discontinuous in t: little happens for long, then much at once. Few
frames are drafted at few steps, then more of them where they differ most. A stretch that does not get shorter when it
is halved is a jump: it is not halved for ever.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, pairwise

from torch import Tensor

from laser_cli.engine.spec import Frame, Keyframe, Step
from laser_cli.models.model import Model
from laser_cli.stages.distances import Distance

Draft = Callable[[Sequence[Frame]], tuple[list[Tensor], list[Tensor]]]
"""Renders drafts of these frames: pictures [3, h, w] of all keyframes, and of the frames."""

DRAFT_STEPS, MOST_ROUNDS, MOST_PROBES = 5, 5, 48
"""Few steps and many drafts: of 12 animations of 14 steps 92 % have largest / median neighbours <= 1.5 where drafts
take 5 steps, 83 % where fewer take 7 for the same cost."""
STUBBORN, EASED = 0.75, 0.5
"""Halved, a jump keeps this share of its length at least on one side, and this at most on the other."""
TIMES = 2
"""Halvings that a stretch withstands before it is a jump."""
HALVINGS = 40
WORTH = 1.25
"""A stretch is halved only if it is so many times as long as one frame's step is to be."""


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


DistanceProfile = list[Gap]
"""A segment's gaps in order, from 0 to 1."""


def measure_profiles(
    draft: Draft, segments: int, rounds: Sequence[int], target: int, distance: Distance
) -> list[DistanceProfile]:
    """The profile of every segment: in the first round so many drafts evenly, in the next ones the longest gaps halved.

    ``target``: the frames that are to be laid; gaps hardly longer than their step are left alone.
    """
    each = max(1, rounds[0] // segments)
    first = [Frame(k, (i + 1) / (each + 1)) for k in range(segments) for i in range(each)]
    ends, drafts = draft(first)
    seen = {(k, float(t)): ends[k + t] for k in range(segments) for t in (0, 1)}
    seen |= {(f.segment, f.t): picture for f, picture in zip(first, drafts, strict=True)}
    profiles = []
    for k in range(segments):
        stretches = pairwise([0.0, *(f.t for f in first if f.segment == k), 1.0])
        profiles.append([Gap(a, b, distance(seen[k, a], seen[k, b])) for a, b in stretches])
    for count in rounds[1:]:
        step = sum(gap.distance for profile in profiles for gap in profile) / max(1, target - 1)
        wanted = [(gap.distance, k, gap) for k, profile in enumerate(profiles) for gap in profile]
        wanted = [w for w in wanted if w[0] > WORTH * step and not w[2].jump]
        chosen = sorted(wanted, key=lambda w: (-w[0], w[1], w[2].begin))[:count]
        if not chosen:
            break
        chosen.sort(key=lambda w: (w[1], w[2].begin))
        middles = [Frame(k, (gap.begin + gap.end) / 2) for _, k, gap in chosen]
        for (_, k, gap), f, picture in zip(chosen, middles, draft(middles)[1], strict=True):
            seen[k, f.t] = picture
            profile = profiles[k]
            at = profile.index(gap)
            left, right = distance(seen[k, gap.begin], picture), distance(picture, seen[k, gap.end])
            profile[at : at + 1] = _halves(gap, f.t, left, right)
    return profiles


def decoded(model: Model, steps: Iterable[Step], report: Callable[[int], object]) -> tuple[list[Tensor], list[Tensor]]:
    """The pictures of a render: of its keyframes, and of its frames; ``report`` is told its function evaluations."""
    keyframes: list[Tensor] = []
    frames: list[Tensor] = []
    for step in steps:
        report(step.nfe)
        if step.finished is not None:
            (keyframes if step.finished.keyframe >= 0 else frames).extend(model.decode(step.finished.latents))
    return keyframes, frames


def coarse(keyframe: Keyframe, stride: int) -> Keyframe:
    """A keyframe for drafts: its trajectory, if it has one, at the levels that are left."""
    trajectory = keyframe.trajectory
    return replace(keyframe, trajectory=trajectory.every(stride)) if trajectory else keyframe


def plan_rounds(segments: int, total: int, steps: int, extra: float) -> list[int]:
    """Drafts in each round, so that all cost at most the share ``extra`` of the rendering; none if there is no room."""
    room = extra * total * steps / drafted(steps)  # in drafts
    for count in range(MOST_ROUNDS, 0, -1):
        probes = min(MOST_PROBES, int(room - count * (segments + 1)))
        if probes >= (4 * count if count > 1 else segments):
            first = probes if count == 1 else max(segments, probes // 2)
            later = [(probes - first) // (count - 1)] * (count - 1) if count > 1 else []
            return [first, *(n for n in later if n)]
    return []


def stride(steps: int) -> int:
    """A draft takes every so many of the steps."""
    return -(-steps // DRAFT_STEPS)


def drafted(steps: int) -> int:
    """Steps of a draft."""
    return -(-steps // stride(steps))


def time_at(piece: DistanceProfile, share: float) -> float:
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


def _speeds(piece: DistanceProfile) -> list[float]:
    """Distance by t at the ends of all gaps: weighted harmonic means of the gaps on both sides."""
    widths = [gap.end - gap.begin for gap in piece]
    speeds = [gap.distance / width for gap, width in zip(piece, widths, strict=True)]
    inner = []
    for (h, k), (a, b) in zip(pairwise(widths), pairwise(speeds), strict=True):
        inner.append(3 * (h + k) / ((2 * k + h) / a + (k + 2 * h) / b) if a > 0 and b > 0 else 0.0)
    return [speeds[0], *inner, speeds[-1]]


def _halves(gap: Gap, middle: float, left: float, right: float) -> list[Gap]:
    """A gap's two halves; the one that took nearly all of it over has withstood once more."""
    steep = max(left, right) >= STUBBORN * gap.distance and min(left, right) <= EASED * gap.distance
    withstood = [gap.withstood + 1 if steep and d == max(left, right) else 0 for d in (left, right)]
    return [Gap(gap.begin, middle, left, withstood[0]), Gap(middle, gap.end, right, withstood[1])]
