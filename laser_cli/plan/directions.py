"""What a description says about the animation: there and back, camera, duration, quality, politeness.

It is taken out before a planner reads the description, and applied or reported; `directions.yaml` has the patterns.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import yaml

from laser_cli.plan.request import Planned
from laser_cli.plan.schema import MAX_SEGMENTS, STRENGTHS, Plan, Segment, share_frames

_LEFT_OUT = {
    "camera": "the camera stays where it is: {words!r} is left out",
    "duration": "{words!r} is left out: --frames and --fps set how long an animation is",
    "quality": "{words!r} is left out: it is about the whole picture, and belongs into --source-prompt",
}


@dataclass(frozen=True)
class Directions:
    """The description that is left, whether the animation ends where it began, and notes about what was left out."""

    description: str
    back: bool = False
    notes: tuple[str, ...] = ()


def read_directions(description: str) -> Directions:
    """Take directions out of a description; one that is nothing but directions stays as it is."""
    left, back, notes = description.strip(), False, []
    before = ""
    while left != before:  # «please could you …»
        before = left
        for kind, pattern, plain in _patterns():
            for found in pattern.finditer(left) if kind in _LEFT_OUT else ():
                notes.append(_LEFT_OUT[kind].format(words=found[0].strip(" ,;.!?")))
            taken = pattern.sub(plain, left)
            if taken != left:
                back = back or kind == "back"
                left = _tidy(taken)
    if not re.search(r"\w", left):
        return Directions(description.strip())
    return Directions(left, back, tuple(notes))


def apply_directions(made: Planned, directions: Directions, description: str) -> Planned:
    """The plan of what is left of a description, with its directions applied and reported."""
    plan = made.plan.model_copy(update={"description": " ".join(description.split())})
    if directions.back:
        plan = lead_back(plan)
    return Planned(plan, (*made.notes, *directions.notes))


def lead_back(plan: Plan) -> Plan:
    """The plan with a last segment that leads back to the source, in as many frames as before."""
    last = plan.segments[-1]
    if last.prompt == plan.source:
        segments = (*plan.segments[:-1], last.model_copy(update={"back": True}))
        return plan.model_copy(update={"segments": segments})
    count = len(plan.segments) + 1
    if count > MAX_SEGMENTS:
        return plan
    control = last.control if last.control != "hold" else "texture"
    back = Segment(
        prompt=plan.source,
        control=control,
        strength=last.strength or STRENGTHS[control],
        frames=2,
        easing=last.easing,
        back=True,
    )
    weights = [segment.frames - 1 for segment in plan.segments]
    weights.append(max(1, round(sum(weights) / len(weights))))
    lengths = share_frames(plan.total_frames, weights)
    segments = tuple(
        segment.model_copy(update={"frames": n}) for segment, n in zip((*plan.segments, back), lengths, strict=True)
    )
    return plan.model_copy(update={"segments": segments})


@cache
def _patterns() -> tuple[tuple[str, re.Pattern[str], str], ...]:
    text = (files("laser_cli.plan") / "directions.yaml").read_text(encoding="utf-8")
    table = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    numbers = "|".join(table.pop("numbers"))
    rows = [(kind, *(row if isinstance(row, list) else (row, " "))) for kind, rows in table.items() for row in rows]
    return tuple((kind, re.compile(said.replace("NUMBER", numbers), re.I), plain) for kind, said, plain in rows)


def _tidy(text: str) -> str:
    text = re.sub(r"[ \t]+", " ", text)
    text = re.sub(r"\s+([,.;!?])", r"\1", text)
    text = re.sub(r"([,;])(?:\s*[,;])+", r"\1", text)
    text = re.sub(r"^(?:(?:and|while|as|then|but)\s+)+", "", text.strip(" ,;?\t"), flags=re.IGNORECASE)
    return text.strip(" ,;?\t")
