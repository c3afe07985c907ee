"""Typing errors in descriptions: two letters that changed places in one of the commonest words."""

from __future__ import annotations

import re

from laser_cli.plan.wording import lexicon as lex

SPELLED = lex.word_set("spelled")
"""Words that are put right. Rarer ones are not: «tide» is no «tied», «sings» no «signs»."""


def corrected(description: str) -> tuple[str, list[str]]:
    """The description with swapped letters put right («teh cat becomse»), and a note for each word."""
    notes: list[str] = []

    def put_right(found: re.Match[str]) -> str:
        word = found[0].lower()
        swaps = (word[:i] + word[i + 1] + word[i] + word[i + 2 :] for i in range(len(word) - 1))
        meant = next((swap for swap in swaps if swap in SPELLED and swap != word), None)
        if meant is None or word in SPELLED or word == "form":
            return found[0]
        notes.append(f"{found[0]!r} is read as {meant!r}")
        return meant

    return re.sub(r"[A-Za-z]{3,}", put_right, description), notes
