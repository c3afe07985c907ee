"""What can be read from a picture of the storybook world: every attribute as numbers, and when a reading is right.

An item becomes one vector: shares of names (subject, setting, ...) and plain numbers (hour, size, yaw, ...). The
attribute classifier learns to read that vector; here it is computed from the truth, and taken apart again.
"""

from __future__ import annotations

import colorsys
import math
from collections.abc import Mapping
from dataclasses import dataclass

from laser_cli.storybook.canvas import hsl
from laser_cli.storybook.puppets import (
    BACKGROUNDS,
    BLENDSHAPES,
    EYE_COLOURS,
    HAIR_COLOURS,
    HAIRS,
    HAT_COLOURS,
    HATS,
    PITCH,
    ROLL,
    YAW,
    Puppet,
)
from laser_cli.storybook.scenes import PATTERNS, SETTINGS, STYLES, TIMES, Scene
from laser_cli.storybook.shapes import SUBJECTS
from laser_cli.storybook.words import colour_words, nearest
from laser_cli.storybook.world import Item

NONE = "none"

NAMES: dict[str, tuple[str, ...]] = {
    "family": ("scene", "puppet"),
    "subject": tuple(SUBJECTS),
    "setting": SETTINGS,
    "pattern": (*PATTERNS, NONE),
    "style": (*STYLES, NONE),
    "hair": HAIRS,
    "hair colour": HAIR_COLOURS,
    "eyes": EYE_COLOURS,
    "hat": (*HATS, NONE),
    "hat colour": HAT_COLOURS,
    "background": BACKGROUNDS,
}
"""Attributes that are shares of names."""

NUMBERS: dict[str, float] = {
    "hour cos": 1.0,
    "hour sin": 1.0,
    "colour red": 1.0,
    "colour green": 1.0,
    "colour blue": 1.0,
    "snow": 1.0,
    "clouds": 1.0,
    "rain": 1.0,
    "snowfall": 1.0,
    "size": 1.0,
    "place": 1.0,
    "skin": 1.0,
    "glasses": 1.0,
    "yaw": YAW,
    "pitch": PITCH,
    "roll": ROLL,
    **dict.fromkeys(BLENDSHAPES, 1.0),
}
"""Attributes that are numbers, each with the unit it is learned in."""

SCENE = frozenset(
    (
        *("subject", "setting", "pattern", "style", "hour cos", "hour sin", "colour red", "colour green"),
        *("colour blue", "snow", "clouds", "rain", "snowfall", "size", "place"),
    )
)
"""What only scenes have; the rest, save the family, only puppets."""

Shares = Mapping[str, float]


@dataclass(frozen=True)
class Reading:
    """One picture's attributes: for every name its shares, for every number its value."""

    shares: Mapping[str, Shares]
    numbers: Mapping[str, float]

    def name(self, attribute: str) -> str:
        """The strongest name of an attribute."""
        shares = self.shares[attribute]
        return max(shares, key=lambda n: shares[n])

    @property
    def hour(self) -> float:
        """Hour of day, 0..24."""
        return math.atan2(self.numbers["hour sin"], self.numbers["hour cos"]) / math.tau * 24 % 24

    @property
    def rgb(self) -> tuple[float, float, float]:
        """The subject's colour, 0..1 each: white that was read as brighter than white is white."""
        red, green, blue = (min(1.0, max(0.0, self.numbers[f"colour {name}"])) for name in ("red", "green", "blue"))
        return (red, green, blue)

    @property
    def hsl(self) -> tuple[float, float, float]:
        """The same as a scene holds it: hue in degrees, saturation, lightness."""
        hue, lightness, saturation = colorsys.rgb_to_hls(*self.rgb)
        return (hue * 360, saturation, lightness)


def truth(item: Item) -> Reading:
    """The reading of an item as it is; attributes of the other family are left out."""
    if isinstance(item, Puppet):
        mixes = {
            "hair": item.hair,
            "hair colour": item.hair_colour,
            "eyes": item.eyes,
            "hat": item.hat,
            "hat colour": item.hat_colour,
            "background": item.background,
        }
        numbers = {k: getattr(item, k) for k in ("skin", "glasses", "yaw", "pitch", "roll")}
        numbers |= {name: item.value(name) for name in BLENDSHAPES}
    else:
        mixes = {"subject": item.subject, "setting": item.setting, "pattern": item.pattern, "style": item.style}
        angle = item.hour / 24 * math.tau
        numbers = {k: getattr(item, k) for k in ("snow", "clouds", "rain", "snowfall", "size", "place")}
        numbers |= {"hour cos": math.cos(angle), "hour sin": math.sin(angle)}
        numbers |= dict(zip(("colour red", "colour green", "colour blue"), _rgb(item), strict=True))
    shares = {name: _shares(name, dict(mix)) for name, mix in mixes.items()}
    shares["family"] = {"scene": float(isinstance(item, Scene)), "puppet": float(isinstance(item, Puppet))}
    return Reading(shares, numbers)


