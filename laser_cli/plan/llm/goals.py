"""What a description asks for, stage by stage, by its words and by what the rules read: what an answer has to show."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cache
from itertools import pairwise
from typing import Any

from laser_cli.errors import LaserError
from laser_cli.plan.rules import parse_attributes, plan_by_rules
from laser_cli.plan.rules.languages import in_english
from laser_cli.plan.rules.stages import split_stages
from laser_cli.plan.rules.verbs import is_verb_form
from laser_cli.plan.wording import lexicon as lex
from laser_cli.plan.wording.phrases import main_phrase, noun_phrases

_SMALL = lex.word_set("small_words")


@dataclass(frozen=True)
class Goal:
    """A stage of a description: its content words, and the attributes that the rules make of it."""

    words: tuple[str, ...] = ()
    attributes: dict[str, object] = field(default_factory=dict)
    gone: tuple[str, ...] = ()
    """Nouns of the prompt before that this stage takes away."""

    def shown_by(self, prompt: str) -> bool:
        """Whether a prompt says a word of the stage or a form of it, or has an attribute of it; vacuous if empty."""
        if not self.words and not self.attributes:
            return True
        if self.gone and not any(says(prompt, noun) for noun in self.gone):
            return True
        if any(says(prompt, word) for word in self.words):
            return True
        found = parse_attributes(prompt)
        return any(found.get(kind) == value for kind, value in self.attributes.items())


@dataclass(frozen=True)
class Goals:
    """The stages in order, and the word for a subject that all of them keep; empty where nothing is sure."""

    stages: tuple[Goal, ...] = ()
    subject: str = ""


def goals_of(description: str, source: str) -> Goals:
    """The stages of a description of change, and the source's subject where the rules are sure that it stays."""
    texts = split_stages(in_english(description))
    plan, sure = _by_rules(description, source)
    pairs = list(pairwise(plan)) if plan is not None and len(plan) == len(texts) + 1 else [("", "")] * len(texts)
    shown = _stems(source)
    stages = []
    for text, (before, after) in zip(texts, pairs, strict=True):
        said = content_words(text) if _is_english(text) else ()
        words = tuple(word for word in said if stem(word) not in shown) or said
        gone = tuple(phrase.head for phrase in noun_phrases(before) if not says(after, phrase.head)) if sure else ()
        stages.append(Goal(words, _new(before, after) if sure else {}, gone))
    heads = {main.head if (main := main_phrase(prompt)) else "" for prompt in plan or ()}
    return Goals(tuple(stages), heads.pop() if sure and len(heads) == 1 else "")


def _is_english(text: str) -> bool:
    """Whether a text has a word of English grammar or a known verb; words of other languages are not looked for."""
    words = re.findall(r"[^\W\d_]+", text.lower())
    return any(word in lex.DETERMINERS | lex.GENERIC | _SMALL or is_verb_form(word) for word in words)


def says(prompt: str, word: str) -> bool:
    """Whether a prompt holds a word or a form of it."""
    wanted = stem(word)
    return any(_kin(wanted, other) for other in _stems(prompt))


def content_words(text: str) -> tuple[str, ...]:
    """The words of a text that say what a picture shows."""
    found = re.findall(r"[^\W\d_]+(?:['-][^\W\d_]+)*", text.lower())
    return tuple(dict.fromkeys(word for word in found if word not in _SMALL and len(word) > 2))


@cache
def stem(word: str) -> str:
    """What the forms of an English word share: smile of smiles and smiling, snow of snowy, but sunset of itself."""
    word = lex.IRREGULAR_FORMS.get(word.lower(), word.lower())
    found: str = _stemmer().stemWord(lex.IRREGULAR_PLURALS.get(word, word))
    adjective = re.fullmatch(r"(\w{2,}?)(\w)?\2?i", found)  # snowi, foggi
    return f"{adjective[1]}{adjective[2] or ''}" if adjective and len(found) > 4 else found


def _kin(a: str, b: str) -> bool:
    """Whether two stems are of one word all the same: rot and rotten, ripe and ripen."""
    short, long = sorted((a, b), key=len)
    return a == b or (len(short) >= 3 and long.removeprefix(short) in ("n", "en", f"{short[-1]}en"))


@cache
def _stemmer() -> Any:
    from snowballstemmer import stemmer

    return stemmer("english")


def _stems(text: str) -> set[str]:
    return {stem(word) for word in content_words(text)}


def _by_rules(description: str, source: str) -> tuple[tuple[str, ...] | None, bool]:
    """The rules' prompts, and whether they understood everything."""
    try:
        plan, notes = plan_by_rules(description, source, frames=200)
    except LaserError:
        return None, False
    return plan.prompts, not notes


def _new(before: str, after: str) -> dict[str, object]:
    known, found = parse_attributes(before), parse_attributes(after)
    return {kind: value for kind, value in found.items() if known.get(kind) != value}
