"""The guide of an interpolation: the prompt of what lies halfway between two others (PAID), as the rules compose it."""

from __future__ import annotations

import re
from typing import NamedTuple

from laser_cli.plan.length import CLIP_TOKENS, clip_tokens, cut
from laser_cli.plan.schema import RULES, Planner

BETWEEN = "something halfway between"
_PREPOSITIONS = "in on at by with under over near behind beside above below among of from wearing during"
_TAIL_WORDS = frozenset(_PREPOSITIONS.split())


class Guide(NamedTuple):
    """A guide prompt, who made it, and notes for the user about how it came about."""

    prompt: str
    planner: Planner
    notes: tuple[str, ...] = ()


def guide_by_rules(begin: str, end: str) -> Guide:
    """The in-between of two prompts: in the words of a world that knows both, else a simple sentence."""
    if alike(begin, end):
        return Guide(begin, RULES, (f"both stops show the same, so does their guide: {begin}",))
    from laser_cli.plan.planners import halfway

    known = halfway(begin, end)
    if known and not alike(known, begin) and not alike(known, end):
        return Guide(known, RULES)
    return composed(begin, end)


def composed(begin: str, end: str) -> Guide:
    """«something halfway between A and B», a shared end said once; cut to 77 tokens, with a note.

    A shared end counts from a word such as «in» or «with» on.
    """
    a, b = " ".join(begin.split()).rstrip(".,; "), " ".join(end.split()).rstrip(".,; ")
    tail = _shared_end(a, b)
    a, b = (text[: len(text) - len(tail)].rstrip(" ,") for text in (a, b))
    end_words = f", {tail}" if tail else ""
    room = CLIP_TOKENS - clip_tokens(f"{BETWEEN} and{end_words}")
    if clip_tokens(f"{a} {b}") <= room:
        return Guide(f"{BETWEEN} {a} and {b}{end_words}", RULES)
    if room < CLIP_TOKENS // 2:  # the shared end takes most of it
        tail, _ = cut(tail, CLIP_TOKENS // 2 - 6)
        end_words, room = f", {tail}", CLIP_TOKENS // 2
    a, b = (cut(text, room // 2)[0] for text in (a, b))
    note = "the guide would be longer than 77 tokens: the prompts are shortened in it"
    return Guide(f"{BETWEEN} {a} and {b}{end_words}", RULES, (note,))


def alike(a: str, b: str) -> bool:
    """Whether two prompts say the same but for case and punctuation."""
    return re.sub(r"\W+", " ", a).strip().casefold() == re.sub(r"\W+", " ", b).strip().casefold()


def _shared_end(a: str, b: str) -> str:
    """What both texts end in, from a preposition on, leaving something of each."""
    first, second = a.split(), b.split()
    count = 0
    while count < min(len(first), len(second)) - 1 and first[-1 - count] == second[-1 - count]:
        count += 1
    shared = first[len(first) - count :]
    start = next((i for i, word in enumerate(shared) if word.lower() in _TAIL_WORDS), count)
    return " ".join(shared[start:])
