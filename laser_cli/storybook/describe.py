"""Says what a picture of the storybook world shows: the classifier's reading, as the item it would be, in a caption."""

from __future__ import annotations

from dataclasses import replace

from torch import Tensor

from laser_cli.storybook.classifier import AttributeClassifier
from laser_cli.storybook.puppets import BLENDSHAPES, Puppet, wearing
from laser_cli.storybook.scenes import Mix, Scene
from laser_cli.storybook.traits import NONE, Reading
from laser_cli.storybook.world import Item, caption_of

FAINT = 0.2
"""Shares and amounts below this are taken for a reader's doubt, not for something seen."""


def describe(classifier: AttributeClassifier, picture: Tensor) -> str:
    """The caption of a picture [3, h, w] in 0..1, as the classifier reads it."""
    return caption_of(item_of(classifier.read(picture[None])[0]))


def describe_looks(classifier: AttributeClassifier, picture: Tensor) -> str:
    """The caption of a puppet's picture [3, h, w] in 0..1 without its expression and its pose."""
    item = item_of(classifier.read(picture[None])[0])
    if not isinstance(item, Puppet):
        return caption_of(item)
    return caption_of(replace(item, yaw=0.0, pitch=0.0, roll=0.0), unsaid=frozenset({"expression"}))


def item_of(read: Reading) -> Item:
    """The item that a reading describes, faint shares left out."""
    return _puppet(read) if read.name("family") == "puppet" else _scene(read)


def _mix(read: Reading, attribute: str) -> Mix:
    """The two strongest shares of an attribute; none is a share that stays out."""
    shares = read.shares[attribute]
    strong = sorted((n for n in shares if shares[n] >= FAINT), key=lambda n: -shares[n])[:2] or [read.name(attribute)]
    total = sum(shares[name] for name in strong)
    return tuple((name, shares[name] / total) for name in strong if name != NONE)


def _amount(read: Reading, name: str) -> float:
    value = min(1.0, max(0.0, read.numbers[name]))
    return value if value >= FAINT else 0.0


def _scene(read: Reading) -> Scene:
    hue, saturation, lightness = read.hsl
    return Scene(
        subject=_mix(read, "subject"),
        hue=hue,
        saturation=saturation,
        lightness=lightness,
        pattern=_mix(read, "pattern"),
        setting=_mix(read, "setting"),
        snow=_amount(read, "snow"),
        hour=read.hour,
        clouds=_amount(read, "clouds"),
        rain=_amount(read, "rain"),
        snowfall=_amount(read, "snowfall"),
        size=min(1.0, max(0.0, read.numbers["size"])),
        place=min(1.0, max(-1.0, read.numbers["place"])),
        style=_mix(read, "style"),
    )


def _puppet(read: Reading) -> Puppet:
    return Puppet(
        skin=min(1.0, max(0.0, read.numbers["skin"])),
        hair=_mix(read, "hair"),
        hair_colour=_mix(read, "hair colour"),
        eyes=_mix(read, "eyes"),
        glasses=_amount(read, "glasses"),
        hat=_mix(read, "hat"),
        hat_colour=_mix(read, "hat colour"),
        background=_mix(read, "background"),
        yaw=read.numbers["yaw"],
        pitch=read.numbers["pitch"],
        roll=read.numbers["roll"],
        expression=wearing({name: _amount(read, name) for name in BLENDSHAPES}),
    )
