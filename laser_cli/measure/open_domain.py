"""Descriptions of the open world, written by hand, and the checks that any plan of them has to pass."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from itertools import pairwise
from typing import Any

import yaml

from laser_cli.errors import BadInputError
from laser_cli.plan.files import parse_plan, plan_text
from laser_cli.plan.length import CLIP_TOKENS, clip_tokens
from laser_cli.plan.schema import Plan

ALL = "all checks that apply"
_ENDING = "(?:s|es|d|ed|ing|y|r|er|n|en)?"
COPYING = 3
"""Words that a description has at least to count as copied where a prompt holds it."""


@dataclass(frozen=True)
class Sentence:
    """A description, and what its plan has to hold: words parted by | of which one will do; empty where none is sure.

    `stages` come in this order, each with a prompt of its own; `goal` is in the last prompt, `gone` is not;
    every prompt names the `subject`.
    """

    description: str
    source: str | None = None
    stages: tuple[str, ...] = ()
    goal: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()
    subject: str = ""


SETS = {"open domain": ("open_domain.yaml", 0, 1), "open world, tuned on": ("open_world.yaml", 0, 2)}
SETS |= {"open world, held out": ("open_world.yaml", 1, 2)}
"""Sets of sentences: their file, the first of them and every how many-th; no planner was tuned on the last set."""


@cache
def sentences(name: str = "open domain") -> tuple[Sentence, ...]:
    """The sentences of a set, so sorted that any number of them from the first on is of all kinds."""
    file, first, step = SETS[name]
    text = (files("laser_cli.measure") / file).read_text(encoding="utf-8")
    rows: list[dict[str, Any]] = [
        {key: tuple(v) if isinstance(v, list) else v for key, v in row.items()}
        for row in yaml.safe_load(text)[first::step]
    ]
    spread = sorted(range(len(rows)), key=lambda i: (i * 0.6180339887) % 1)  # golden ratio: neighbours go far apart
    return tuple(Sentence(**rows[i]) for i in spread)


def checks(plan: Plan | None, sentence: Sentence) -> dict[str, bool]:
    """Which of the checks that apply to a sentence its plan passes; without a plan it passes none."""
    judged = {name: plan is not None and check(plan, sentence) for name, check in applied(sentence).items()}
    return {ALL: all(judged.values()), **judged}


def applied(sentence: Sentence) -> dict[str, Callable[[Plan, Sentence], bool]]:
    """The checks that apply to a sentence, by name."""
    found: dict[str, Callable[[Plan, Sentence], bool]] = {"plan made and valid": _valid, "prompts of its own": _own}
    for wanted, name, check in (
        (sentence.stages, "stages in order", _in_order),
        (sentence.goal, "goal words in the last prompt", _reached),
        (sentence.gone, "what ends is gone", _gone),
        (sentence.subject, "subject kept", _kept),
    ):
        if wanted:
            found[name] = check
    return found


def said(prompt: str, words: str) -> bool:
    """Whether a prompt says one of several words or phrases, parted by |, or a form of it with a common ending."""
    return any(re.search(rf"(?<!\w){re.escape(one)}{_ENDING}(?!\w)", prompt, re.IGNORECASE) for one in words.split("|"))


def _valid(plan: Plan, sentence: Sentence) -> bool:
    """It is read back as written, no prompt repeats the one before it, and a text encoder reads all of each."""
    try:
        same = parse_plan(plan_text(plan)) == plan
    except BadInputError:
        return False
    moves = all(a != b or s.control == "hold" for (a, b), s in zip(pairwise(plan.prompts), plan.segments, strict=True))
    return same and moves and all(clip_tokens(prompt) <= CLIP_TOKENS for prompt in plan.prompts)


def _own(plan: Plan, sentence: Sentence) -> bool:
    """No prompt holds the description word for word."""
    told = sentence.description.casefold().strip(" .")
    return len(told.split()) < COPYING or not any(told in prompt.casefold() for prompt in plan.prompts[1:])


def _in_order(plan: Plan, sentence: Sentence) -> bool:
    """Every stage begins in a prompt of its own, one after the other."""
    first = [_first(plan.prompts[1:], stage) for stage in sentence.stages]
    return None not in first and all(a < b for a, b in pairwise(at for at in first if at is not None))


def _first(prompts: Sequence[str], words: str) -> int | None:
    return next((i for i, prompt in enumerate(prompts) if said(prompt, words)), None)


def _reached(plan: Plan, sentence: Sentence) -> bool:
    return all(said(plan.prompts[-1], words) for words in sentence.goal)


def _gone(plan: Plan, sentence: Sentence) -> bool:
    return not any(said(plan.prompts[-1], words) for words in sentence.gone)


def _kept(plan: Plan, sentence: Sentence) -> bool:
    return all(said(prompt, sentence.subject) for prompt in plan.prompts[1:])
