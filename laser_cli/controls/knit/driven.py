"""From a face track to what drives a portrait: head poses around the portrait's own, and coefficients."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from laser_cli.controls.knit.drive import COEFFICIENTS, Drive, no_parts
from laser_cli.controls.knit.pose import FACE_DEPTH, FOCAL, HeadPose, pose_maps
from laser_cli.errors import BadInputError
from laser_cli.tracks.names import ANGLES, PLACE
from laser_cli.tracks.schema import FaceTrack

FACE_CENTIMETRES = 17.7
"""What the landmarks of MediaPipe's canonical face extend, in a track's unit."""
TRACK_FOCAL = 256 / np.tan(np.radians(31.5))
"""MediaPipe's focal length in pixels of a picture 512 high: it assumes a vertical field of view of 63 degrees."""
DEPTH = TRACK_FOCAL * FACE_CENTIMETRES / FACE_DEPTH
"""Centimetres a unit of z: both cameras see the same face at the same size."""
ACROSS = DEPTH * FOCAL / TRACK_FOCAL
"""Centimetres a unit of x and y: both see the same shift."""

PoseMaps = Callable[[HeadPose, int, int], Tensor]
"""(poses of n frames, height and width of the picture) -> the pose maps [n, 3, h, w] that a version's nets read."""


@dataclass(frozen=True)
class FaceMotion:
    """The head poses of n frames, and their coefficients [n, 51] in 0..1."""

    pose: HeadPose
    coefficients: np.ndarray

    def drive(self, frames: Sequence[float], height: int = 512, width: int = 512, maps: PoseMaps = pose_maps) -> Drive:
        """What drives these frames, or moments between two, at a picture size; pose maps are drawn here by `maps`."""
        pose = HeadPose(_at(self.pose.angles, frames), _at(self.pose.translation, frames))
        coefficients = torch.from_numpy(_at(self.coefficients, frames)).float()
        return Drive(maps(pose, height, width), coefficients, no_parts(len(frames)))


def _at(values: np.ndarray, frames: Sequence[float]) -> np.ndarray:
    """Rows of values, those between two frames interpolated."""
    moments = np.asarray(frames, float)
    before = np.clip(np.floor(moments).astype(int), 0, len(values) - 1)
    after, share = np.minimum(before + 1, len(values) - 1), (moments - before)[:, None]
    return np.where(share > 0, (1 - share) * values[before] + share * values[after], values[before])


def head_pose(track: FaceTrack, frame: int = 0, place: Sequence[float] | None = None) -> HeadPose:
    """How the head is held in a frame of a track, such as the portrait's own picture read with `laser track`.

    `place` (x, y, z of a `HeadPose`): where every head of this kind is, for tracks that do not tell. Raises
    BadInputError for a track that does not know where the head is.
    """
    told = ANGLES if place is not None else (*ANGLES, *PLACE)
    missing = [name for name in told if name not in track.columns]
    if missing:
        raise BadInputError(
            f"{track.source or 'the track'} does not tell how the head is held",
            why=f"it has no {', '.join(missing)}",
            hint="read the portrait's picture with laser track",
        )
    angles = np.radians([[track[name][frame] for name in ANGLES]])
    if place is not None:
        return HeadPose(angles, np.array([place], float))
    return HeadPose(angles, np.array([[track[name][frame] for name in PLACE]]) / (ACROSS, ACROSS, DEPTH))


def face_motion(track: FaceTrack, portrait: HeadPose, ratio: float = 0.5) -> FaceMotion:
    """The track's motion on a portrait that is held as `portrait` (one pose).

    Angles are the track's where it has them, as published; the place is the portrait's plus `ratio` times the track's
    change since its first frame. What the track does not know stays the portrait's.
    """
    count = len(track.frames)
    angles = np.repeat(portrait.angles[:1], count, 0)
    for i, name in enumerate(ANGLES):
        if name in track.columns:
            angles[:, i] = np.radians(track[name])
    translation = np.repeat(portrait.translation[:1], count, 0)
    for i, (name, unit) in enumerate(zip(PLACE, (ACROSS, ACROSS, DEPTH), strict=True)):
        if name in track.columns:
            translation[:, i] += ratio * (track[name] - track[name][0]) / unit
    # a face may come near, never through the camera
    translation[:, 2] = np.minimum(translation[:, 2], portrait.translation[0, 2] / 4)
    return FaceMotion(HeadPose(angles, translation), np.stack([track[name] for name in COEFFICIENTS], 1))
