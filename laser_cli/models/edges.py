"""Edges of a picture (Canny, 1986), drawn as the pictures of edges that ControlNets were trained on."""

from __future__ import annotations

import numpy as np

LOW, HIGH = 100.0, 200.0
"""Gradients (Sobel, of 0..255) from which on a place may be an edge, and is one: those usual for ControlNets."""
AROUND = ((-1, -1), (-1, 0), (-1, 1), (0, -1), (0, 1), (1, -1), (1, 0), (1, 1))


def canny(picture: np.ndarray, low: float = LOW, high: float = HIGH) -> np.ndarray:
    """White edges on black, (h, w, 3) uint8, of a picture (h, w, 3) uint8.

    An edge is a ridge of the gradient above ``high``, with all ridges above ``low`` that touch it. The gradient is
    OpenCV's, whose edges ControlNets were trained on: |dx| + |dy| of the channel that changes most, without smoothing.
    """
    channels = picture.astype(np.float32)
    across = _along(_along(channels, (-1, 0, 1), 1), (1, 2, 1), 0)
    down = _along(_along(channels, (-1, 0, 1), 0), (1, 2, 1), 1)
    most = (np.abs(across) + np.abs(down)).argmax(-1)[..., None]
    dx, dy = (np.take_along_axis(x, most, -1)[..., 0] for x in (across, down))
    strength = np.abs(dx) + np.abs(dy)
    ridge = _is_ridge(strength, dx, dy)
    edge, weak = ridge & (strength >= high), ridge & (strength >= low)
    while True:
        wider = edge.copy()
        for y, x in AROUND:
            wider |= _moved(edge, y, x)
        wider &= weak
        if wider.sum() == edge.sum():
            return np.repeat((edge * np.uint8(255))[..., None], 3, axis=2)
        edge = wider


def _is_ridge(strength: np.ndarray, dx: np.ndarray, dy: np.ndarray) -> np.ndarray:
    """Where the gradient is no weaker than at both neighbours along its direction, rounded to eighths of a turn."""
    octant = np.round(np.arctan2(dy, dx) / (np.pi / 4)).astype(int) % 4
    ridge = np.zeros(strength.shape, bool)
    for k, (y, x) in enumerate(((0, 1), (1, 1), (1, 0), (1, -1))):
        # of two equal neighbours one is the edge
        here = (strength >= _moved(strength, y, x)) & (strength > _moved(strength, -y, -x))
        ridge |= (octant == k) & here
    return ridge


def _along(x: np.ndarray, weights: tuple[int, ...], axis: int) -> np.ndarray:
    """Correlation with weights along an axis; beyond the border the picture goes on as at its edge."""
    half = len(weights) // 2
    padded = np.pad(x, [(half, half) if axis == a else (0, 0) for a in range(x.ndim)], mode="edge")
    size = x.shape[axis]
    parts = [w * np.take(padded, range(i, i + size), axis) for i, w in enumerate(weights) if w]
    total: np.ndarray = np.sum(parts, axis=0)
    return total


def _moved(x: np.ndarray, down: int, right: int) -> np.ndarray:
    """What lies ``down`` and ``right`` of each place; nothing beyond the border."""
    h, w = x.shape
    padded = np.pad(x, 1)
    return padded[1 + down : 1 + down + h, 1 + right : 1 + right + w]
