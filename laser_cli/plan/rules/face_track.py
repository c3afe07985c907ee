"""The face that a sentence tells: what it does, step by step, as points of a face track."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from functools import cache
from importlib.resources import files
from typing import Any

import yaml

from laser_cli.plan.expressions import EXPRESSIONS, TURNS, USUAL_TURN, face_point
from laser_cli.plan.schema import FacePoint

SLIGHT = 0.45
ANGLES = ("yaw", "pitch", "roll")


@dataclass(frozen=True)
class _Face:
    """Blendshapes in percent, and degrees."""

    shapes: dict[str, float] = field(default_factory=dict)
    angles: dict[str, float] = field(default_factory=dict)

    def at(self, percent: float) -> FacePoint:
        shapes: Any = {name: round(level) for name, level in self.shapes.items() if round(level)}
        return FacePoint(at=round(percent, 2), expression=shapes, **self.angles)


def face_track(sentence: str) -> tuple[FacePoint, ...]:
    """Points of what a face does, in the order of the sentence; empty if it does nothing.

    Each step has an equal share of the time. What lasts is reached at its end, a gesture is over by then.
    """
    steps = _steps(sentence)
    if not steps:
        return ()
    face, points, share = _Face(), [_Face().at(0)], 100 / len(steps)
    for number, (kind, told, amount) in enumerate(steps):
        begin, end = number * share, (number + 1) * share
        if kind == "lasting":
            face = _after(face, told, amount)
        for place, moment in _gesture(face, told, amount) if kind == "gesture" else ():
            points.append(moment.at(begin + place * share))
        points.append(face.at(end))
    return tuple(points)


def _after(face: _Face, told: dict[str, Any], amount: float) -> _Face:
    if told.get("rest"):
        return _Face(angles=face.angles)
    said = {name: level * amount for name, level in told.get("expression", {}).items()}
    kept = dict(face.shapes)
    for group in _table()["exclusive"]:
        if any(said.get(name) for name in group):
            kept = {name: level for name, level in kept.items() if name not in group or name in said}
    return _Face({**kept, **said}, {**face.angles, **_turned(told, amount)})


def _gesture(face: _Face, told: dict[str, Any], amount: float) -> list[tuple[float, _Face]]:
    """The moments of a gesture, in shares of its time; before and after them the face is as it was."""
    if told.get("talk"):
        levels = (60, 15, 70, 20, 50, 10)
        moments = [((i + 1) / 7, {**face.shapes, "jawOpen": level * amount}) for i, level in enumerate(levels)]
        return [(place, replace(face, shapes=shapes)) for place, shapes in moments]
    if sway := told.get("sway"):
        yaw = face.angles.get("yaw", 0.0)
        turns = ((0.2, -1), (0.5, 1), (0.8, -1))
        return [(at, replace(face, angles={**face.angles, "yaw": yaw + way * sway * amount})) for at, way in turns]
    if "expression" in told:
        shapes = {name: max(face.shapes.get(name, 0.0), level * amount) for name, level in told["expression"].items()}
        return [(0.2, face), (0.5, replace(face, shapes={**face.shapes, **shapes}))]
    turned = {axis: face.angles.get(axis, 0.0) + angle for axis, angle in _turned(told, amount).items()}
    return [(0.5, replace(face, angles={**face.angles, **turned}))]


def _turned(told: dict[str, Any], amount: float) -> dict[str, float]:
    return {axis: told[axis] * amount for axis in ANGLES if axis in told}


def _steps(sentence: str) -> list[tuple[str, dict[str, Any], float]]:
    """What the sentence says, in order: the kind, what it means, and how much of it."""
    pattern, entries = _phrases()
    slight = _table()["slight"]
    # «turns slightly to the left» is «turns to the left», slightly
    plain = re.sub(rf"\b({slight})\s+(to the \w+)", r"\2 \1", sentence.lower())
    found = []
    for match in pattern.finditer(plain):
        kind, entry = entries[int(str(match.lastgroup).removeprefix("n"))]
        before, after = plain[: match.start()], plain[match.end() :]
        slightly = re.search(rf"\b(?:{slight})\s*$", before) or re.match(rf"\s*(?:{slight})\b", after)
        found.append((kind, entry, SLIGHT if slightly else 1.0))
    return found


@cache
def _table() -> dict[str, Any]:
    table: dict[str, Any] = yaml.safe_load((files("laser_cli.plan.rules") / "faces.yaml").read_text("utf-8"))
    return table


@cache
def _phrases() -> tuple[re.Pattern[str], list[tuple[str, dict[str, Any]]]]:
    """All phrases as one pattern with a group for each entry, and the entries: the table's before those by name."""
    rows = [(kind, entry["words"], entry) for kind in ("gesture", "lasting") for entry in _table()[kind]]
    for name, row in EXPRESSIONS.items():
        rows.append(("lasting", row.words, {"expression": face_point(0, {name: 100}).expression}))
    for turn in TURNS.values():
        rows.append(("lasting", turn.words, {turn.angle: turn.sign * USUAL_TURN}))
    groups = "|".join(f"(?P<n{i}>{words})" for i, (_, words, _) in enumerate(rows))
    return re.compile(rf"(?<![\w-])(?:{groups})(?![\w-])"), [(kind, entry) for kind, _, entry in rows]