def _shares(attribute: str, mix: dict[str, float]) -> Shares:
    names = NAMES[attribute]
    total = max(1.0, sum(mix.values())) if NONE in names else sum(mix.values())
    shares = {name: mix.get(name, 0.0) / total for name in names}
    return shares | ({NONE: 1 - sum(mix.values()) / total} if NONE in names else {})


def _rgb(scene: Scene) -> list[float]:
    import torch

    return hsl([(scene.hue, scene.saturation, scene.lightness)], torch.device("cpu")).flatten().tolist()


READ = {
    "scene": (*("subject", "setting", "time", "colour", "pattern", "weather", "style", "size", "place"),),
    "puppet": (
        *("skin", "hair", "hair colour", "eyes", "glasses", "hat", "hat colour", "background"),
        *("face", "pose"),
    ),
}
"""The attributes a person would name, by family: each can be right or wrong."""


def judge(read: Reading, item: Item) -> dict[str, bool]:
    """For every attribute of READ that the item shows without doubt, whether the reading has it right.

    Left out is what lies between two names, and what cannot be seen: the colour of shut eyes, of a bald head's hair.
    """
    return _judge_puppet(read, item) if isinstance(item, Puppet) else _judge_scene(read, item)


def _judge_scene(read: Reading, scene: Scene) -> dict[str, bool]:
    true, right = truth(scene), {}
    for name in ("subject", "setting", "pattern", "style"):
        if max(true.shares[name].values()) >= 0.8:
            right[name] = read.name(name) == true.name(name)
    apart = abs((read.hour - scene.hour + 12) % 24 - 12)
    right["time"] = apart < 1.5 or nearest(read.hour, TIMES, 24.0) == nearest(scene.hour, TIMES, 24.0)
    right["colour"] = math.dist(read.rgb, true.rgb) < 0.15 or _colour_name(read) == colour_words(scene)
    weather = ("snow", "clouds", "rain", "snowfall")
    right["weather"] = all(abs(read.numbers[k] - true.numbers[k]) < 0.3 for k in weather)
    right["size"] = abs(read.numbers["size"] - scene.size) < 0.25
    right["place"] = abs(read.numbers["place"] - scene.place) < 0.35
    return right


def _judge_puppet(read: Reading, puppet: Puppet) -> dict[str, bool]:
    true, right = truth(puppet), {}
    shut = min(puppet.value("eyeBlinkLeft"), puppet.value("eyeBlinkRight")) > 0.6
    bald = true.shares["hair"]["bald"] > 0.3
    hidden = {"eyes": shut, "hair colour": bald, "hat colour": not puppet.hat}
    for name in ("hair", "hair colour", "eyes", "hat", "hat colour", "background"):
        if max(true.shares[name].values()) >= 0.8 and not hidden.get(name):
            right[name] = read.name(name) == true.name(name)
    if puppet.hat and true.name("hair") in ("short", "bun"):  # under a hat they look alike
        right["hair"] = read.name("hair") in ("short", "bun")
    right["skin"] = abs(read.numbers["skin"] - puppet.skin) < 0.15
    if not 0.3 < puppet.glasses < 0.7:
        right["glasses"] = (read.numbers["glasses"] > 0.5) == (puppet.glasses > 0.5)
    errors = [abs(read.numbers[name] - puppet.value(name)) for name in BLENDSHAPES]
    right["face"] = max(errors) < 0.4
    right["pose"] = all(abs(read.numbers[k] - getattr(puppet, k)) < 8 for k in ("yaw", "pitch", "roll"))
    return right


def judge_told(read: Reading, item: Item) -> dict[str, bool]:
    """As ``judge``, for a picture made from a crisp item's caption: poses and faces only as exactly as told."""
    right = judge(read, item)
    if isinstance(item, Puppet):
        angles = [(read.numbers[k], getattr(item, k)) for k in ("yaw", "pitch", "roll")]
        right["pose"] = all(abs(got) < 10 if told == 0 else got * math.copysign(1, told) > 8 for got, told in angles)
        values = [(read.numbers[name], item.value(name)) for name in BLENDSHAPES]
        right["face"] = all(got > 0.4 if told > 0.6 else got < 0.5 for got, told in values)
    return right


def _colour_name(read: Reading) -> str:
    hue, saturation, lightness = read.hsl
    return colour_words(Scene(hue=hue, saturation=saturation, lightness=lightness))
