"""What two prompts differ in, as far as it decides what may change in a picture."""

from __future__ import annotations

from laser_cli.plan.wording.phrases import adjective_spans, main_phrase

OUTLINE = frozenset(("size", "height", "girth"))
"""Adjectives that alter where the subject is, which its words do not look at yet."""


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
