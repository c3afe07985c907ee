"""What a description asks for, as far as the rules are sure of it: what a model's answer has to show."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import pairwise

from laser_cli.errors import LaserError
from laser_cli.plan.rules import lexicon as lex
from laser_cli.plan.rules import plan_by_rules
from laser_cli.plan.rules.phrases import main_phrase

_SMALL = lex.word_set("small_words")


@dataclass(frozen=True)
class Goals:
    """The goal words of every stage in order, and the word for the subject; empty where nothing is sure."""

    goals: tuple[tuple[str, ...], ...] = ()
    subject: str = ""


def goals_of(description: str, source: str) -> Goals:
    """The stages of a description by the rules, and the source's subject unless they change it.

    Goal words stand both in the description and in what the rules make of it; a description that the rules do not
    wholly understand wants nothing for sure.
    """
    try:
        plan, notes = plan_by_rules(description, source, frames=200)
    except LaserError:
        return Goals()
    if notes:
        return Goals()
    said = _words(description)
    goals = []
    for before, after in pairwise(plan.prompts):
        new = [word for word in _words(after) if not _among(word, _words(before))]
        # as the description has it: «snowy», where the rules say «in falling snow»
        goals.append(tuple(dict.fromkeys(theirs for word in new for theirs in said if same(word, theirs))))
    return Goals(tuple(goals), _subject(plan.prompts))


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
