"""The columns of a face track: ARKit's 52 blendshapes, and the head's angles and place."""

from __future__ import annotations

from typing import Literal, get_args

Shape = Literal[
    "browDownLeft",
    "browDownRight",
    "browInnerUp",
    "browOuterUpLeft",
    "browOuterUpRight",
    "cheekPuff",
    "cheekSquintLeft",
    "cheekSquintRight",
    "eyeBlinkLeft",
    "eyeBlinkRight",
    "eyeLookDownLeft",
    "eyeLookDownRight",
    "eyeLookInLeft",
    "eyeLookInRight",
    "eyeLookOutLeft",
    "eyeLookOutRight",
    "eyeLookUpLeft",
    "eyeLookUpRight",
    "eyeSquintLeft",
    "eyeSquintRight",
    "eyeWideLeft",
    "eyeWideRight",
    "jawForward",
    "jawLeft",
    "jawOpen",
    "jawRight",
    "mouthClose",
    "mouthDimpleLeft",
    "mouthDimpleRight",
    "mouthFrownLeft",
    "mouthFrownRight",
    "mouthFunnel",
    "mouthLeft",
    "mouthLowerDownLeft",
    "mouthLowerDownRight",
    "mouthPressLeft",
    "mouthPressRight",
    "mouthPucker",
    "mouthRight",
    "mouthRollLower",
    "mouthRollUpper",
    "mouthShrugLower",
    "mouthShrugUpper",
    "mouthSmileLeft",
    "mouthSmileRight",
    "mouthStretchLeft",
    "mouthStretchRight",
    "mouthUpperUpLeft",
    "mouthUpperUpRight",
    "noseSneerLeft",
    "noseSneerRight",
    "tongueOut",
]
Head = Literal["pitch", "yaw", "roll", "x", "y", "z"]
Column = Shape | Head

SHAPES: tuple[str, ...] = get_args(Shape)
"""ARKit's blendshapes, each 0..1; left and right are the person's own."""
ANGLES = ("pitch", "yaw", "roll")
"""Degrees by the right-hand rule about x (right), y (up) and z (towards the viewer), as MediaPipe measures them: a
positive pitch lowers the chin, yaw turns the face to the viewer's right, roll tilts it to the viewer's left."""
PLACE = ("x", "y", "z")
"""Centimetres from the camera along the same axes; z is negative."""
COLUMNS: tuple[str, ...] = (*SHAPES, *ANGLES, *PLACE)

_BY_LETTERS = {name.lower(): name for name in COLUMNS}


def known_column(name: str) -> str | None:
    """The column that a name in any case, with or without spaces and underscores, stands for."""
    return _BY_LETTERS.get(name.strip().replace("_", "").replace(" ", "").lower())
