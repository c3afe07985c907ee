"""The items that prompts describe: captions read backwards, word by word; a prompt with any other word is none."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from typing import Any

from laser_cli.storybook.face_words import (
    EXPRESSION_WORDS,
    HAIR_COLOUR_WORDS,
    HAIR_WORDS,
    HAT_WORDS,
    NEUTRAL_WORDS,
    NOD_WORDS,
    START_WORDS,
    TILT_WORDS,
    TURN_WORDS,
)
from laser_cli.storybook.puppets import BACKGROUNDS, EXPRESSIONS, EYE_COLOURS, HAT_COLOURS, SKINS, Puppet, wearing
from laser_cli.storybook.scenes import COLOURS, PLACES, SIZES, TIMES, WHEEL, Scene, between_colours, pure
from laser_cli.storybook.vocabulary import (
    ISH,
    PATTERN_WORDS,
    PLACE_WORDS,
    RAIN_WORDS,
    SETTING_WORDS,
    SIZE_WORDS,
    SKY_WORDS,
    SNOW_WORDS,
    SNOWFALL_WORDS,
    STYLE_WORDS,
    SUBJECT_WORDS,
    TIME_WORDS,
)
from laser_cli.storybook.words import article
from laser_cli.storybook.world import Item, blend_items, caption_of

Told = dict[str, Any]
"""Attributes of an item that a prompt says, by their names."""
FILLERS = frozenset(("a", "an", "the", "and", "with"))
TURN, NOD, A_LITTLE, FAINT = 30.0, 18.0, 0.45, 0.45
"""Degrees of a head that is turned, and raised or tilted; the shares of «a little», and of «faintly» and «slightly»."""
LEVELS = {"light": 0.3, "steady": 0.6, "heavy": 0.95, "some": 0.3, "half": 0.55, "deep": 0.95}
SKIES = {"clear": 0.05, "cloudy": 0.7, "overcast": 0.95}
KEPT = ("hue", "saturation", "lightness", "setting", "skin", "hair", "hair_colour", "eyes", "background", "hat_colour")
"""What has no usual value: said of one of two items only, it holds for both."""
FACE = ("expression", "yaw", "pitch", "roll")
"""What a puppet does, and not how it looks."""
UNSAID = {
    "colour": "hue",
    "setting": "setting",
    "time": "hour",
    "skin": "skin",
    "hair": "hair",
    "eyes": "eyes",
    "expression": "expression",
    "background": "background",
}
"""Kinds that a caption can leave out, and the attributes that say them."""


def told_of(prompt: str) -> tuple[type[Scene] | type[Puppet], Told] | None:
    """The kind of item that a prompt describes and what it says of it; None if it is not wholly of this world."""
    for kind, table in ((Puppet, _faces()), (Scene, _scenes())):
        told: Told = {}
        begun = 0

        def take(found: re.Match[str], table: Mapping[str, Told] = table, told: Told = told) -> str:
            said = table[found[0].lower()]
            nonlocal begun
            begun += not said or "subject" in said
            told["expression"] = (*told.get("expression", ()), *said.get("expression", ()))
            told.update({key: value for key, value in said.items() if key != "expression"})
            return " "

        left = _pattern(kind is Puppet).sub(take, prompt)
        if begun == 1 and set(re.findall(r"[\w'-]+", left.lower())) <= FILLERS:
            if not told["expression"] and "neutral" not in told:
                del told["expression"]
            told.pop("neutral", None)
            return kind, told
    return None


def face_told(prompt: str) -> Told:
    """What a prompt says of a face, whatever else it says: `expression`, `yaw`, `pitch` and `roll`; what it does not
    say is left out."""
    prompt = re.sub(r"\ba little (to the \w+)", r"\1 a little", prompt)
    told: Told = {}
    for found in _pattern(True).finditer(prompt):
        said = _faces()[found[0].lower()]
        if "expression" in said:
            told["expression"] = (*told.get("expression", ()), *said["expression"])
        told.update({axis: said[axis] for axis in ("yaw", "pitch", "roll") if axis in said})
    return told


def looks_told(prompt: str) -> str:
    """A portrait's prompt without its face and how its head is held; any other prompt as it is."""
    read = told_of(prompt)
    if not read or read[0] is not Puppet:
        return prompt
    told = {key: value for key, value in read[1].items() if key not in FACE}
    unsaid = frozenset(name for name, key in UNSAID.items() if key not in told)
    return caption_of(_item(Puppet, told), unsaid=unsaid)


def caption_between(begin: str, end: str) -> str | None:
    """The caption of what lies halfway between two prompts; None if they do not describe two of a kind."""
    first, last = told_of(begin), told_of(end)
    if not first or not last or first[0] is not last[0]:
        return None
    kind, a, b = first[0], first[1], last[1]
    for here, there in ((a, b), (b, a)):
        here.update({key: there[key] for key in KEPT if key in there and key not in here})
    unsaid = frozenset(name for name, key in UNSAID.items() if key not in a and key not in b)
    return caption_of(blend_items(_item(kind, a), _item(kind, b), 0.5), unsaid=unsaid)


