"""Puppets: cartoon portraits with an identity, a head that turns and a face that moves by ARKit's blendshape names.

``Left`` and ``Right`` are the puppet's own, as in ARKit: its left eye is on the viewer's right.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, fields

from laser_cli.storybook.scenes import Mix, blend_mix, pure
from laser_cli.storybook.vocabulary import BLENDSHAPES as BLENDSHAPES

HAIRS = ("short", "long", "curly", "bun", "bald")
HATS = ("cap", "beanie", "top hat")
HAIR_COLOURS = ("black", "brown", "blonde", "red", "gray")
EYE_COLOURS = ("brown", "blue", "green", "gray")
HAT_COLOURS = ("red", "blue", "green", "yellow", "black")
BACKGROUNDS = ("blue", "green", "yellow", "pink", "purple", "gray")
SKINS = {"pale": 0.0, "light": 0.25, "tan": 0.5, "brown": 0.75, "dark": 1.0}

YAW, PITCH, ROLL = 40.0, 24.0, 24.0
"""The farthest a head turns, in degrees."""

EXPRESSIONS: dict[str, dict[str, float]] = {
    "smiling": {"mouthSmileLeft": 1.0, "mouthSmileRight": 1.0},
    "laughing": {"mouthSmileLeft": 1.0, "mouthSmileRight": 1.0, "jawOpen": 0.7},
    "sad": {"mouthFrownLeft": 1.0, "mouthFrownRight": 1.0, "browInnerUp": 0.8},
    "frowning": {"mouthFrownLeft": 1.0, "mouthFrownRight": 1.0},
    "angry": {"browDownLeft": 1.0, "browDownRight": 1.0, "mouthFrownLeft": 0.7, "mouthFrownRight": 0.7},
    "surprised": {"browInnerUp": 1.0, "jawOpen": 1.0},
    "open": {"jawOpen": 1.0},
    "asleep": {"eyeBlinkLeft": 1.0, "eyeBlinkRight": 1.0},
    "wink left": {"eyeBlinkLeft": 1.0},
    "wink right": {"eyeBlinkRight": 1.0},
    "pucker": {"mouthPucker": 1.0},
    "puff": {"cheekPuff": 1.0},
    "look up": {"eyeLookUpLeft": 1.0, "eyeLookUpRight": 1.0},
    "look down": {"eyeLookDownLeft": 1.0, "eyeLookDownRight": 1.0},
    "look left": {"eyeLookInLeft": 1.0, "eyeLookOutRight": 1.0},
    "look right": {"eyeLookOutLeft": 1.0, "eyeLookInRight": 1.0},
}
"""Expressions that have a name in captions; sides in «wink» are the puppet's, in «look» the viewer's."""


@dataclass(frozen=True)
class Puppet:
    """One portrait. ``skin`` 0 (pale) .. 1 (dark), ``glasses`` 0..1, angles in degrees, expression values 0..1.

    Positive yaw turns to the viewer's right, positive pitch looks up, positive roll tilts to the viewer's right.
    """

    skin: float = 0.25
    hair: Mix = (("short", 1.0),)
    hair_colour: Mix = (("brown", 1.0),)
    eyes: Mix = (("brown", 1.0),)
    glasses: float = 0.0
    hat: Mix = ()
    hat_colour: Mix = (("red", 1.0),)
    background: Mix = (("blue", 1.0),)
    yaw: float = 0.0
    pitch: float = 0.0
    roll: float = 0.0
    expression: Mix = ()

    def value(self, blendshape: str) -> float:
        return dict(self.expression).get(blendshape, 0.0)

    @property
    def winks(self) -> bool:
        """Whether one eye is closed, and not the other."""
        return (self.value("eyeBlinkLeft") > 0.5) != (self.value("eyeBlinkRight") > 0.5)


def blend_puppets(a: Puppet, b: Puppet, t: float) -> Puppet:
    """The true in-between: numbers lerped, mixtures weighted. A hat that only one of them wears keeps its colour."""
    values: dict[str, object] = {}
    for f in fields(Puppet):
        p, q = getattr(a, f.name), getattr(b, f.name)
        if f.name == "hat_colour":
            p, q = (p if a.hat else q), (q if b.hat else p)
        values[f.name] = blend_mix(p, q, t) if isinstance(p, tuple) else p + (q - p) * t
    return Puppet(**values)  # type: ignore[arg-type]


def wearing(expression: dict[str, float]) -> Mix:
    """An expression as a puppet holds it: its blendshapes in order, zeros left out."""
    return tuple((name, expression[name]) for name in BLENDSHAPES if expression.get(name, 0.0) > 0)


def sample_expression(rng: random.Random) -> Mix:
    """Mostly a named expression at some strength, now and then two together or any blendshapes at random."""
    kind = rng.random()
    if kind < 0.12:
        return ()
    shown: dict[str, float] = {}
    if kind < 0.8:
        for name in rng.sample(list(EXPRESSIONS), 2 if rng.random() < 0.3 else 1):
            strength = 1.0 if rng.random() < 0.6 else rng.uniform(0.3, 1.0)
            for shape, value in EXPRESSIONS[name].items():
                shown[shape] = max(shown.get(shape, 0.0), value * strength)
    else:
        for shape in rng.sample(BLENDSHAPES, rng.randint(1, 5)):
            shown[shape] = rng.random()
    return wearing(_possible(shown))


def _possible(shown: dict[str, float]) -> dict[str, float]:
    """Of blendshapes that exclude each other the stronger stays."""
    for side in ("Left", "Right"):
        for one, other in (
            (f"mouthSmile{side}", f"mouthFrown{side}"),
            (f"eyeLookUp{side}", f"eyeLookDown{side}"),
            (f"eyeLookIn{side}", f"eyeLookOut{side}"),
        ):
            if one in shown and other in shown:
                shown.pop(min(one, other, key=lambda name: shown[name]))
        if shown.get(f"eyeBlink{side}", 0.0) > 0.5:  # a shut eye shows no gaze
            for way in ("Up", "Down", "In", "Out"):
                shown.pop(f"eyeLook{way}{side}", None)
    return shown


def sample_puppet(rng: random.Random) -> Puppet:
    """A puppet at random: mostly one of each name, a small share of in-betweens."""

    def named(names: tuple[str, ...]) -> Mix:
        mix = pure(rng.choice(names))
        if rng.random() < 0.06:
            mix = blend_mix(mix, pure(rng.choice(names)), rng.uniform(0.3, 0.7))
        return mix

    def angle(most: float) -> float:
        return 0.0 if rng.random() < 0.3 else rng.uniform(-most, most)

    glasses = 0.0 if rng.random() < 0.65 else 1.0 if rng.random() < 0.85 else rng.uniform(0.3, 0.9)
    skin = rng.choice(list(SKINS.values())) + rng.gauss(0, 0.03) if rng.random() < 0.8 else rng.random()
    return Puppet(
        skin=min(1.0, max(0.0, skin)),
        hair=named(HAIRS),
        hair_colour=named(HAIR_COLOURS),
        eyes=named(EYE_COLOURS),
        glasses=glasses,
        hat=pure(rng.choice(HATS)) if rng.random() < 0.3 else (),
        hat_colour=named(HAT_COLOURS),
        background=named(BACKGROUNDS),
        yaw=angle(YAW),
        pitch=angle(PITCH),
        roll=angle(ROLL),
        expression=sample_expression(rng),
    )
