"""Where a face lies in a picture: the published square around it, alignment of landmarks, and places across crops."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from laser_cli.controls.knit.pose import FOCAL

MARGIN = 3.0
"""The square's side as a multiple of the face's larger extent."""
RAISED = 0.115
"""The share of its side that the square is moved up by."""


class Box(NamedTuple):
    """A square in pixels: its left and top edges and its side."""

    left: int
    top: int
    side: int


def face_box(top_left: np.ndarray, bottom_right: np.ndarray, height: int, width: int) -> Box:
    """The square to cut from a picture, or from every frame of a clip, for the landmarks' boxes [n, 2] (x, y)."""
    extent = (bottom_right - top_left).max(1).mean()
    side = int(min(MARGIN * extent, min(height, width) - 1))
    centre = (top_left.min(0) + bottom_right.max(0)) / 2 - (0, RAISED * side)
    left, top = np.clip(centre - side / 2, 0, (width - side, height - side)).astype(int)
    return Box(int(left), int(top), side)


def similarity(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """The rotation, scale and shift [2, 3] that bring points [n, 2] closest to others (Umeyama, PAMI 1991)."""
    mean_source, mean_target = source.mean(0), target.mean(0)
    centred = source - mean_source
    u, spread, vt = np.linalg.svd((target - mean_target).T @ centred / len(source))
    # never a mirror image
    sign = np.array([1, np.sign(np.linalg.det(u) * np.linalg.det(vt)) or 1])
    rotation = u @ np.diag(sign) @ vt
    scale = (spread * sign).sum() / centred.var(0).sum()
    return np.hstack([scale * rotation, (mean_target - scale * rotation @ mean_source)[:, None]])


def uncropped(translation: np.ndarray, centre: np.ndarray, scale: float, full_centre: np.ndarray) -> np.ndarray:
    """The translation [3] in a whole picture of one measured in a crop around `centre` (x, y), both in pixels of the
    whole; `scale` is crop pixels a pixel."""
    unit = scale * translation[2] / FOCAL
    x, y = centre - full_centre
    return np.array([translation[0] - x * unit, translation[1] + y * unit, translation[2] * scale])
