"""Ways: segments joined by `via` are one, with one course of time; where their keyframes stand follows from it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import accumulate, pairwise

from laser_cli.plan.easing import ease, time_of
from laser_cli.plan.schema import Segment, share_frames

FINE = 10**6
"""Shares of time are told in whole numbers of so many: the same on every machine."""


def ways(segments: Sequence[Segment]) -> Iterable[slice]:
    """The segments of every way, in order; most ways have one."""
    begin = 0
    for k, segment in enumerate(segments):
        if not segment.via:
            yield slice(begin, k + 1)
            begin = k + 1


def lengths(easing: str, distances: Sequence[float], frames: int) -> list[int]:
    """How many of a way's ``frames`` each of its segments takes, so that as much changes from one to the next.

    ``distances``: how far apart the keyframes are, in any unit. Keyframes count in both their segments.
    """
    whole = sum(distances)
    shares = [d / whole for d in distances] if whole > 0 else [1 / len(distances)] * len(distances)
    times = [time_of(easing, done) for done in (0.0, *accumulate(shares))]
    return share_frames(frames, [max(1, round(FINE * (end - begin))) for begin, end in pairwise(times)])


def spaced(segments: Sequence[Segment], distances: Sequence[float]) -> tuple[Segment, ...]:
    """The segments with their lengths shared anew within each way, as the distances of their keyframes ask."""
    made: list[Segment] = []
    for way in ways(segments):
        parts = segments[way]
        total = 1 + sum(part.frames - 1 for part in parts)
        shares = lengths(parts[-1].easing, distances[way], total)
        made += [part.model_copy(update={"frames": n}) for part, n in zip(parts, shares, strict=True)]
    return tuple(made)


def laid(segments: Sequence[Segment]) -> Iterable[tuple[int, float]]:
    """(segment, t) of all frames between keyframes, in order: eased over each way as a whole."""
    for way in ways(segments):
        parts = segments[way]
        marks = list(accumulate((part.frames - 1 for part in parts), initial=0))
        for k, (begin, end) in enumerate(pairwise(marks), start=way.start):
            done = [ease(parts[-1].easing, at / marks[-1]) for at in range(begin, end + 1)]
            yield from ((k, (now - done[0]) / (done[-1] - done[0])) for now in done[1:-1])


def apart(segments: Sequence[Segment], backs: Sequence[bool]) -> list[float]:
    """How far each segment's end is from the source, 0..1: 0 if it leads back there, and on a way in between."""
    shares: list[float] = []
    for way in ways(segments):
        begin, end = shares[-1] if shares else 0.0, 0.0 if backs[way.stop - 1] else 1.0
        count = way.stop - way.start
        shares += [begin + (end - begin) * (i + 1) / count for i in range(count)]
    return shares
