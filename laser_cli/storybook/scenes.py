"""Scenes: the attributes of a storybook picture, their sampler and the true in-between of any two.

The world is continuous: every attribute is a number or a mixture of names, so that between any two pictures lie others.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace

from laser_cli.storybook.shapes import SUBJECTS

Mix = tuple[tuple[str, float], ...]
"""Names with weights that sum to at most 1, e.g. ``(("ball", 0.7), ("cube", 0.3))``."""

SETTINGS = ("meadow", "desert", "sea", "city", "mountains")
PATTERNS = ("striped", "dotted", "checkered")
STYLES = ("flat", "sketch", "watercolour")

COLOURS: dict[str, tuple[float, float, float]] = {
    "red": (0, 0.78, 0.48),
    "orange": (28, 0.92, 0.54),
    "yellow": (50, 0.95, 0.56),
    "green": (125, 0.55, 0.40),
    "teal": (178, 0.65, 0.40),
    "blue": (218, 0.75, 0.48),
    "purple": (272, 0.55, 0.48),
    "pink": (335, 0.78, 0.72),
    "brown": (24, 0.48, 0.30),
    "white": (40, 0.10, 0.93),
    "gray": (220, 0.03, 0.52),
    "black": (240, 0.06, 0.13),
}
"""Names of colours at hue (degrees), saturation and lightness."""
WHEEL = ("red", "orange", "yellow", "green", "teal", "blue", "purple", "pink")
"""The colours with a hue, neighbours side by side."""

SIZES = {"small": 0.0, "medium": 0.5, "large": 1.0}
PLACES = {"left": -1.0, "middle": 0.0, "right": 1.0}
TIMES = {"night": 0.0, "dawn": 6.0, "morning": 9.0, "noon": 12.5, "afternoon": 15.5, "sunset": 18.8, "dusk": 20.3}


@dataclass(frozen=True)
class Scene:
    """One picture of the world. Amounts lie in 0..1, ``hour`` in 0..24, ``place`` in -1..1, ``hue`` in degrees."""

    subject: Mix = (("ball", 1.0),)
    hue: float = 0.0
    saturation: float = 0.78
    lightness: float = 0.48
    pattern: Mix = ()
    setting: Mix = (("meadow", 1.0),)
    snow: float = 0.0
    hour: float = 12.5
    clouds: float = 0.15
    rain: float = 0.0
    snowfall: float = 0.0
    size: float = 0.5
    place: float = 0.0
    style: Mix = ()
    sway: float = field(default=0.5)
    """What no caption tells: the lie of the land and the drift of the clouds, kept to a small spread."""

    def with_colour(self, name: str) -> Scene:
        """The same scene with its subject in a named colour."""
        h, s, lightness = COLOURS[name]
        return replace(self, hue=h, saturation=s, lightness=lightness)


def pure(name: str) -> Mix:
    return ((name, 1.0),)


def blend(a: Scene, b: Scene, t: float) -> Scene:
    """The true in-between: numbers lerped, hue and hour along the shorter way round, mixtures weighted."""
    values: dict[str, object] = {}
    for f in fields(Scene):
        p, q = getattr(a, f.name), getattr(b, f.name)
        if isinstance(p, tuple):
            values[f.name] = blend_mix(p, q, t)
        elif f.name == "hue":
            # A grey has no hue of its own: it borrows the other's.
            p, q = (q if a.saturation < 0.08 else p), (p if b.saturation < 0.08 else q)
            values[f.name] = _around(p, q, t, 360.0)
        elif f.name == "hour":
            values[f.name] = _around(p, q, t, 24.0)
        else:
            values[f.name] = p + (q - p) * t
    return Scene(**values)  # type: ignore[arg-type]


def blend_mix(a: Mix, b: Mix, t: float) -> Mix:
    """Weights of two mixtures, (1 - t) a + t b."""
    weights: dict[str, float] = {}
    for mix, share in ((a, 1 - t), (b, t)):
        for name, w in mix:
            weights[name] = weights.get(name, 0.0) + w * share
    return tuple((n, w) for n, w in weights.items() if w > 1e-6)


def _around(p: float, q: float, t: float, period: float) -> float:
    return (p + ((q - p + period / 2) % period - period / 2) * t) % period


def colour_distance(scene: Scene, colour: tuple[float, float, float]) -> float:
    """How far the scene's colour lies from a hue, saturation and lightness; hue counts in proportion to saturation."""
    h, s, lightness = colour
    hue = abs((scene.hue - h + 180) % 360 - 180) / 60 * min(s, scene.saturation) * 1.6
    return math.hypot(hue, 1.2 * (scene.saturation - s), 2.2 * (scene.lightness - lightness))


