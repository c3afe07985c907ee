"""What drives a puppet: its state as head poses and coefficients, its face as a track, and the face that words tell."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from laser_cli.controls.knit.drive import COEFFICIENTS
from laser_cli.controls.knit.driven import FaceMotion
from laser_cli.controls.knit.pose import HeadPose
from laser_cli.plan.schema import FacePoint, Plan
from laser_cli.storybook.puppets import BLENDSHAPES, PITCH, ROLL, YAW, Puppet, wearing
from laser_cli.storybook.read import face_told
from laser_cli.tracks.names import ANGLES
from laser_cli.tracks.schema import FaceTrack

PLACE = (0.0, 0.0, -2.1)
"""Where a puppet's head is, as a `HeadPose` counts: all puppets stand in one place, their heads as large."""


def motion_of(puppets: Sequence[Puppet]) -> FaceMotion:
    """The states of puppets, one a frame.

    A puppet looks up and tilts to the right with positive angles, a pose down and to the left.
    """
    angles = np.radians([[-p.pitch, p.yaw, -p.roll] for p in puppets])
    coefficients = np.array([[p.value(name) for name in COEFFICIENTS] for p in puppets])
    return FaceMotion(HeadPose(angles, np.tile(PLACE, (len(puppets), 1))), coefficients)


def as_puppet(track: FaceTrack) -> FaceTrack:
    """Of a track what a puppet can do: its blendshapes, and its head's turns as far as they go. It has no place."""
    most = {"pitch": PITCH, "yaw": YAW, "roll": ROLL}
    columns: list[str] = [name for name in track.columns if name in BLENDSHAPES or name in ANGLES] or [BLENDSHAPES[0]]
    values = [np.clip(track[name], -most.get(name, 1.0), most.get(name, 1.0)) for name in columns]
    return FaceTrack.of(track.fps, columns, np.stack(values, 1), track.source)


def puppet_of(track: FaceTrack, frame: int) -> Puppet:
    """A plain puppet with the face of a frame: a picture of any track."""
    shown = {name: float(track[name][frame]) for name in BLENDSHAPES}
    pitch, yaw, roll = (float(track[name][frame]) for name in ANGLES)
    return Puppet(pitch=-pitch, yaw=yaw, roll=-roll, expression=wearing(shown), background=(("gray", 1.0),))


def face_of_words(plan: Plan) -> tuple[FacePoint, ...]:
    """The face that a plan's prompts tell at its keyframes, in this world's words; empty if it does not move."""
    points, place = [], 0
    for number, prompt in enumerate(plan.prompts):
        place += plan.segments[number - 1].frames - 1 if number else 0
        face = face_told(prompt)
        expression = {name: round(100 * level) for name, level in face.get("expression", ())}
        angles = {name: float(face.get(name, 0.0)) for name in ANGLES}
        at = 100 * place / (plan.total_frames - 1)
        points.append(FacePoint(at=at, expression=expression, **angles))
    moves = any(_face(point) != _face(points[0]) for point in points)
    return tuple(points) if moves else ()


def _face(point: FacePoint) -> tuple[object, ...]:
    return point.expression, point.yaw, point.pitch, point.roll
