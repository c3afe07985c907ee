"""One-Euro smoothing: jitter goes where a value rests, speed stays where it moves (Casiez et al., CHI 2012)."""

from __future__ import annotations

import numpy as np

from laser_cli.tracks.names import ANGLES, SHAPES
from laser_cli.tracks.schema import FaceTrack

CUTOFF = 1.5
"""Hz at rest: lower is smoother."""
SPEED_CUTOFF = 1.0
"""Hz of the speed's own low-pass filter."""
BETAS = {"shapes": 4.0, "angles": 0.08, "place": 0.3}
"""Hz that the cutoff rises by, for each unit a second: a blink (10 a second) and a quick turn (100 degrees a second)
pass nearly whole."""


def one_euro(values: np.ndarray, fps: float, cutoff: float, beta: float | np.ndarray) -> np.ndarray:
    """The One-Euro filter along the first axis of values [n, ...]; causal, so that it lags behind.

    `beta` is a number or one for each of the other axes.
    """
    out, speed = np.array(values, float), np.zeros_like(values[0], float)
    for i in range(1, len(values)):
        speed += _alpha(SPEED_CUTOFF, fps) * ((values[i] - values[i - 1]) * fps - speed)
        out[i] = out[i - 1] + _alpha(cutoff + beta * np.abs(speed), fps) * (values[i] - out[i - 1])
    return out


def smooth(track: FaceTrack, cutoff: float = CUTOFF) -> FaceTrack:
    """The track after the One-Euro filter; `cutoff` in Hz at rest.

    The mean of a pass forwards and one backwards, so that nothing comes late.
    """
    kinds = ["shapes" if name in SHAPES else "angles" if name in ANGLES else "place" for name in track.columns]
    beta, values = np.array([BETAS[kind] for kind in kinds]), track.values
    forwards = one_euro(values, track.fps, cutoff, beta)
    backwards = one_euro(values[::-1], track.fps, cutoff, beta)[::-1]
    return track.with_values((forwards + backwards) / 2)


def _alpha(cutoff: float | np.ndarray, fps: float) -> float | np.ndarray:
    """The share of a new value that a low-pass filter of this cutoff lets through."""
    return 1 / (1 + fps / (2 * np.pi * cutoff))