def between_colours(a: str, b: str, t: float) -> tuple[float, float, float]:
    """Hue, saturation and lightness between two named colours, hue along the shorter way."""
    mid = blend(Scene().with_colour(a), Scene().with_colour(b), t)
    return mid.hue, mid.saturation, mid.lightness


def _colour(rng: random.Random) -> Mapping[str, float]:
    if rng.random() < 0.82:
        h, s, lightness = COLOURS[rng.choice(list(COLOURS))]
    else:
        i = rng.randrange(len(WHEEL))
        h, s, lightness = between_colours(WHEEL[i], WHEEL[(i + 1) % len(WHEEL)], rng.uniform(0.35, 0.65))
    spread = 1.0 if s > 0.2 else 0.2
    return {
        "hue": (h + rng.gauss(0, 3)) % 360,
        "saturation": min(1.0, max(0.0, s + rng.gauss(0, 0.03) * spread)),
        "lightness": min(0.96, max(0.1, lightness + rng.gauss(0, 0.015))),
    }


def _amount(rng: random.Random, often: float) -> float:
    """Mostly none, else full or something between."""
    if rng.random() > often:
        return 0.0
    return rng.uniform(0.85, 1.0) if rng.random() < 0.55 else rng.uniform(0.2, 0.85)


def sample(rng: random.Random) -> Scene:
    """A scene at random: mostly crisp extremes, a good share of in-betweens."""
    first = rng.choice(list(SUBJECTS))
    subject = pure(first)
    if rng.random() < 0.13:
        second = rng.choice([s for s in SUBJECTS if s != first])
        subject = blend_mix(subject, pure(second), rng.choice((0.25, 0.5, 0.75)) + rng.uniform(-0.1, 0.1))
    setting = pure(rng.choice(SETTINGS))
    if rng.random() < 0.08:
        setting = blend_mix(setting, pure(rng.choice(SETTINGS)), rng.uniform(0.3, 0.7))
    pattern: Mix = ()
    if rng.random() < 0.48:
        pattern = ((rng.choice(PATTERNS), 1.0 if rng.random() < 0.7 else rng.uniform(0.25, 0.9)),)
    style: Mix = ()
    if rng.random() < 0.28:
        style = ((rng.choice(STYLES), 1.0 if rng.random() < 0.75 else rng.uniform(0.3, 0.9)),)
    weather = rng.random()
    rain = _amount(rng, 1.0) if weather < 0.14 else 0.0
    snowfall = _amount(rng, 1.0) if 0.14 <= weather < 0.28 else 0.0
    clouds = (
        rng.uniform(0.6, 1.0)
        if rain + snowfall > 0 or weather > 0.86
        else (rng.uniform(0.0, 0.3) if rng.random() < 0.8 else rng.uniform(0.3, 0.6))
    )
    snow = _amount(rng, 0.7) if snowfall > 0 else _amount(rng, 0.22)
    on_the_hour = rng.random() < 0.75
    hour = (rng.choice(list(TIMES.values())) + rng.gauss(0, 0.35)) % 24 if on_the_hour else rng.uniform(0, 24)
    if rng.random() < 0.75:
        size, place = rng.choice(list(SIZES.values())), rng.choice(list(PLACES.values()))
    else:
        size, place = rng.random(), rng.uniform(-1, 1)
    return Scene(
        subject=subject,
        pattern=pattern,
        setting=setting,
        style=style,
        snow=snow,
        hour=hour,
        clouds=clouds,
        rain=rain,
        snowfall=snowfall,
        size=min(1.0, max(0.0, size + rng.gauss(0, 0.03))),
        place=min(1.0, max(-1.0, place + rng.gauss(0, 0.03))),
        sway=rng.random(),
        **_colour(rng),
    )
