"""From one face's track to another's: how much of the movement to take, and from where it is counted."""

from __future__ import annotations

from typing import Literal

import numpy as np

from laser_cli.errors import BadInputError
from laser_cli.tracks.capture import sample
from laser_cli.tracks.names import SHAPES
from laser_cli.tracks.schema import FaceTrack

Mode = Literal["absolute", "relative"]


def retarget(
    track: FaceTrack,
    mode: Mode = "absolute",
    *,
    ratio: float = 1.0,
    neutral: int = 0,
    onto: dict[str, float] | None = None,
) -> FaceTrack:
    """The movement as another face makes it.

    absolute: every value times `ratio`. relative: `onto` (the portrait's own values by column, 0 for those left out)
    plus `ratio` times the change since the frame `neutral`. Place is always relative in the first sense: it has no
    rest value, so it is the neutral frame's plus `ratio` times the change. Blendshapes stay within 0..1, angles within
    180 degrees. Raises BadInputError for a neutral frame that is not there.
    """
    if not 0 <= neutral < len(track.frames):
        raise BadInputError(
            f"there is no frame {neutral} to take as neutral", why=f"the track has {len(track.frames)} frames, from 0"
        )
    values, out = track.values, np.empty((len(track.frames), len(track.columns)))
    for i, name in enumerate(track.columns):
        column = values[:, i]
        if name in ("x", "y", "z"):
            moved = column[neutral] + ratio * (column - column[neutral])
        elif mode == "relative":
            moved = (onto or {}).get(name, 0.0) + ratio * (column - column[neutral])
        else:
            moved = ratio * column
        low, high = (0.0, 1.0) if name in SHAPES else (-180.0, 180.0) if name not in ("x", "y", "z") else (None, None)
        out[:, i] = np.clip(moved, low, high) if high is not None else moved
    return track.with_values(out)


def resample(track: FaceTrack, fps: float) -> FaceTrack:
    """The track at another rate, on straight lines between its frames; its first frame and its duration stay."""
    times = np.arange(len(track.frames)) / track.fps
    return track.with_values(sample(times, track.values, fps), fps=fps)


def stretch(track: FaceTrack, frames: int) -> FaceTrack:
    """The track in `frames` frames of the same rate, first and last kept: faster or slower than it was."""
    if frames < 1:
        raise BadInputError(f"a track cannot have {frames} frames")
    old, new = np.linspace(0, 1, len(track.frames)), np.linspace(0, 1, frames)
    return track.with_values(np.stack([np.interp(new, old, column) for column in track.values.T], 1))
