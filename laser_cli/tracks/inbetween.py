"""A face track out of a few key poses: in-betweens by spline, holds, blinks, and the way from the portrait there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from random import Random

import numpy as np

from laser_cli.tracks.names import COLUMNS
from laser_cli.tracks.schema import FaceTrack

HOLD = 0.3
"""Seconds that a key pose stays before the face goes on."""
BLINK = ((0.0, 0.0), (0.08, 1.0), (0.12, 1.0), (0.28, 0.0))
"""A blink's course: seconds since it began, and how far the lids are closed."""
BLINK_EVERY = (2.0, 5.0)
"""Seconds from one blink to the next, at least and at most."""
LIDS = ("eyeBlinkLeft", "eyeBlinkRight")
LID_SECONDS = 0.25
"""The most that lids take to close and to open again: a slow wink looks asleep."""


@dataclass(frozen=True)
class Pose:
    """A face at a moment: `at` seconds, values by column; a column that is left out is at rest, 0."""

    at: float
    values: Mapping[str, float] = field(default_factory=dict)


def draw_track(
    poses: Sequence[Pose], fps: float, frames: int, *, hold: float = HOLD, even: bool = False, source: str = ""
) -> FaceTrack:
    """The track of `frames` frames through key poses in rising order, each held for `hold` seconds.

    Between poses every value runs on a monotone cubic spline that starts and ends at rest, so nothing overshoots; or,
    `even`, at one speed and without holds, at rest only where it turns. What no pose moves is no column of the track: a
    portrait's own head stays as it is held.
    """
    kept = list(poses) if even else with_holds(poses, hold)
    times = np.array([pose.at for pose in kept])
    columns = tuple(name for name in COLUMNS if any(pose.values.get(name) for pose in kept)) or LIDS
    at, curves = np.arange(frames) / fps, []
    for name in columns:
        values = np.array([pose.values.get(name, 0.0) for pose in kept])
        curves.append(monotone_spline(*(_quick(times, values) if name in LIDS else (times, values)), at, even))
    return FaceTrack.of(fps, columns, np.stack(curves, 1), source)


def _quick(times: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Points in between, so that lids that close and open again do so just before and just after they are closed.

    Eyes that stay closed, or wake up, take the time they are given.
    """
    points, ways = [(times[0], values[0])], np.sign(np.diff(values))
    for i, way in enumerate(ways):
        others = ways[i + 1 :] if way > 0 else ways[:i][::-1]
        other = next((each for each in others if each), 0)
        if way * other < 0 and times[i + 1] - times[i] > LID_SECONDS:
            points.append(
                (times[i + 1] - LID_SECONDS, values[i]) if way > 0 else (times[i] + LID_SECONDS, values[i + 1])
            )
        points.append((times[i + 1], values[i + 1]))
    return np.array([time for time, _ in points]), np.array([value for _, value in points])


def with_holds(poses: Sequence[Pose], hold: float) -> list[Pose]:
    """Every pose but the first and the last twice, `hold` seconds apart around its moment.

    Where poses are close, a hold takes at most half of the shorter way to a neighbour, so that there is time to move.
    """
    held = list(poses[:1])
    for before, pose, after in zip(poses, poses[1:], poses[2:], strict=False):
        half = min(hold, (pose.at - before.at) / 2, (after.at - pose.at) / 2) / 2
        held += [Pose(pose.at - half, pose.values), Pose(pose.at + half, pose.values)] if half > 0 else [pose]
    return [*held, *poses[1:][-1:]]


def monotone_spline(times: np.ndarray, values: np.ndarray, at: np.ndarray, even: bool = False) -> np.ndarray:
    """The piecewise cubic through `values` at rising `times`, read at `at`; flat at its ends and beyond them.

    Slopes are Fritsch and Carlson's (SIAM J. Numer. Anal. 17, 1980): zero where the values turn, so that each piece
    stays between its ends. `even`: pieces are straight but for where the values turn.
    """
    if len(times) == 1:
        return np.full(len(at), values[0], float)
    steps, rises = np.diff(times), np.diff(values)
    secants, slopes = rises / steps, np.zeros(len(times))
    before, after = secants[:-1], secants[1:]
    rising = before * after > 0
    near, far = 2 * steps[1:] + steps[:-1], steps[1:] + 2 * steps[:-1]
    slopes[1:-1][rising] = (near + far)[rising] / (near[rising] / before[rising] + far[rising] / after[rising])
    leaving, reaching = slopes[:-1], slopes[1:]
    if even:
        turns = before * after < 0
        leaving, reaching = secants.copy(), secants.copy()
        leaving[1:][turns] = reaching[:-1][turns] = 0.0
    i = np.clip(np.searchsorted(times, at, side="right") - 1, 0, len(steps) - 1)
    t = np.clip((at - times[i]) / steps[i], 0, 1)
    start, end = values[i], values[i + 1]
    ease = t * t * (3 - 2 * t)
    return start + (end - start) * ease + steps[i] * t * (1 - t) * (leaving[i] * (1 - t) - reaching[i] * t)


def with_blinks(track: FaceTrack, seed: int = 0, *, margin: float = 0.4) -> FaceTrack:
    """The track with blinks where nothing is said of the lids; the same seed gives the same blinks.

    None comes within `margin` seconds of the start, of the end, or of a moment when a lid is told to move.
    """
    random, blink = Random(seed), np.array(BLINK)
    at = np.arange(len(track.frames)) / track.fps
    told = at[np.maximum(track[LIDS[0]], track[LIDS[1]]) > 0.05]
    length, closed = blink[-1, 0], np.zeros(len(at))
    start = random.uniform(margin, BLINK_EVERY[1])
    while start + length <= track.duration - margin:
        if not ((told >= start - margin) & (told <= start + length + margin)).any():
            closed = np.maximum(closed, np.interp(at - start, blink[:, 0], blink[:, 1]))
        start += length + random.uniform(*BLINK_EVERY)
    if not closed.any():
        return track
    columns = (*track.columns, *(name for name in LIDS if name not in track.columns))
    values = np.stack([np.maximum(track[name], closed) if name in LIDS else track[name] for name in columns], 1)
    return FaceTrack.of(track.fps, columns, values, track.source)


def lead_in(track: FaceTrack, start: Mapping[str, float], seconds: float = 0.5) -> FaceTrack:
    """The track after `seconds` of movement from the values `start` (by column, 0 for those left out) to its first.

    The first frame is `start`, so that an animation begins with the portrait as it is. Columns of a place have no
    rest value and wait at the track's own.
    """
    frames = max(1, round(seconds * track.fps))
    columns = (*track.columns, *(name for name in COLUMNS if name in start and name not in track.columns))
    curves = []
    for name in columns:
        column = track[name]
        first = start.get(name, column[0] if name in ("x", "y", "z") else 0.0)
        way = monotone_spline(np.array([0.0, frames]), np.array([first, column[0]]), np.arange(frames))
        curves.append(np.concatenate([way, column]))
    return FaceTrack.of(track.fps, columns, np.stack(curves, 1), track.source)
