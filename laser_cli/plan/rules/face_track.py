"""The face that a sentence tells: what it does, step by step, as points of a face track."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from functools import cache
from importlib.resources import files
from itertools import pairwise
from types import MappingProxyType
from typing import Any

import yaml

from laser_cli.plan.expressions import EXPRESSIONS, TURNS, USUAL_TURN, face_point
from laser_cli.plan.rules.stages import split_stages
from laser_cli.plan.schema import FacePoint

SLIGHT = 0.45
ANGLES = ("yaw", "pitch", "roll")


@dataclass(frozen=True)
class _Face:
    """Blendshapes in percent, and degrees."""

    shapes: Mapping[str, float] = field(default_factory=dict)
    angles: Mapping[str, float] = field(default_factory=dict)

    @classmethod
    def of(cls, point: FacePoint) -> _Face:
        return cls(
            {name: float(level) for name, level in point.expression.items()},
            {axis: getattr(point, axis) for axis in ANGLES},
        )

    def at(self, percent: float) -> FacePoint:
        shapes: Any = {name: round(level) for name, level in self.shapes.items() if round(level)}
        return FacePoint(at=round(percent, 2), expression=shapes, **self.angles)

    def without(self, shapes: AbstractSet[str]) -> _Face:
        return replace(self, shapes={name: level for name, level in self.shapes.items() if name not in shapes})

    def changed(self, before: _Face, after: _Face, told: AbstractSet[str]) -> _Face:
        """With what changes from one face to another, but for what is told."""
        shapes = {n: level for n, level in after.shapes.items() if n not in told and before.shapes.get(n) != level}
        angles = {axis: a for axis, a in after.angles.items() if axis not in told and before.angles.get(axis) != a}
        return _Face({**self.shapes, **shapes}, {**self.angles, **angles})


@dataclass(frozen=True)
class _Step:
    """What a face does: something lasting or a gesture, what that means, and how much of it."""

    kind: str
    told: Mapping[str, Any]
    amount: float

    @property
    def tells(self) -> frozenset[str]:
        """The blendshapes and angles that it moves."""
        return frozenset((*self.told.get("expression", ()), *(axis for axis in ANGLES if axis in self.told)))


def face_track(
    sentence: str,
    ends: Sequence[float] = (),
    prompted: Sequence[FacePoint] = (),
    named: Mapping[str, Mapping[str, float]] = MappingProxyType({}),
) -> tuple[FacePoint, ...]:
    """Points of what a face does, in the order of the sentence; empty if it does nothing.

    Each step has an equal share of its stage's time. What lasts is reached at its end, a gesture is over by then.
    `ends`: when the stages end, in percent; a sentence of another number of stages is one. `prompted`: the faces that
    prompts tell, at the beginning and at those ends: what the first shows gives way to what a later one shows instead,
    and what the sentence does not tell is reached there. `named`: shapes of expressions that are not as usual.
    """
    stages = [_steps(stage, named) for stage in split_stages(sentence)]
    if len(stages) != len(ends):
        stages = [_steps(sentence, named)]
        if ends and not stages[0]:
            stages *= len(ends)
        else:
            ends, prompted = (100.0,), (*prompted[:1], *prompted[-1:])
    faces = [_Face.of(point) for point in prompted] or [_Face()] * (len(ends) + 1)
    steps = [step for stage in stages for step in stage]
    told = frozenset().union(*(step.tells for step in steps))
    lasting = frozenset().union(*(step.tells for step in steps if step.kind == "lasting"))
    face, points, begin = faces[0], [faces[0].at(0)], 0.0
    for stage, end, (before, after) in zip(stages, ends, pairwise(faces), strict=True):
        gone = faces[0].shapes.keys() - after.shapes.keys() - lasting
        share = (end - begin) / max(1, len(stage))
        for number, step in enumerate(stage):
            if step.kind == "lasting":
                face = _after(face, step)
            if "expression" in step.told:
                face = face.without(gone)
            for place, moment in _gesture(face, step) if step.kind == "gesture" else ():
                if moment != face:  # who shuts both eyes already winks by opening one, in all the time there is
                    points.append(moment.at(begin + (number + place) * share))
            if number + 1 < len(stage):
                points.append(face.at(begin + (number + 1) * share))
        face = face.without(gone).changed(before, after, told)
        points.append(face.at(end))
        begin = end
    return tuple(points) if any(_Face.of(point) != _Face.of(points[0]) for point in points) else ()


def _after(face: _Face, step: _Step) -> _Face:
    if step.told.get("rest"):
        return _Face(angles=face.angles)
    said = {name: level * step.amount for name, level in step.told.get("expression", {}).items()}
    kept = dict(face.shapes)
    for group in _table()["exclusive"]:
        if any(said.get(name) for name in group):
            kept = {name: level for name, level in kept.items() if name not in group or name in said}
    return _Face({**kept, **said}, {**face.angles, **_turned(step)})


def _gesture(face: _Face, step: _Step) -> list[tuple[float, _Face]]:
    """The moments of a gesture, in shares of its time; before and after them the face is as it was."""
    told, amount = step.told, step.amount
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
        return [(0.5, replace(face, shapes={**face.shapes, **shapes}))]
    turned = {axis: face.angles.get(axis, 0.0) + angle for axis, angle in _turned(step).items()}
    return [(0.5, replace(face, angles={**face.angles, **turned}))]


def _turned(step: _Step) -> dict[str, float]:
    return {axis: step.told[axis] * step.amount for axis in ANGLES if axis in step.told}


def _steps(sentence: str, named: Mapping[str, Mapping[str, float]]) -> list[_Step]:
    """What the sentence says, in order."""
    pattern, entries = _phrases()
    slight = _table()["slight"]
    # «turns slightly to the left» is «turns to the left», slightly
    plain = re.sub(rf"\b({slight})\s+(to the \w+)", r"\2 \1", sentence.lower())
    found = []
    for match in pattern.finditer(plain):
        kind, entry = entries[int(str(match.lastgroup).removeprefix("n"))]
        before, after = plain[: match.start()], plain[match.end() :]
        slightly = re.search(rf"\b(?:{slight})\s*$", before) or re.match(rf"\s*(?:{slight})\b", after)
        if shapes := named.get(entry.get("name", "")):
            entry = {"expression": shapes}
        found.append(_Step(kind, entry, SLIGHT if slightly else 1.0))
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
        rows.append(("lasting", row.words, {"name": name, "expression": face_point(0, {name: 100}).expression}))
    for turn in TURNS.values():
        rows.append(("lasting", turn.words, {turn.angle: turn.sign * USUAL_TURN}))
    groups = "|".join(f"(?P<n{i}>{words})" for i, (_, words, _) in enumerate(rows))
    return re.compile(rf"(?<![\w-])(?:{groups})(?![\w-])"), [(kind, entry) for kind, _, entry in rows]
