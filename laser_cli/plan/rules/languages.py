"""German and French descriptions told in English, word by word and by the phrases of `languages.yaml`."""

from __future__ import annotations

import re
from functools import cache
from typing import NamedTuple

from laser_cli.plan.rules.verbs import is_verb_form
from laser_cli.plan.wording import lexicon as lex
from laser_cli.plan.wording.phrases import is_adjective

_KNOWN = 0.7
"""The share of words of a language from which on a text is of that language."""


class _Language(NamedTuple):
    phrases: list[tuple[re.Pattern[str], str]]
    words: dict[str, str]


_WORD = re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)?")


@cache
def _languages() -> tuple[_Language, ...]:
    return tuple(
        _Language(
            [(re.compile(rf"(?<!\w)(?:{row['say']})(?!\w)", re.I), row["for"]) for row in table["phrases"]],
            {str(word): str(english) for word, english in table["words"].items()},
        )
        for table in lex.read_table("languages.yaml").values()
    )


def in_english(description: str) -> str:
    """The description in English if it is German or French, else as it is; unknown words stay."""
    text = description.replace("’", "'")
    said = _WORD.findall(text.lower())
    if sum(_is_english(word) for word in said) > len(said) / 2:
        return description
    for phrases, words in _languages():
        told = text
        for pattern, english in phrases:
            told = pattern.sub(english, told)
        left = [word for word in _WORD.findall(told.lower()) if word in said]
        known = [word for word in left if word in words]
        if len(known) >= _KNOWN * len(left) and (known or told != text):
            return _in_order(" ".join(_replaced(told, words).split()))
    return description


def _replaced(text: str, words: dict[str, str]) -> str:
    return _WORD.sub(lambda found: words.get(found[0].lower(), found[0]), text)


def _is_english(word: str) -> bool:
    """Whether a word is one that the rules know in English and that German and French do not have."""
    return word in _english() and not any(word in language.words for language in _languages())


@cache
def _english() -> frozenset[str]:
    return lex.DETERMINERS | lex.STOPS | lex.ADVERBS | lex.GENERIC | lex.word_set("small_words")


def _in_order(text: str) -> str:
    """Adjectives before their nouns, where French has them after."""
    words = text.split()
    for i in range(1, len(words)):
        noun, adjective = words[i - 1].strip(","), words[i].strip(",.;")
        other = noun.lower() in _english() - lex.GENERIC or is_adjective(noun) or is_verb_form(noun)
        plain = noun.isalpha() and not other
        if (
            plain
            and i >= 2
            and words[i - 2].lower() in ("a", "the")
            and is_adjective(adjective)
            and noun == words[i - 1]
        ):
            words[i - 1], words[i] = adjective, words[i].replace(adjective, noun)
    return " ".join(words)