def _item(kind: type[Scene] | type[Puppet], told: Told) -> Item:
    if "expression" in told:
        told = {**told, "expression": wearing(dict(told["expression"]))}
    return kind(**told)


@cache
def _pattern(faces: bool) -> re.Pattern[str]:
    phrases = sorted(_faces() if faces else _scenes(), key=len, reverse=True)
    return re.compile(rf"(?<![\w-])(?:{'|'.join(map(re.escape, phrases))})(?![\w-])", re.IGNORECASE)


def _each(words: Mapping[str, tuple[str, ...]], values: Mapping[str, Told]) -> dict[str, Told]:
    """Phrase to what it says, from the phrases and the values of the same names."""
    return {phrase: values[name] for name, phrases in words.items() for phrase in phrases}


@cache
def _scenes() -> dict[str, Told]:
    """All phrases of scenes and what they say."""
    mixed = {f"{ISH[a]} {b}": between_colours(a, b, 0.5) for a, b in zip(WHEEL, (*WHEEL[1:], WHEEL[0]), strict=True)}
    known: dict[str, Told] = {
        name: {"hue": h, "saturation": s, "lightness": v} for name, (h, s, v) in (COLOURS | mixed).items()
    }
    known["grey"] = known["gray"]
    patterns: dict[str, Told] = {name: {"pattern": pure(name) if name != "plain" else ()} for name in PATTERN_WORDS}
    known |= _each(PATTERN_WORDS, patterns)
    known |= {f"faintly {p}": {"pattern": ((n, FAINT),)} for n, ps in PATTERN_WORDS.items() if n != "plain" for p in ps}
    known |= _each(STYLE_WORDS, {name: {"style": pure(name)} for name in STYLE_WORDS})
    known |= {f"almost {p}": {"style": ((n, FAINT),)} for n, ps in STYLE_WORDS.items() for p in ps}
    known |= _each(SUBJECT_WORDS, {name: {"subject": pure(name)} for name in SUBJECT_WORDS})
    known |= _each(SETTING_WORDS, {name: {"setting": pure(name)} for name in SETTING_WORDS})
    known |= _each(SIZE_WORDS, {name: {"size": value} for name, value in SIZES.items()})
    known |= _each(PLACE_WORDS, {name: {"place": value} for name, value in PLACES.items()})
    known |= {f"a little to the {side}": {"place": PLACES[side] / 2} for side in ("left", "right")}
    known |= _each(TIME_WORDS, {name: {"hour": hour} for name, hour in TIMES.items()})
    known |= {f"before {name}": {"hour": TIMES[name] - 1.2} for name in ("dawn", "noon", "sunset", "dusk")}
    known |= {f"after {name}": {"hour": TIMES[name] + 1.2} for name in ("dawn", "noon", "sunset", "dusk")}
    known |= _each(SKY_WORDS, {name: {"clouds": value} for name, value in SKIES.items()})
    for kind, words in (("rain", RAIN_WORDS), ("snowfall", SNOWFALL_WORDS)):
        known |= _each(words, {name: {kind: LEVELS[name], "clouds": SKIES["cloudy"]} for name in words})
    return known | _each(SNOW_WORDS, {name: {"snow": LEVELS[name]} for name in SNOW_WORDS})


@cache
def _faces() -> dict[str, Told]:
    """All phrases of puppets and what they say; those that only begin a caption say nothing."""
    known: dict[str, Told] = {phrase: {} for phrase in START_WORDS}
    known |= {f"{name} skin": {"skin": value} for name, value in SKINS.items()}
    known |= {f"{name} eyes": {"eyes": pure(name)} for name in EYE_COLOURS}
    known |= {"glasses": {"glasses": 1.0}, "faint glasses": {"glasses": FAINT}}
    colours = {word: name for name, words in HAIR_COLOUR_WORDS.items() for word in words}
    known |= {
        phrase.format(word): {"hair": pure(style)} | ({} if style == "bald" else {"hair_colour": pure(colour)})
        for style, phrases in HAIR_WORDS.items()
        for phrase in phrases
        for word, colour in colours.items()
    }
    known |= {
        f"{colour} {word}": {"hat": pure(name), "hat_colour": pure(colour)}
        for name, words in HAT_WORDS.items()
        for word in words
        for colour in HAT_COLOURS
    }
    known |= {f"on {article(name)} background": {"background": pure(name)} for name in BACKGROUNDS}
    for name, phrases in EXPRESSION_WORDS.items():
        for phrase in phrases:
            known[phrase] = {"expression": tuple(EXPRESSIONS[name].items())}
            known[f"slightly {phrase}"] = {"expression": tuple((k, FAINT * v) for k, v in EXPRESSIONS[name].items())}
    known |= {phrase: {"neutral": True} for phrase in NEUTRAL_WORDS} | {"facing forward": {"yaw": 0.0}}
    for axis, most, words in (("yaw", TURN, TURN_WORDS), ("pitch", NOD, NOD_WORDS), ("roll", NOD, TILT_WORDS)):
        for side, phrases in words.items():
            angle = most if side in ("right", "up") else -most
            known |= {phrase: {axis: angle} for phrase in phrases}
            known |= {f"{phrase} a little": {axis: angle * A_LITTLE} for phrase in phrases}
    return known
