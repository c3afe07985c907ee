"""Intermediate keyframes between two that lie far apart, so that neighbours differ little.

Day does not turn into night without a sunset, nor does left into right without a middle: a model asked only for the two
ends snaps from one to the other somewhere.
"""

from __future__ import annotations

from itertools import pairwise

from laser_cli.plan.schema import Plan, Segment
from laser_cli.plan.way import lengths
from laser_cli.plan.wording.edits import set_tail
from laser_cli.plan.wording.phrases import parse_attributes

Rung = tuple[str | None, str | None]
"""What an attribute is, and how a prompt says it; None where it is left unsaid."""

LADDERS: dict[str, tuple[Rung, ...]] = {
    "place": (
        ("left", "on the left"),
        ("half left", "a little to the left"),
        (None, None),
        ("half right", "a little to the right"),
        ("right", "on the right"),
    ),
    "rain": ((None, None), ("light", "in light rain"), ("steady", "in the rain"), ("heavy", "in heavy rain")),
    "snowfall": (
        (None, None),
        ("light", "in light snowfall"),
        ("steady", "in falling snow"),
        ("heavy", "in heavy snowfall"),
    ),
    "snow": (
        (None, None),
        ("some", "with a little snow on the ground"),
        ("half", "half covered in snow"),
        ("deep", "covered in snow"),
    ),
}
HOURS = {"night": 0.0, "dawn": 6.0, "morning": 9.0, "noon": 12.5, "afternoon": 15.5, "sunset": 18.8, "dusk": 20.3}
TURNS = ("night", "dawn", "sunset", "dusk")
"""The times at which the light turns: nobody misses an afternoon between noon and sunset."""
FORWARD = 16.0
"""Time runs forward if that takes no more hours than this, else back."""


def with_intermediate_keyframes(plan: Plan) -> Plan:
    """The plan with every far segment cut into near ones that are as long together; short segments stay whole."""
    segments: list[Segment] = []
    for before, segment in zip(plan.prompts[:-1], plan.segments, strict=True):
        way = [*between(before, segment.prompt), segment.prompt]
        if segment.frames - 1 < 2 * len(way):
            segments.append(segment)
            continue
        shares = lengths(segment.easing, [1.0] * len(way), segment.frames)
        segments += [
            segment.model_copy(update={"prompt": prompt, "frames": frames, "via": True, "back": False})
            for prompt, frames in zip(way, shares, strict=True)
        ]
        segments[-1] = segments[-1].model_copy(update={"via": segment.via, "back": segment.back})
    return plan.model_copy(update={"segments": tuple(segments)})


def between(before: str, after: str) -> list[str]:
    """The prompts between two, without them; none where they are neighbours."""
    said, wanted = parse_attributes(before), parse_attributes(after)
    ways = {kind: _climb(ladder, said.get(kind), wanted.get(kind)) for kind, ladder in LADDERS.items()}
    ways["time"] = _turns(said.get("time"), wanted.get("time"))
    ways = {kind: way for kind, way in ways.items() if way}
    count = max((len(way) for way in ways.values()), default=0)
    prompts = []
    for i in range(1, count + 1):
        # what else changes does so half-way; a shorter ladder begins later and ends earlier, on the base's own words
        prompt = before if i <= count / 2 else after
        for kind, way in ways.items():
            rung = round(i * (len(way) + 1) / (count + 1))
            if 1 <= rung <= len(way):
                prompt = set_tail(prompt, kind, way[rung - 1])
        prompts.append(prompt)
    return [now for previous, now in pairwise([before, *prompts]) if now not in (previous, after)]


def _climb(ladder: tuple[Rung, ...], begin: object, end: object) -> list[str | None]:
    """The phrases of the rungs between two values of a ladder."""
    names = [name for name, _ in ladder]
    begin, end = (None if value == "middle" else value for value in (begin, end))
    if begin not in names or end not in names:
        return []
    i, j = names.index(begin), names.index(end)
    step = 1 if j >= i else -1
    return [ladder[k][1] for k in range(i + step, j, step)]


def _turns(begin: object, end: object) -> list[str | None]:
    """The turns of the light between two times of day."""
    if not isinstance(begin, str) or not isinstance(end, str) or begin not in HOURS or end not in HOURS:
        return []
    hours = (HOURS[end] - HOURS[begin]) % 24
    forward = hours <= FORWARD
    hours = hours if forward else 24 - hours
    start = HOURS[begin if forward else end]
    between = sorted((after, name) for name in TURNS if 0 < (after := (HOURS[name] - start) % 24) < hours)
    names = [name for _, name in (between if forward else reversed(between))]
    return [f"at {name}" for name in names]
