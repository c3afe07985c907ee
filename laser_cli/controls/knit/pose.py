"""Head poses as the pose maps that the control nets read: a square in perspective, its edges in four colours.

Axes: x to the right of the picture, y up, z towards the viewer; the camera stands at the origin and looks along -z.
Angles are radians by the right-hand rule about x (pitch), y (yaw) and z (roll): a positive pitch lowers the chin, a
positive yaw turns the face to the right of the picture, a positive roll turns it counter-clockwise.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

FOCAL = 4828.598903609935
"""Focal length in pixels of the model that measures head poses."""
SHRINK = 0.05
"""Half the side of the square, and the factor on depth and focal length that exaggerates its perspective."""
THICKNESS = 15
EDGES = (((0, 1), (0, 255, 0)), ((1, 2), (0, 0, 255)), ((2, 3), (255, 0, 0)), ((3, 0), (255, 0, 255)))
"""Pairs of corners and their RGB colours in the order they are drawn: left, top, right, bottom of an upright face."""
FACE_DEPTH = 728.0
"""Pixels: a face whose landmarks extend e of 512 pixels is about FACE_DEPTH / e away."""


@dataclass(frozen=True)
class HeadPose:
    """Poses of n frames: `angles` [n, 3] (pitch, yaw, roll in radians) and `translation` [n, 3], z negative."""

    angles: np.ndarray
    translation: np.ndarray

    def __post_init__(self) -> None:
        if self.angles.shape != self.translation.shape or self.angles.shape[1:] != (3,):
            raise ValueError(f"angles {self.angles.shape} and translation {self.translation.shape} should be [n, 3]")
        if not (self.translation[:, 2] < 0).all():
            raise ValueError("a head stands in front of the camera: its z is negative")


def rotations(angles: np.ndarray) -> np.ndarray:
    """Matrices [n, 3, 3] = Rz Ry Rx for column vectors, of angles [n, 3] in radians."""
    (sx, sy, sz), (cx, cy, cz) = np.sin(angles).T, np.cos(angles).T
    matrices = [
        [cz * cy, cz * sy * sx - sz * cx, cz * sy * cx + sz * sx],
        [sz * cy, sz * sy * sx + cz * cx, sz * sy * cx - cz * sx],
        [-sy, cy * sx, cy * cx],
    ]
    return np.moveaxis(np.array(matrices), 2, 0)


def corners(pose: HeadPose, height: int = 512, width: int = 512) -> np.ndarray:
    """The square's corners [n, 4, 2] in pixels (x, y): bottom left, top left, top right, bottom right when upright."""
    square = SHRINK * np.array([[-1, -1, 0], [-1, 1, 0], [1, 1, 0], [1, -1, 0]], float)
    shift = pose.translation * np.array([1, 1, SHRINK])
    points = np.einsum("nij,kj->nki", rotations(pose.angles), square) + shift[:, None]
    scale = SHRINK * FOCAL / -points[..., 2]
    return np.stack([width / 2 + scale * points[..., 0], height / 2 - scale * points[..., 1]], 2)


def pose_maps(pose: HeadPose, height: int = 512, width: int = 512) -> Tensor:
    """Pose maps [n, 3, height, width] in -1..1, as the control nets' `condition`."""
    maps = np.stack([draw_square(points, height, width) for points in corners(pose, height, width)])
    return torch.from_numpy(maps).permute(0, 3, 1, 2).float() / 127.5 - 1


def soft_pose_maps(pose: HeadPose, height: int, width: int) -> Tensor:
    """Pose maps [n, 3, height, width] in -1..1 with antialiased lines: small maps that still tell small turns.

    Those of a picture 512 high, shrunk; a pixel is as bright as the line covers it.
    """
    shrink = height / 512
    points = torch.from_numpy(corners(pose, 512, round(512 * width / height)) * shrink).float()
    y, x = torch.meshgrid(torch.arange(height) + 0.5, torch.arange(width) + 0.5, indexing="ij")
    at = torch.stack([x, y], 2)[None]
    maps = torch.zeros(len(points), 3, height, width)
    for (start, end), colour in EDGES:
        begin, way = points[:, start][:, None, None], (points[:, end] - points[:, start])[:, None, None]
        share = (((at - begin) * way).sum(3) / way.square().sum(3).clamp_min(1e-9)).clamp(0, 1)
        off = (at - begin - share[..., None] * way).norm(dim=3)
        cover = (0.5 + shrink * THICKNESS / 2 - off).clamp(0, 1)[:, None]
        maps = torch.lerp(maps, torch.tensor(colour).view(1, 3, 1, 1) / 255, cover)
    return maps * 2 - 1


def draw_square(points: np.ndarray | Sequence[Sequence[float]], height: int, width: int) -> np.ndarray:
    """RGB [height, width, 3] of a square's edges through its corners [4, 2], later edges over earlier ones."""
    picture = np.zeros((height, width, 3), np.uint8)
    whole = np.trunc(np.asarray(points, float))
    for (start, end), colour in EDGES:
        _draw_line(picture, whole[start], whole[end], colour)
    return picture


def _draw_line(picture: np.ndarray, start: np.ndarray, end: np.ndarray, colour: tuple[int, int, int]) -> None:
    """Draw a thick line with round ends in place, as OpenCV does without antialiasing."""
    # an odd thickness counts half a pixel more on either side, and the outline half a pixel along its steeper axis
    way, reach = end - start, (THICKNESS + 1) / 2
    length = max(float(np.hypot(*way)), 1e-9)
    outline = np.abs(way).max() / length / 2
    low = np.clip(np.minimum(start, end) - reach - 1, 0, None).astype(int)
    high = np.clip(np.maximum(start, end) + reach + 2, 0, None).astype(int)
    part = picture[low[1] : high[1], low[0] : high[0]]
    y, x = np.mgrid[low[1] : low[1] + part.shape[0], low[0] : low[0] + part.shape[1]]
    from_x, from_y = x - start[0], y - start[1]
    along, off = (from_x * way[0] + from_y * way[1]) / length, np.abs(from_x * way[1] - from_y * way[0]) / length
    body = (off <= reach + outline) & (along >= -outline) & (along <= length + outline)
    ends = [(x - point[0]) ** 2 + (y - point[1]) ** 2 <= reach**2 for point in (start, end)]
    part[body | ends[0] | ends[1]] = colour
