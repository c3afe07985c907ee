"""What a description surely asks for, as far as the rules read it: what a model's answer is held to."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import pairwise

from laser_cli.errors import LaserError
from laser_cli.plan.lexicon import word_set
from laser_cli.plan.phrases import main_phrase
from laser_cli.plan.rules import plan_by_rules

_SMALL = word_set(
    "a an the and or of in on at to into with without by from its his her their it he she they is are be as then "
    "turns turn becomes become changes change gets get goes go more most very now all while finally after that one"
)


@dataclass(frozen=True)
class Wanted:
    """The goal words of every stage in order, and the word for the subject; empty where nothing is sure."""

    goals: tuple[tuple[str, ...], ...] = ()
    subject: str = ""


def wanted(description: str, source: str) -> Wanted:
    """The stages of a description by the rules, and the source's subject unless they change it.

    Goal words stand both in the description and in what the rules make of it; a description that the rules do not
    wholly understand wants nothing for sure.
    """
    try:
        plan, notes = plan_by_rules(description, source, frames=200)
    except LaserError:
        return Wanted()
    if notes:
        return Wanted()
    said = _words(description)
    goals = []
    for before, after in pairwise(plan.prompts):
        new = [word for word in _words(after) if not _among(word, _words(before))]
        # as the description has it: «snowy», where the rules say «in falling snow»
        goals.append(tuple(dict.fromkeys(theirs for word in new for theirs in said if same(word, theirs))))
    return Wanted(tuple(goals), _subject(plan.prompts))


def same(a: str, b: str) -> bool:
    """Whether two words are forms of one, by their beginnings: snow and snowy, jump and jumping."""
    short, long = sorted((a, b), key=len)
    if short == long:
        return True
    begin = next((i for i, (x, y) in enumerate(zip(short, long, strict=False)) if x != y), len(short))
    return begin >= 5 or (begin == len(short) >= 3 and len(long) - begin <= 4)


def says(prompt: str, goal: str) -> bool:
    """Whether a prompt holds a word or a form of it."""
    return _among(goal, _words(prompt))


def _subject(prompts: tuple[str, ...]) -> str:
    heads = {main.head if (main := main_phrase(prompt)) else "" for prompt in prompts}
    return heads.pop() if len(heads) == 1 else ""


def _among(word: str, words: list[str]) -> bool:
    return any(same(word, other) for other in words)


def _words(text: str) -> list[str]:
    found = re.findall(r"[^\W\d_]+(?:['-][^\W\d_]+)*", text.lower())
    return [word for word in found if word not in _SMALL and len(word) > 2]
