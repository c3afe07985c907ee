"""Descriptions of change in the storybook world, each with the true scene after every stage."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Generic, TypeVar

from laser_cli.storybook.change_kinds import AROUND, KINDS, OWN, Told
from laser_cli.storybook.crisp import crisp_scene
from laser_cli.storybook.puppets import Puppet
from laser_cli.storybook.scenes import Scene
from laser_cli.storybook.words import SUBJECT_WORDS, Voice, caption, colour_words

__all__ = ["KINDS", "Change", "sample_change"]


T = TypeVar("T", Scene, Puppet)


@dataclass(frozen=True)
class Change(Generic[T]):
    """A source, a description of what becomes of it, and the true item after each stage; the last is the end."""

    source: T
    source_prompt: str
    description: str
    stages: tuple[T, ...]
    kinds: tuple[tuple[str, ...], ...]

    @property
    def names_source(self) -> bool:
        """Whether the description holds the whole source prompt, so that it can stand alone."""
        return self.description.startswith(self.source_prompt)


def sample_change(rng: random.Random) -> Change[Scene]:
    """A change at random: one to three stages with one or two changes each."""
    source = crisp_scene(rng)
    prompt = caption(source, Voice(rng if rng.random() < 0.5 else None))
    count = rng.choice((1, 1, 2, 2, 3))
    whole = rng.random() < 0.3 and prompt.startswith(("a ", "an "))
    scene, stages, kinds, texts = source, [], [], []
    for i in range(count):
        told = _stage(rng, scene, first_own=whole and i == 0)
        texts.append(_stage_words(rng, scene, told, prompt if whole and i == 0 else "", i))
        scene = told[-1].scene
        stages.append(scene)
        kinds.append(tuple(kind for t in told for kind in t.kinds))
    return Change(source, prompt, _sequence(rng, texts, whole), tuple(stages), tuple(kinds))


def _stage(rng: random.Random, scene: Scene, first_own: bool) -> list[Told]:
    told: list[Told] = []
    wanted = 2 if rng.random() < 0.4 else 1
    while len(told) < wanted:
        makers = OWN if (first_own and not told) or rng.random() < 0.5 else AROUND
        made = rng.choice(makers)(rng, told[-1].scene if told else scene)
        # the second change must not undo or repeat the first
        if made is not None and not (told and set(made.kinds) & set(told[0].kinds)):
            told.append(made)
    return told


def _stage_words(rng: random.Random, scene: Scene, told: list[Told], whole: str, index: int) -> str:
    """The words of a stage: its changes joined by «and», «while» or «as»."""
    named = _naming(rng, scene, index)
    if whole:
        named = whole + ("," if "," in whole else "")
    clauses, subject = [], named
    for change in told:
        clauses.append(f"{subject} {change.words}".strip() if change.own else change.words)
        subject = "it" if change.own or whole else named
    if len(clauses) == 1:
        return _placed(rng, clauses[0], told[0], whole)
    if told[0].own and told[1].own:
        return f"{clauses[0]} and {rng.choice(('', 'it '))}{told[1].words}"
    joint = rng.choice((" while ", " as ", " and "))
    if not whole and rng.random() < 0.25:
        return f"{rng.choice(('as', 'while', 'when'))} {clauses[1]}, {clauses[0]}"
    return f"{clauses[0]}{joint}{clauses[1]}"


def _placed(rng: random.Random, clause: str, change: Told, whole: str) -> str:
    """Now and then an adjunct in place of a clause: «as night falls», «in winter»."""
    if change.own or whole or rng.random() > 0.15:
        return clause
    if clause in ("winter comes", "winter arrives"):
        return "in winter"
    return f"as {clause}" if clause.startswith(("night", "dusk", "dawn", "the sun")) else clause


def _naming(rng: random.Random, scene: Scene, index: int) -> str:
    """What the subject is called: by name, with its colour, or as «it»; later on it may go unsaid."""
    name = rng.choice(SUBJECT_WORDS[scene.subject[0][0]])
    names = [f"the {name}", f"the {name}", f"the {colour_words(scene)} {name}", "it"]
    return rng.choice([*names, ""] if index else names)


def _sequence(rng: random.Random, texts: list[str], whole: bool) -> str:
    if len(texts) == 1:
        return texts[0]
    joints = [
        rng.choice((", then ", ". Then ", " and then ", "; then ", ", and then ", ". After that, ")) for _ in texts[1:]
    ]
    if len(texts) == 3 and rng.random() < 0.5:
        joints[-1] = rng.choice((" and finally ", ", and finally ", ". Finally, "))
    start = rng.choice(("", "", "first ", "first, ")) if not whole else ""
    text = start + texts[0]
    for joint, part in zip(joints, texts[1:], strict=True):
        text += joint + part
    return text + rng.choice(("", "", "."))
