"""Expressions and turns of a head by name: what they are in ARKit's blendshapes, and the words that speak of them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from typing import Literal, NamedTuple, get_args

from laser_cli.plan.schema import TURN, FacePoint
from laser_cli.tracks.names import Shape

HIS = r"(?:(?:his|her|its|their|the|both|one) )?"


class Expression(NamedTuple):
    """Shapes at full strength, 0..100, a name without a side for both sides; and a pattern for words that mean it."""

    shapes: Mapping[str, int]
    words: str


EXPRESSIONS = {
    "smiling": Expression({"mouthSmile": 100, "cheekSquint": 40}, r"smil\w*|grin\w*|happ(?:y|ier|ily)"),
    "laughing": Expression({"mouthSmile": 100, "cheekSquint": 60, "jawOpen": 60}, r"laugh\w*"),
    "sad": Expression({"mouthFrown": 90, "browInnerUp": 80}, r"sad(?:der|ly)?|unhapp(?:y|ily)|cry(?:ing)?|cries"),
    "frowning": Expression({"mouthFrown": 80, "browDown": 50}, r"frown\w*"),
    "angry": Expression({"browDown": 100, "mouthFrown": 60, "noseSneer": 40}, r"angr(?:y|ier|ily)|furious"),
    "surprised": Expression(
        {"browInnerUp": 100, "browOuterUp": 80, "eyeWide": 80, "jawOpen": 50}, r"surpris\w*|astonish\w*|amazed|shocked"
    ),
    "mouth open": Expression({"jawOpen": 70}, rf"open\w* {HIS}mouth|mouth (?:is )?(?:wide )?open|yawn\w*"),
    "eyes closed": Expression({"eyeBlink": 100}, rf"(?:clos|shut)\w* {HIS}eyes|eyes (?:are )?(?:closed|shut)|blink\w*"),
    "winking": Expression({"eyeBlinkLeft": 100, "mouthSmileLeft": 40}, r"wink\w*"),
    "lips puckered": Expression({"mouthPucker": 90}, r"pout\w*|pucker\w*|kiss\w*"),
    "cheeks puffed": Expression({"cheekPuff": 90}, rf"puff\w* (?:out |up )?{HIS}cheeks|cheeks puff\w*"),
    "looking up": Expression({"eyeLookUp": 80}, r"(?:look|glanc)\w* up(?:wards?)?"),
    "looking down": Expression({"eyeLookDown": 80}, r"(?:look|glanc)\w* down(?:wards?)?"),
    "looking left": Expression({"eyeLookInLeft": 80, "eyeLookOutRight": 80}, r"(?:look|glanc)\w* (?:to the )?left"),
    "looking right": Expression({"eyeLookOutLeft": 80, "eyeLookInRight": 80}, r"(?:look|glanc)\w* (?:to the )?right"),
}
"""Expressions by the names that a model writes; looks are to the viewer's sides."""


class Turn(NamedTuple):
    """An angle of the head, the sign of its degrees, and a pattern for words that mean it."""

    angle: Literal["yaw", "pitch", "roll"]
    sign: int
    words: str


TURNS = {
    "turned left": Turn("yaw", -1, rf"turn\w* {HIS}(?:head|face) (?:to (?:the|his|her) )?left|facing left"),
    "turned right": Turn("yaw", 1, rf"turn\w* {HIS}(?:head|face) (?:to (?:the|his|her) )?right|facing right"),
    "chin up": Turn("pitch", 1, rf"(?:rais|lift)\w* {HIS}(?:head|chin)|(?:head|chin) (?:up|raised)"),
    "chin down": Turn(
        "pitch", -1, rf"(?:lower|bow|drop)\w* {HIS}(?:head|chin)|(?:head|chin) (?:down|lowered)|nods?|nodding"
    ),
    "tilted left": Turn("roll", -1, rf"tilt\w* {HIS}head (?:to (?:the|his|her) )?left|head tilted (?:to the )?left"),
    "tilted right": Turn(
        "roll", 1, rf"tilt\w* {HIS}head(?! (?:to (?:the|his|her) )?left)|head tilted (?:to the )?right"
    ),
}
"""Turns of the head by the names that a model writes, to the viewer's sides."""
NAMES = (*EXPRESSIONS, *TURNS)
USUAL_TURN = 25
"""Degrees where words say no number."""


def named(text: str) -> tuple[str, ...]:
    """The expressions and turns that the words of a text speak of."""
    return tuple(name for name, pattern in _patterns().items() if pattern.search(text))


def face_point(at: float, levels: Mapping[str, int]) -> FacePoint:
    """What a face does at a percentage of the time: levels by name, 0..100 of an expression, degrees of a turn."""
    shapes: dict[str, int] = {}
    angles: dict[str, float] = {}
    for name, level in levels.items():
        if turn := TURNS.get(name):
            angles[turn.angle] = angles.get(turn.angle, 0.0) + turn.sign * min(level, TURN)
            continue
        for shape, full in EXPRESSIONS[name].shapes.items():
            for side in _sides(shape):
                shapes[side] = max(shapes.get(side, 0), round(full * min(level, 100) / 100))
    within = {angle: max(-TURN, min(TURN, value)) for angle, value in angles.items()}
    shown = {name: shapes[name] for name in sorted(shapes) if shapes[name]}
    return FacePoint.model_validate({"at": float(at), "expression": shown, **within})


def _sides(shape: str) -> tuple[str, ...]:
    return (shape,) if shape in get_args(Shape) else (f"{shape}Left", f"{shape}Right")


@cache
def _patterns() -> dict[str, re.Pattern[str]]:
    words = {name: row.words for name, row in EXPRESSIONS.items()} | {name: row.words for name, row in TURNS.items()}
    return {name: re.compile(rf"\b(?:{said})\b", re.IGNORECASE) for name, said in words.items()}
