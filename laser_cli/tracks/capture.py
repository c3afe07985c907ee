"""A capture: what was measured of a face, at uneven times and with gaps, before it becomes a track."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from laser_cli.errors import BadInputError
from laser_cli.tracks.names import SHAPES
from laser_cli.tracks.schema import FaceTrack

Filling = Literal["hold", "linear"]


@dataclass(frozen=True)
class Capture:
    """Measurements [n, columns] at `times` [n] in seconds, rising; NaN where nothing was measured.

    `notes` tell a user what was found odd; `source` names the file.
    """

    columns: tuple[str, ...]
    times: np.ndarray
    values: np.ndarray
    source: str = ""
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.values.shape != (len(self.times), len(self.columns)):
            raise ValueError(f"values {self.values.shape} for {len(self.times)} times, {len(self.columns)} columns")

    @property
    def fps(self) -> float:
        """The rate of neighbouring frames, whatever gaps there are; 30 for a single frame."""
        steps = np.diff(self.times)
        if not len(steps):
            return 30.0
        return round(float(1 / steps[steps <= 1.5 * np.median(steps)].mean()), 3)

    def noting(self, *notes: str) -> Capture:
        """The capture with more notes."""
        return replace(self, notes=(*self.notes, *notes))


def to_track(capture: Capture, fps: float | None = None, filling: Filling = "linear") -> tuple[FaceTrack, list[str]]:
    """The capture at an even rate (its own unless `fps` is given), gaps filled, and what has to be said about it.

    Raises BadInputError if nothing was measured at all.
    """
    clamped, notes = _clamp(capture)
    filled, more = fill(clamped, filling)
    rate = fps or filled.fps
    values = sample(filled.times, filled.values, rate)
    track = FaceTrack.of(rate, filled.columns, values, filled.source)
    return track, [*capture.notes, *notes, *more]


def fill(capture: Capture, filling: Filling = "linear") -> tuple[Capture, list[str]]:
    """The capture without gaps: the last measurement held, or a straight line to the next one; and notes about it.

    Before the first measurement and after the last, the nearest one is held. A column that was never measured goes.
    """
    missing = np.isnan(capture.values)
    if missing.all():
        raise BadInputError(
            f"nothing was measured in {capture.source or 'the capture'}",
            why=f"none of its {_count(len(capture.times), 'frame')} shows a face",
            hint="use a clip in which the face can be seen",
        )
    known = [i for i in range(len(capture.columns)) if not missing[:, i].all()]
    values = capture.values[:, known].copy()
    for column in values.T:
        at = np.flatnonzero(~np.isnan(column))
        if filling == "linear":
            column[:] = np.interp(capture.times, capture.times[at], column[at])
        else:
            before = np.searchsorted(at, np.arange(len(column)), side="right") - 1
            column[:] = column[at[np.maximum(before, 0)]]
    gaps = np.flatnonzero(missing[:, known].any(1))
    done = "filled with the values before them" if filling == "hold" else "filled in evenly from those around them"
    notes = [f"{_count(len(gaps), 'frame')} without a face ({runs(gaps)}) {done}"] if len(gaps) else []
    return replace(capture, columns=tuple(capture.columns[i] for i in known), values=values), notes


def cut(capture: Capture, start: float | None, end: float | None) -> Capture:
    """The part between two moments in seconds, both included, its times from 0."""
    low, high = start or 0.0, float(capture.times[-1]) if end is None else end
    kept = (capture.times >= low - 1e-6) & (capture.times <= high + 1e-6)
    if not kept.any():
        raise BadInputError(
            f"there is nothing between {low:g} and {high:g} seconds of {capture.source or 'the capture'}",
            why=f"it lasts {capture.times[-1]:g} seconds",
        )
    times = capture.times[kept]
    return replace(capture, times=times - times[0], values=capture.values[kept])


def sample(times: np.ndarray, values: np.ndarray, fps: float) -> np.ndarray:
    """Values [n, k] at rising `times` [n], read on straight lines at `fps` a second from the first to the last."""
    count = int(np.floor((times[-1] - times[0]) * fps + 1e-3)) + 1
    at = np.minimum(times[0] + np.arange(count) / fps, times[-1])
    return np.stack([np.interp(at, times, column) for column in values.T], 1)


def runs(frames: Sequence[int] | np.ndarray, most: int = 5) -> str:
    """Frame numbers in words: `3`, `14-25`, and how many more runs there are."""
    numbers = list(map(int, frames))
    if not numbers:
        return ""
    starts = [i for i, n in enumerate(numbers) if i == 0 or n != numbers[i - 1] + 1]
    spans = [(numbers[i], numbers[j - 1]) for i, j in zip(starts, [*starts[1:], len(numbers)], strict=True)]
    said = [f"{a}" if a == b else f"{a}-{b}" for a, b in spans[:most]]
    return ", ".join(said) + (f" and {_count(len(spans) - most, 'more place')}" if len(spans) > most else "")


def _clamp(capture: Capture) -> tuple[Capture, list[str]]:
    shapes = np.array([name in SHAPES for name in capture.columns])
    values = capture.values.copy()
    part = values[:, shapes]
    # up to a hundredth over is a tracker's ordinary rounding
    outside = int(((part < -0.01) | (part > 1.01)).sum())
    values[:, shapes] = np.clip(part, 0, 1)
    notes = [f"{_count(outside, 'value')} outside 0..1 clamped"] if outside else []
    return replace(capture, values=values), notes


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
