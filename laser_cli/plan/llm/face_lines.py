"""The face track of the lines form: «at 50 %: smiling 80, turned left 20», one line for each moment."""

from __future__ import annotations

import re
from collections.abc import Sequence
from string import Template

from laser_cli.plan.expressions import EXPRESSIONS, NAMES, TURNS, face_point, named
from laser_cli.plan.llm.forms import text
from laser_cli.plan.request import PlanRequest
from laser_cli.plan.rules.face_track import face_track
from laser_cli.plan.schema import FacePoint

MOMENTS, AT_ONCE = 6, 4
"""The most lines, and the most names in a line."""
LONGEST_FACE = 200
"""The most tokens of all lines."""


def _choice(names: Sequence[str]) -> str:
    return " | ".join(f'"{name}"' for name in names)


FACE_RULES = "\n".join(
    (
        f'face ::= ("\\nat " percent " %: " (shown | "at rest")){{1,{MOMENTS}}}',
        f'shown ::= one (", " one){{0,{AT_ONCE - 1}}}',
        'one ::= expression " " level | turn " " degrees',
        f"expression ::= {_choice(tuple(EXPRESSIONS))}",
        f"turn ::= {_choice(tuple(TURNS))}",
        'percent ::= "0" | [1-9] [05] | "100"',
        'level ::= [1-9] "0" | "100"',
        'degrees ::= "5" | [1-4] [05]',
    )
)
"""GBNF rules of the lines, `face`."""


def face_question(version: str) -> str:
    """What is asked of the face."""
    asked = Template(text(version, "face.md"))
    return asked.substitute(expressions=", ".join(EXPRESSIONS), turns=", ".join(TURNS))


def read_face(answer: str, request: PlanRequest) -> tuple[tuple[FacePoint, ...], tuple[str, ...]]:
    """The face track in an answer, in the order of time, from rest on; and what had to be repaired.

    Where it leaves out what the request speaks of, the rules read the track in the request.
    """
    moments = {int(at): _levels(said) for at, said in re.findall(r"^\W*at (\d{1,3}) ?%:(.*)$", answer, re.MULTILINE)}
    moments = {0: {}} | {at: levels for at, levels in moments.items() if at <= 100}
    shown = {name for levels in moments.values() for name in levels}
    if missing := [name for name in named(request.description) if name not in shown]:
        repair = f"the face track did not show {missing[0]!r}: it is made from the request"
        return face_track(request.description), (repair,)
    if not any(moments.values()):
        return (), ()
    return tuple(face_point(at, moments[at]) for at in sorted(moments)), ()


def _levels(said: str) -> dict[str, int]:
    """«smiling 80, turned left 20» by name."""
    found = re.findall(rf"({'|'.join(NAMES)}) (\d{{1,3}})", said)
    return {name: int(level) for name, level in found}
