"""The words of `words.yaml` as typed tables."""

from __future__ import annotations

import re
from collections.abc import Iterable
from importlib.resources import files
from typing import Any

import yaml

Phrases = dict[str, tuple[str, ...]]
"""Value of an attribute -> the phrases that say it."""
Changes = tuple[tuple[str, str | None], ...]
"""Phrases of place, time and weather to set, by kind; None takes a kind away."""


def read_table(name: str, room: str = "rules") -> Any:
    """The content of a YAML file beside the modules of a room."""
    text = (files(f"laser_cli.plan.{room}") / name).read_text(encoding="utf-8")
    # the C parser where PyYAML was built with it: ten times as fast
    return yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))


_TABLE = read_table("words.yaml", "wording")


def words(name: str) -> tuple[str, ...]:
    """The words of a list in `words.yaml`, in their order."""
    return tuple(_TABLE[name].split())


def word_set(*names: str) -> frozenset[str]:
    """The words of one or more lists."""
    return frozenset(word for name in names for word in words(name))


def listed(name: str) -> frozenset[str]:
    """The words of a list, or the keys of a table, of `words.yaml`."""
    return word_set(name) if isinstance(_TABLE[name], str) else frozenset(_TABLE[name])


def _phrases(name: str) -> Phrases:
    return {str(value): tuple(found) for value, found in _TABLE[name].items()}


def alternatives(phrases: Iterable[str]) -> str:
    """A regular expression for any of the phrases, the longest first."""
    return "|".join(re.escape(phrase) for phrase in sorted(phrases, key=len, reverse=True))


SUBJECTS, PATTERNS, PATTERN_NOUNS, SIZES = map(_phrases, ("subjects", "patterns", "pattern_nouns", "sizes"))
PLAIN_SIZE: dict[str, str] = _TABLE["plain_size"]
QUALITIES: Phrases = _phrases("qualities")
PLAIN_QUALITY: dict[str, str] = _TABLE["plain_quality"]
COLOURS = (*words("colours"), "black and white")
SHADES, ISH = words("shades"), words("ish")
SAME_COLOUR: dict[str, str] = _TABLE["same_colour"]

TAIL_ORDER = words("tail_order")
"""The order in which a prompt tells the kinds that follow its subject."""
TIMES, PLACES, RAIN, SNOWFALL = map(_phrases, ("times", "places", "rain", "snowfall"))
SNOW, SKY, SEASONS, FOG = map(_phrases, ("snow", "sky", "seasons", "fog"))
SETTINGS: dict[str, tuple[str, str]] = {noun: (value, phrase) for noun, (value, phrase) in _TABLE["settings"].items()}
"""Noun -> the setting it stands for, and the phrase that says it."""
SETTING_NOUN = alternatives(SETTINGS)
TIME_NOUNS: dict[str, tuple[str, str]] = {noun: (value, said) for noun, (value, said) in _TABLE["time_nouns"].items()}
SEASON_NOUNS: dict[str, str] = _TABLE["season_nouns"]
AIR: dict[str, Changes] = {word: tuple(changes.items()) for word, changes in _TABLE["air"].items()}
"""A word of the weather -> what it changes."""
AIR_FILLERS = word_set("air_fillers")
DRY: Changes = (("rain", None), ("snowfall", None))

STYLE_NAMES: dict[str, str] = _TABLE["style_names"]
"""Styles that are no noun for a picture -> the words before «of»."""
ENDS = {word: frozenset(over.split()) for word, over in _TABLE["ends"].items()}
"""A word that is new in a prompt -> adjectives that are over with it."""
ENDS_WITHOUT = {noun: frozenset(over.split()) for noun, over in _TABLE["ends_without"].items()}
"""A noun that is gone from a prompt -> adjectives that go with it."""
CLOTHES = word_set("clothes")
STYLE_NOUNS = {noun: value for value, nouns in _phrases("styles").items() for noun in nouns} | {
    noun: noun for noun in _TABLE["other_styles"]
}
STYLE_NOUN = alternatives(STYLE_NOUNS)

GENERIC, SCENERY, PICTURE, FACES = map(word_set, ("generic", "scenery", "picture", "faces"))
PARTS, UNCOUNTED, MASS_NOUNS, MATERIALS = map(word_set, ("parts", "uncounted", "mass_nouns", "materials"))
SELF_COLOURED, ING_NOUNS, SAME_PLURAL = map(word_set, ("self_coloured", "ing_nouns", "same_plural"))
RAINS, SNOWS, FOGS = map(word_set, ("rains", "snows", "fogs"))
AIR_NOUNS = word_set("rains", "snows", "fogs", "heavens")
IRREGULAR_PLURALS: dict[str, str] = _TABLE["irregular_plurals"]
DETERMINERS, STOPS = map(word_set, ("determiners", "stops"))

MOTIONS, MOVES, PLACE_ONLY = map(word_set, ("motions", "moves", "place_only"))
BECOMING, GROWING, SHRINKING, GAINING = map(word_set, ("becoming", "growing", "shrinking", "gaining"))
COMING, ENDING, STAYING, TAKING = map(word_set, ("coming", "ending", "staying", "taking"))
POSING, DECAYING, VAGUE = map(word_set, ("posing", "decaying", "vague"))
VERBS = word_set(
    "becoming", "growing", "shrinking", "gaining", "coming", "ending", "staying", "other_verbs", "motions", "moves"
)
IRREGULAR_FORMS: dict[str, str] = _TABLE["irregular_forms"]
ING_FORMS: dict[str, str] = _TABLE["ing_forms"]
ADVERBS = word_set("adverbs")
