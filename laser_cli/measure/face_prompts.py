"""What a prompt says of a puppet, and what a puppet is, in the same values."""

from __future__ import annotations

import re

from laser_cli.storybook.face_words import HAIR_COLOUR_WORDS, HAT_WORDS
from laser_cli.storybook.puppets import (
    BACKGROUNDS,
    EXPRESSIONS,
    EYE_COLOURS,
    HAIRS,
    HAT_COLOURS,
    SKINS,
    Puppet,
    wearing,
)
from laser_cli.storybook.words import nearest

Attributes = dict[str, object]
SHOWN = ("expression", "direction")
"""The attributes that a face shows rather than has."""

_EXPRESSIONS = {
    "smiling": r"smil\w*|happy",
    "laughing": r"laugh\w*",
    "sad": r"sad",
    "frowning": r"frown\w*",
    "angry": r"angry",
    "surprised": r"surprised|astonished",
    "open": r"open mouth|mouth (?:is )?open|opens? (?:the|her|his|its) mouth",
    "asleep": r"asleep|closed eyes|eyes (?:are )?(?:closed|shut)",
    "wink left": r"wink\w* with the right eye",
    "wink right": r"wink\w* with the left eye",
    "pucker": r"pucker\w*|pout\w*",
    "puff": r"puff\w*",
    "look up": r"(?:looking|glanc\w+) up",
    "look down": r"(?:looking|glanc\w+) down",
    "look left": r"(?:looking|glanc\w+) (?:to the )?left",
    "look right": r"(?:looking|glanc\w+) (?:to the )?right",
}
_DIRECTIONS = {
    "left": r"(?:turn\w*|fac\w+)(?: the head)? (?:to the )?left",
    "right": r"(?:turn\w*|fac\w+)(?: the head)? (?:to the )?right",
    "up": r"head raised|chin up|raised head|lifted chin",
    "down": r"head lowered|chin down|lowered head|dropped chin",
    "tilted left": r"tilt\w*(?: the head)? to the left",
    "tilted right": r"tilt\w*(?: the head)? to the right",
}
_HAIRS = {
    "bald": r"bald|no hair",
    "bun": r"bun",
    "curly": r"curly|curls",
    "long": r"long \w+ hair",
    "short": r"short \w+ hair",
}
assert set(_EXPRESSIONS) == set(EXPRESSIONS) and set(_HAIRS) == set(HAIRS)


def face_attributes(puppet: Puppet) -> Attributes:
    """What a puppet of pure extremes looks like."""
    hair, bald = puppet.hair[0][0], puppet.hair[0][0] == "bald"
    named = [name for name in EXPRESSIONS if wearing(EXPRESSIONS[name]) == puppet.expression]
    turns = (("left", "right", puppet.yaw), ("down", "up", puppet.pitch), ("tilted left", "tilted right", puppet.roll))
    return {
        "expression": named[0] if named else "neutral",
        "direction": " ".join(more if angle > 0 else less for less, more, angle in turns if angle) or "forward",
        "hair": hair,
        "hair colour": "" if bald else puppet.hair_colour[0][0],
        "skin": nearest(puppet.skin, SKINS),
        "eyes": puppet.eyes[0][0],
        "glasses": puppet.glasses > 0.5,
        "hat": f"{puppet.hat_colour[0][0]} {puppet.hat[0][0]}" if puppet.hat else "",
        "background": puppet.background[0][0],
    }


def face_prompt_attributes(prompt: str) -> Attributes:
    """What a prompt says of a puppet; what it says twice, in two ways, is both."""
    text = prompt.lower()
    bald = bool(re.search(rf"\b(?:{_HAIRS['bald']})\b", text))
    colours = {word: name for name, words in HAIR_COLOUR_WORDS.items() for word in words}
    hats = {word: name for name, words in HAT_WORDS.items() for word in words}
    hat = re.search(rf"\b({'|'.join(HAT_COLOURS)}) ({'|'.join(hats)})\b", text)
    return {
        "expression": _said(_EXPRESSIONS, text) or "neutral",
        "direction": _said(_DIRECTIONS, text) or "forward",
        "hair": _said(_HAIRS, text),
        "hair colour": "" if bald else colours.get(_one(rf"({'|'.join(colours)})(?= (?:hair|curls|bun)\b)", text), ""),
        "skin": _one(rf"({'|'.join(SKINS)}) skin", text),
        "eyes": _one(rf"({'|'.join(EYE_COLOURS)}) eyes", text),
        "glasses": bool(re.search(r"(?<!without )\bglasses\b", text)),
        "hat": f"{hat[1]} {hats[hat[2]]}" if hat else "",
        "background": _one(rf"\b({'|'.join(BACKGROUNDS)}) background", text),
    }


def face_differences(prompt: str, puppet: Puppet) -> set[str]:
    """The attributes in which a prompt and a puppet differ."""
    said = face_prompt_attributes(prompt)
    return {kind for kind, value in face_attributes(puppet).items() if said[kind] != value}


def _said(table: dict[str, str], text: str) -> str:
    return " and ".join(name for name, pattern in table.items() if re.search(rf"\b(?:{pattern})\b", text))


def _one(pattern: str, text: str) -> str:
    found = re.search(pattern, text)
    return found[1] if found else ""
