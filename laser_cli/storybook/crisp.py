"""Items whose every attribute is a pure extreme, so that their captions say exactly what they are."""

from __future__ import annotations

import random

from laser_cli.storybook.puppets import (
    BACKGROUNDS,
    EXPRESSIONS,
    EYE_COLOURS,
    HAIR_COLOURS,
    HAIRS,
    HAT_COLOURS,
    HATS,
    SKINS,
    Puppet,
    wearing,
)
from laser_cli.storybook.scenes import COLOURS, PATTERNS, PLACES, SETTINGS, SIZES, STYLES, TIMES, Scene, pure
from laser_cli.storybook.shapes import SUBJECTS

# Amounts that captions name without doubt: «in the rain», «in heavy rain», «covered in snow», «under an overcast sky».
STEADY, HEAVY, DEEP, OVERCAST, FAIR = 0.65, 0.95, 1.0, 0.95, 0.15


def crisp_scene(rng: random.Random) -> Scene:
    """A scene of pure extremes."""
    weather = rng.random()
    snow = DEEP if rng.random() < 0.18 else 0.0
    rain, snowfall = STEADY if weather < 0.12 else 0.0, STEADY if 0.12 <= weather < 0.24 else 0.0
    overcast = weather > 0.88 and not snow
    return Scene(
        subject=pure(rng.choice(list(SUBJECTS))),
        pattern=pure(rng.choice(PATTERNS)) if rng.random() < 0.4 else (),
        setting=pure(rng.choice(SETTINGS)),
        style=pure(rng.choice(STYLES)) if rng.random() < 0.25 else (),
        rain=rain,
        snowfall=snowfall,
        snow=snow,
        clouds=0.85 if rain + snowfall else OVERCAST if overcast else FAIR,
        hour=rng.choice(list(TIMES.values())),
        size=rng.choice(list(SIZES.values())),
        place=rng.choice(list(PLACES.values())),
        sway=rng.random(),
    ).with_colour(rng.choice(list(COLOURS)))


def crisp_puppet(rng: random.Random) -> Puppet:
    """A puppet of pure extremes: one expression or none, at most one turn of the head."""
    angles = dict.fromkeys(("yaw", "pitch", "roll"), 0.0)
    if turn := rng.choice(("yaw", "yaw", "pitch", "roll", "")):
        angles[turn] = rng.choice((-1, 1)) * (28.0 if turn == "yaw" else 18.0)
    shown = rng.choice(("", *EXPRESSIONS))
    return Puppet(
        skin=rng.choice(list(SKINS.values())),
        hair=pure(rng.choice(HAIRS)),
        hair_colour=pure(rng.choice(HAIR_COLOURS)),
        eyes=pure(rng.choice(EYE_COLOURS)),
        glasses=float(rng.random() < 0.3),
        hat=pure(rng.choice(HATS)) if rng.random() < 0.3 else (),
        hat_colour=pure(rng.choice(HAT_COLOURS)),
        background=pure(rng.choice(BACKGROUNDS)),
        expression=wearing(EXPRESSIONS[shown]) if shown else (),
        **angles,
    )
