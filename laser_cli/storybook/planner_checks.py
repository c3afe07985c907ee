"""What an embedded planner's answer must not have: words from nowhere, and looks of a person that changed untold."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

from laser_cli.storybook.puppets import Puppet
from laser_cli.storybook.read import told_of

LOOKS: dict[str, tuple[str, tuple[str, ...]]] = {
    "hat": (r"hat|cap|beanie", ("hat", "hat_colour")),
    "glasses": (r"glasses|spectacles", ("glasses",)),
    "hair": (r"hair|bald|bun|curls|curly", ("hair", "hair_colour")),
    "background": (r"background|wall", ("background",)),
    "skin": (r"skin", ("skin",)),
    "eyes": (r"eyes?", ("eyes",)),
}
"""What a person has on or is like: the words that mean it, and the attributes of a puppet that it is."""
CHANGING = r"(?:put|take|remove|lose|wear|swap|change|become|turn|dye|get)s?"


def strange_words(prompts: Sequence[str], known: frozenset[str]) -> Iterator[str]:
    """Words of prompts that the world does not have."""
    for prompt in prompts:
        if strange := [word for word in re.findall(r"[^\W\d_]+", prompt.lower()) if word not in known]:
            yield f"its prompt has {strange[0]!r}, which is no word of its world or of the request"


def untold_looks(description: str, prompts: Sequence[str]) -> Iterator[str]:
    """Looks of a person that change though nothing is said of them, and such as are told to change and do not.

    ``prompts``: the source's and the keyframes'. Nothing is found where one of them is no portrait's caption.
    """
    told = [told_of(prompt) for prompt in prompts]
    if any(each is None or each[0] is not Puppet for each in told):
        return
    people: list[dict[str, Any]] = [each[1] for each in told if each]
    said = description.lower()
    for name, (words, attributes) in LOOKS.items():
        changed = any(_looks(a, attributes) != _looks(b, attributes) for a, b in pairwise(people))
        if changed and not re.search(rf"\b(?:{words})\b", said):
            yield f"it changes the {name}, of which nothing is said"
        elif not changed and name in ("hat", "glasses", "hair", "background") and _is_to_change(said, words):
            yield f"it does not change the {name}"


def _looks(person: dict[str, Any], attributes: tuple[str, ...]) -> tuple[Any, ...]:
    return tuple(person.get(attribute) or None for attribute in attributes)


def _is_to_change(said: str, words: str) -> bool:
    """Whether a verb of change goes with one of the words."""
    near = r"[^.,;]{0,25}"
    return bool(re.search(rf"\b{CHANGING}\b(?!{near}\band\b){near}\b(?:{words})\b|\b(?:{words})\b {CHANGING}\b", said))
