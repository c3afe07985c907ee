"""The blendshapes of ARKit that a face track may name, each 0..100; left and right are the person's own."""

from typing import Literal, get_args

Blendshape = Literal[
    "browDownLeft",
    "browDownRight",
    "browInnerUp",
    "cheekPuff",
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
    "jawOpen",
    "mouthFrownLeft",
    "mouthFrownRight",
    "mouthPucker",
    "mouthSmileLeft",
    "mouthSmileRight",
]
BLENDSHAPES: tuple[str, ...] = get_args(Blendshape)
