"""What two prompts differ in, as far as it decides what may change in a picture."""

from __future__ import annotations

from laser_cli.plan.wording.edits import set_tail
from laser_cli.plan.wording.phrases import adjective_spans, main_phrase, noun_value, parse_attributes, tail_spans

OUTLINE = frozenset(("size", "height", "girth"))
"""Adjectives that alter where the subject is, which its words do not look at yet."""
ACROSS = {"left": 0.25, "half left": 0.375, "middle": 0.5, "half right": 0.625, "right": 0.75}
"""Where a place that a prompt names is, as a share of the picture's width; the middle goes without saying."""


def only_the_subject_changes(before: str, after: str) -> bool:
    """Whether two prompts differ, and in nothing but what the subject is and looks like: its noun, colour, pattern."""
    around, outlines = [], []
    for prompt in (before, after):
        phrase = main_phrase(prompt)
        if phrase is None:
            return False
        around.append((prompt[: phrase.start].lower().split(), prompt[phrase.end :].lower().split()))
        outlines.append({span.value for span in adjective_spans(prompt, phrase) if span.kind in OUTLINE})
    return before != after and around[0] == around[1] and outlines[0] == outlines[1]


def moved_to(before: str, after: str) -> float | None:
    """Where across the picture its subject comes to be, 0..1 from the left; None if the place told stays the same."""
    begin, end = (str(parse_attributes(prompt).get("place", "middle")) for prompt in (before, after))
    return None if begin == end else ACROSS.get(end)


def same_subject(before: str, after: str, look: bool = False) -> bool:
    """Whether two prompts have a subject, and the same one; with ``look`` also told alike, colour and all."""
    phrases = [(prompt, phrase) for prompt in (before, after) if (phrase := main_phrase(prompt)) is not None]
    told = {prompt[phrase.body : phrase.end].lower() if look else noun_value(phrase.head) for prompt, phrase in phrases}
    return len(phrases) == 2 and len(told) == 1


def same_light(before: str, after: str) -> bool:
    """Whether two prompts tell the same hour and style: what a subject is like in another is not what it was."""
    begin, end = (parse_attributes(prompt) for prompt in (before, after))
    return all(begin.get(name) == end.get(name) for name in ("time", "style"))


def only_the_scene_changes(before: str, after: str) -> bool:
    """Whether two prompts tell the same subject, in another scene: place, setting, season, hour, weather."""
    return before != after and main_phrase(before) is not None and _without_scene(before) == _without_scene(after)


def _without_scene(prompt: str) -> list[str]:
    """The words of a prompt but for those that tell its scene."""
    for span in reversed(tail_spans(prompt)):
        prompt = f"{prompt[: span.start]} {prompt[span.end :]}"
    return prompt.lower().replace(",", " ").split()


def only_the_place_changes(before: str, after: str) -> bool:
    """Whether two prompts say the same but for where the subject is."""
    return set_tail(before, "place", None) == set_tail(after, "place", None)
