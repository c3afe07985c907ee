"""Descriptions of change of a puppet, each with the true puppet after every stage."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, replace

from laser_cli.storybook.changes import Change
from laser_cli.storybook.crisp import crisp_puppet
from laser_cli.storybook.face_words import HAIR_COLOUR_WORDS, HAT_WORDS, face_caption
from laser_cli.storybook.puppets import (
    BACKGROUNDS,
    EXPRESSIONS,
    HAIR_COLOURS,
    HAT_COLOURS,
    HATS,
    Puppet,
    wearing,
)
from laser_cli.storybook.scenes import pure
from laser_cli.storybook.words import Voice, article

KINDS = ("expression", "turn", "hair", "glasses", "hat", "background")
TURN, NOD, TILT = 28.0, 18.0, 18.0
"""Degrees of a turn, a nod and a tilt of the head that are told without «a little»."""

_EXPRESSION_VERBS: dict[str, tuple[str, ...]] = {
    "smiling": ("smiles", "starts to smile", "begins smiling"),
    "laughing": ("laughs", "starts to laugh", "bursts into laughter"),
    "sad": ("becomes sad", "looks sad", "gets sad"),
    "frowning": ("frowns", "starts to frown"),
    "angry": ("gets angry", "becomes angry", "looks angry"),
    "surprised": ("is surprised", "looks surprised", "becomes astonished"),
    "open": ("opens the mouth",),
    "asleep": ("closes the eyes", "falls asleep", "shuts both eyes"),
    "wink left": ("winks with the right eye",),
    "wink right": ("winks with the left eye",),
    "pucker": ("puckers the lips", "pouts"),
    "puff": ("puffs the cheeks",),
    "look up": ("glances up",),
    "look down": ("glances down",),
    "look left": ("glances left", "glances to the left"),
    "look right": ("glances right", "glances to the right"),
}
_NEUTRAL_VERBS = ("becomes calm", "looks neutral again", "relaxes the face")
_POSES: tuple[tuple[str, float, tuple[str, ...]], ...] = (
    ("yaw", -TURN, ("turns to the left", "turns the head to the left", "faces left")),
    ("yaw", TURN, ("turns to the right", "turns the head to the right", "faces right")),
    ("pitch", NOD, ("raises the head", "lifts the chin")),
    ("pitch", -NOD, ("lowers the head", "drops the chin")),
    ("roll", -TILT, ("tilts the head to the left",)),
    ("roll", TILT, ("tilts the head to the right",)),
)
_FORWARD = ("faces forward", "turns back to the front")


@dataclass(frozen=True)
class _Told:
    """The puppet after a change, and a verb for it; ``own`` verbs follow the person, others are whole clauses."""

    puppet: Puppet
    kind: str
    words: str
    own: bool = True


Maker = Callable[[random.Random, Puppet], _Told]


def sample_face_change(rng: random.Random) -> Change[Puppet]:
    """A change of a puppet at random: one to three stages with one or two changes each."""
    source = crisp_puppet(rng)
    prompt = face_caption(source, Voice(rng if rng.random() < 0.5 else None))
    puppet, stages, kinds, texts = source, [], [], []
    for i in range(rng.choice((1, 1, 2, 2, 3))):
        told = _stage(rng, puppet)
        texts.append(_words(rng, told, named=i == 0))
        puppet = told[-1].puppet
        stages.append(puppet)
        kinds.append(tuple(t.kind for t in told))
    return Change(source, prompt, _sequence(rng, texts), tuple(stages), tuple(kinds))


def _stage(rng: random.Random, puppet: Puppet) -> list[_Told]:
    told: list[_Told] = []
    wanted = 2 if rng.random() < 0.35 else 1
    while len(told) < wanted:
        made = rng.choice(_MAKERS)(rng, told[-1].puppet if told else puppet)
        if not (told and made.kind == told[0].kind):
            told.append(made)
    return told


def _expression(rng: random.Random, puppet: Puppet) -> _Told:
    """Another expression, or none any more."""
    able = [name for name in EXPRESSIONS if wearing(EXPRESSIONS[name]) != puppet.expression]
    if puppet.expression and rng.random() < 0.12:
        return _Told(replace(puppet, expression=()), "expression", rng.choice(_NEUTRAL_VERBS))
    name = rng.choice(able)
    made = replace(puppet, expression=wearing(EXPRESSIONS[name]))
    return _Told(made, "expression", rng.choice(_EXPRESSION_VERBS[name]))


def _turn(rng: random.Random, puppet: Puppet) -> _Told:
    """Another pose of the head; a turn ends what was turned before."""
    straight = replace(puppet, yaw=0.0, pitch=0.0, roll=0.0)
    if straight != puppet and rng.random() < 0.25:
        return _Told(straight, "turn", rng.choice(_FORWARD))
    angle, value, words = rng.choice([pose for pose in _POSES if getattr(puppet, pose[0]) != pose[1]])
    return _Told(replace(straight, **{angle: value}), "turn", rng.choice(words))  # type: ignore[arg-type]


def _hair(rng: random.Random, puppet: Puppet) -> _Told:
    if puppet.hair == pure("bald"):
        made = replace(puppet, hair=pure("short"))
        return _Told(made, "hair", f"short {puppet.hair_colour[0][0]} hair grows", own=False)
    name = rng.choice([n for n in HAIR_COLOURS if n != puppet.hair_colour[0][0]])
    verb = rng.choice(("turns", "becomes", "slowly turns"))
    made = replace(puppet, hair_colour=pure(name))
    return _Told(made, "hair", f"the hair {verb} {rng.choice(HAIR_COLOUR_WORDS[name])}", own=False)


def _glasses(rng: random.Random, puppet: Puppet) -> _Told:
    worn = puppet.glasses > 0.5
    verbs = ("takes off the glasses", "removes the glasses") if worn else ("puts on glasses", "gets glasses")
    return _Told(replace(puppet, glasses=float(not worn)), "glasses", rng.choice(verbs))


def _hat(rng: random.Random, puppet: Puppet) -> _Told:
    if puppet.hat:
        return _Told(replace(puppet, hat=()), "hat", rng.choice(("takes off the hat", "removes the hat")))
    kind, colour = rng.choice(HATS), rng.choice(HAT_COLOURS)
    made = replace(puppet, hat=pure(kind), hat_colour=pure(colour))
    return _Told(made, "hat", f"puts on {article(f'{colour} {rng.choice(HAT_WORDS[kind])}')}")


def _background(rng: random.Random, puppet: Puppet) -> _Told:
    name = rng.choice([n for n in BACKGROUNDS if n != puppet.background[0][0]])
    verb = rng.choice(("turns", "becomes", "changes to"))
    return _Told(replace(puppet, background=pure(name)), "background", f"the background {verb} {name}", own=False)


_MAKERS: tuple[Maker, ...] = (_expression, _expression, _expression, _turn, _turn, _hair, _glasses, _hat, _background)
"""What can happen; expressions and turns more often than the rest."""


def _words(rng: random.Random, told: list[_Told], named: bool) -> str:
    """The words of a stage: its changes joined by «and» or «while»."""
    person = rng.choice(("the person", "she", "he", "the person")) if named or rng.random() < 0.5 else ""
    clauses = [f"{person} {t.words}".strip() if t.own else t.words for t in told]
    if len(told) == 1:
        return clauses[0]
    if told[0].own and told[1].own:
        return f"{clauses[0]} and {told[1].words}"
    if told[1].own and not person:
        clauses[1] = f"the person {told[1].words}"
    return f"{clauses[0]}{rng.choice((' while ', ' and ', ' as '))}{clauses[1]}"


def _sequence(rng: random.Random, texts: list[str]) -> str:
    text = rng.choice(("", "", "first ")) + texts[0]
    for part in texts[1:]:
        text += rng.choice((", then ", " and then ", "; then ", ", and then ", ". After that, ")) + part
    return text + rng.choice(("", "", "."))
