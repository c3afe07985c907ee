"""Rows of `events.yaml` and `actions.yaml`: which clauses they fit, and what they say of them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from laser_cli.plan.wording import lexicon as lex

_KEYS = {"who", "verb", "except", "rest", "unless"}


@dataclass(frozen=True)
class Row:
    """A pattern for clauses: head nouns, verbs, words after the verb; None fits any. `says` is what follows from it."""

    who: frozenset[str] | None
    verbs: frozenset[str] | None
    other_verbs: frozenset[str]
    rest: re.Pattern[str]
    unless: re.Pattern[str]
    says: Mapping[str, Any]

    def match(self, head: str, verb: str, rest: str) -> re.Match[str] | None:
        """The match of the words after the verb if noun and verb fit as well."""
        if self.who is not None and head not in self.who:
            return None
        if verb in self.other_verbs or (self.verbs is not None and verb not in self.verbs):
            return None
        return None if self.unless.match(rest) else self.rest.match(rest)


def read_row(row: Mapping[str, Any]) -> Row:
    """A row of a table as a pattern."""
    rest, unless = (_pattern(row.get(key, default)) for key, default in (("rest", ""), ("unless", "(?!)")))
    return Row(
        _words(row["who"]) if "who" in row else None,
        _words(row["verb"]) if "verb" in row else None,
        _words(row.get("except", "")),
        rest,
        unless,
        {key: value for key, value in row.items() if key not in _KEYS},
    )


def _pattern(text: str) -> re.Pattern[str]:
    """A pattern in which CLOTHES stands for any of the clothes."""
    return re.compile(text.replace("CLOTHES", lex.alternatives(lex.word_set("clothes"))), re.IGNORECASE)


def _words(cell: str) -> frozenset[str]:
    """The words of a cell: @list stands for a list of words, - for no word, and -word takes one away."""
    found: set[str] = set()
    for word in cell.split():
        if word == "-":
            found.add("")
        elif word.startswith("-"):
            found -= _listed(word[1:])
        else:
            found |= _listed(word)
    return frozenset(found)


def _listed(word: str) -> frozenset[str]:
    return lex.listed(word[1:]) if word.startswith("@") else frozenset((word,))
