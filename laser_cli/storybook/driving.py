"""What drives a puppet: its state as head poses and coefficients, its face as a track, and the face that words tell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from laser_cli.controls.knit.drive import COEFFICIENTS
from laser_cli.controls.knit.driven import FaceMotion
from laser_cli.controls.knit.pose import HeadPose
from laser_cli.plan.rules.face_track import face_track
from laser_cli.plan.schema import FacePoint, Plan
from laser_cli.storybook.puppets import BLENDSHAPES, EXPRESSIONS, PITCH, ROLL, YAW, Puppet, wearing
from laser_cli.storybook.read import face_told, looks_told
from laser_cli.tracks.names import ANGLES
from laser_cli.tracks.schema import FaceTrack

SHAPES: Mapping[str, Mapping[str, float]] = {
    name: {shape: 100 * level for shape, level in EXPRESSIONS[own].items()}
    for name, own in {
        **{name: name for name in ("smiling", "laughing", "sad", "frowning", "angry", "surprised")},
        "mouth open": "open",
        "eyes closed": "asleep",
        "lips puckered": "pucker",
        "cheeks puffed": "puff",
        "winking left": "wink right",
        "winking right": "wink left",
        **{f"looking {way}": f"look {way}" for way in ("up", "down", "left", "right")},
    }.items()
}
"""What this world's puppets do, in percent, for expressions by the names of `plan.expressions` and of winks."""
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


def told_face(plan: Plan) -> tuple[FacePoint, ...]:
    """The face that a plan tells a puppet: its description step by step, and its prompts; empty if it does not move."""
    return face_track(plan.description, [at for at, _ in plan.stages], prompted_faces(plan), SHAPES)


def prompted_faces(plan: Plan) -> list[FacePoint]:
    """The faces that a plan's prompts tell, in this world's words: of the picture, and where every stage ends."""
    points = []
    for at, prompt in ((0.0, plan.source), *plan.stages):
        face = face_told(prompt)
        expression = {name: round(100 * level) for name, level in face.get("expression", ())}
        points.append(FacePoint(at=at, expression=expression, **{name: float(face.get(name, 0.0)) for name in ANGLES}))
    return points


def looks_alone(plan: Plan) -> Plan:
    """The plan with prompts that tell looks alone, as the adapters were trained: the drive moves the face."""
    segments = tuple(s.model_copy(update={"prompt": looks_told(s.prompt)}) for s in plan.segments)
    return plan.model_copy(update={"source": looks_told(plan.source), "segments": segments})
