"""Orders told as changes: «turn the ball blue» -> «the ball becomes blue», «make it snow» -> «it snows»."""

from __future__ import annotations

import re

from laser_cli.plan.rules.events import environment
from laser_cli.plan.rules.phrases import is_adjective


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
