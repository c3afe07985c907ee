"""Twins: an item once more with a few told attributes of another, so that only its caption tells the two apart."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

from laser_cli.storybook.crisp import crisp_puppet, crisp_scene
from laser_cli.storybook.puppets import EXPRESSIONS, Puppet, wearing
from laser_cli.storybook.world import Item

SCENE_PARTS: dict[tuple[str, ...], float] = {
    ("hue", "saturation", "lightness"): 8,
    ("snow", "clouds", "rain", "snowfall"): 2,
    ("hour",): 2,
    ("pattern",): 2,
    ("subject",): 1,
    ("setting",): 1,
    ("style",): 1,
}
PUPPET_PARTS: dict[tuple[str, ...], float] = {
    ("expression",): 24,
    ("hair", "hair_colour"): 1,
    ("eyes",): 1,
    ("hat", "hat_colour"): 1,
    ("glasses",): 1,
}
"""What a twin may have of its own, each with how often; never what puts things elsewhere in the picture."""
SHOWN = {"": 3.0} | dict.fromkeys(EXPRESSIONS, 1.0) | {"sad": 5.0, "angry": 7.0, "frowning": 3.0}
"""How often a twin shows each expression: the faintest are learned last, and most faces are calm."""


def twin(item: Item, rng: random.Random) -> Item:
    """The same item with one part that captions tell, pure and at full strength, drawn anew."""
    if isinstance(item, Puppet):
        (shown,) = rng.choices(list(SHOWN), list(SHOWN.values()))
        donor = replace(crisp_puppet(rng), expression=wearing(EXPRESSIONS[shown]) if shown else ())
        return replace(item, **_part(donor, PUPPET_PARTS, rng))
    return replace(item, **_part(crisp_scene(rng), SCENE_PARTS, rng))


def _part(donor: Item, parts: dict[tuple[str, ...], float], rng: random.Random) -> dict[str, Any]:
    (names,) = rng.choices(list(parts), list(parts.values()))
    return {name: getattr(donor, name) for name in names}
