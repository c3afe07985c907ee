"""Orders and idioms told as plain changes: «turn it blue» -> «it becomes blue», «catches fire» -> «becomes burning»."""

from __future__ import annotations

import re
from functools import cache

from laser_cli.plan.rules.events import environment
from laser_cli.plan.wording import lexicon as lex
from laser_cli.plan.wording.phrases import is_adjective


def rewritten(text: str) -> str:
    """A clause with the idioms of `idioms.yaml` told plainly, and orders as changes."""
    for pattern, plain in _idioms():
        text = pattern.sub(plain, text)
    return imperative(_without_modal(text))


def _without_modal(text: str) -> str:
    """«the sofa should become green» -> «the sofa becomes green»."""
    found = re.match(
        r"(.+?) (?:should|shall|must|can|could|will|would|may|might|needs to|has to) (\w+)\b(.*)", text, re.IGNORECASE
    )
    if not found or found[2].lower() in ("not", "have"):
        return text
    verb = "is" if found[2].lower() == "be" else _finite([found[2]], 0)
    return f"{found[1]} {verb}{found[3]}"


@cache
def _idioms() -> list[tuple[re.Pattern[str], str]]:
    rows = lex.read_table("idioms.yaml")
    return [(re.compile(rf"\b(?:{row['say']})(?!\w)", re.IGNORECASE), row["for"]) for row in rows]


def imperative(text: str) -> str:
    """An order told as a change: «turn the ball blue» -> «the ball becomes blue», «make it snow» -> «it snow»."""
    found = re.match(
        r"(?:please )?(turn|change|transform|morph|convert|make|let|paint|dye|colou?r|move) (.+)", text, re.IGNORECASE
    )
    if not found or re.match(r"(?:in)?to\b|from\b", found[2], re.IGNORECASE):
        return text
    verb, rest = found[1].lower(), found[2]
    pronoun = re.match(r"(it|him|her|them|everything)\b ?", rest, re.IGNORECASE)
    if verb == "move" and (goal := re.match(r"(.+?) (to the .+)", rest)):
        return f"{goal[1]} moves {goal[2]}"
    if verb not in ("let", "make") and (goal := re.match(r"(.+?) ((?:in)?to .+)", rest, re.IGNORECASE)):
        return f"{goal[1]} turns {goal[2]}"
    words = rest.split()
    at = len(words)
    while at > 1 and (is_adjective(words[at - 1].strip(",")) or words[at - 1] == "and"):
        at -= 1
    named = words[0].lower() in ("a", "an", "the", "his", "her", "its") and not pronoun
    if at < len(words) and (pronoun or named) and (verb != "let"):
        return f"{' '.join(words[:at])} becomes {' '.join(words[at:])}"
    if verb == "let" or (verb == "make" and pronoun and words[1:] and words[1].lower() not in ("a", "an")):
        if words[1:] and pronoun and environment(" ".join(words[1:])) and words[1] not in ("snow", "rain"):
            return f"it becomes {' '.join(words[1:])}"
        return _finite(words, 1 if pronoun else 2)
    if verb == "make" and pronoun and words[1:]:
        return f"{words[0]} becomes {' '.join(words[1:])}"
    return _finite(words, 2) if verb == "make" and named else text


def _finite(words: list[str], at: int) -> str:
    """«the ball», «grow» -> «the ball grows»."""
    if len(words) <= at:
        return " ".join(words)
    verb = words[at]
    third = verb + ("es" if re.search(r"(?:s|x|sh|ch|o)$", verb) else "s")
    return " ".join([*words[:at], re.sub(r"([^aeiou])ys$", r"\1ies", third), *words[at + 1 :]])
