"""Tasks for the embedded planner: requests as people type them, each with the answer that is right."""

from __future__ import annotations

import json
import random
import re
from dataclasses import dataclass, replace
from functools import cache

from laser_cli.plan.llm.full import Answer, Keyframe
from laser_cli.plan.rules import control_for
from laser_cli.plan.schema import STRENGTHS, Control
from laser_cli.storybook.change_kinds import KINDS
from laser_cli.storybook.changes import Change, sample_change
from laser_cli.storybook.face_changes import sample_face_change
from laser_cli.storybook.puppets import Puppet
from laser_cli.storybook.scenes import COLOURS, Scene
from laser_cli.storybook.slips import elsewhere, embellished, mistyped
from laser_cli.storybook.words import PATTERN_WORDS, SIZE_WORDS, SUBJECT_WORDS, Voice, colour_words
from laser_cli.storybook.world import caption_of

PUPPETS, ELSEWHERE, UNSAID = 0.35, 0.05, 0.35
"""Shares of tasks: puppets; outside the world; whose source prompt does not tell all."""
UNKNOWN, TYPOS, CAPITALS = 0.08, 0.15, 0.1
"""Shares of descriptions with a word that nobody knows, a typing error, a capital letter."""
PERCENT = {control: round(100 * strength) for control, strength in STRENGTHS.items()}
NOUNS = frozenset(
    {name for names in SUBJECT_WORDS.values() for name in names}
    | {
        "person",
        "portrait",
        "face",
        "hair",
        "head",
        "hat",
        "cap",
        "beanie",
        "glasses",
        "background",
        "scene",
        "picture",
    }
    | {"image", "sky", "ground", "snow", "rain", "sun", "moon", "meadow", "desert", "sea", "city", "mountains", "day"}
)
"""The things of the world by name."""
LOOKS = frozenset(
    {*COLOURS, *(w for ws in PATTERN_WORDS.values() for w in ws), *(w for ws in SIZE_WORDS.values() for w in ws)}
)
"""What may stand between a strange word and the thing that it describes."""
_MAY_BE_UNSAID = {Scene: ("colour", "setting", "time"), Puppet: ("skin", "hair", "eyes", "expression", "background")}
_CALLED = {"expression": "pose", "turn": "pose", "glasses": "object", "hat": "object"}
"""Kinds of changes of puppets, as the rule planner calls them; the others change looks only, like those of scenes."""


@dataclass(frozen=True)
class Task:
    """A request and its right answer; `change` is None outside the world."""

    description: str
    source: str | None
    answer: Answer
    change: Change[Scene] | Change[Puppet] | None = None


def sample_task(rng: random.Random) -> Task:
    """A task at random, with slips now and then."""
    if rng.random() < ELSEWHERE:
        description, source = elsewhere(rng)
        return Task(description, source, filled(source, [(description, "hybrid")]))
    change: Change[Scene] | Change[Puppet]
    change = sample_face_change(rng) if rng.random() < PUPPETS else sample_change(rng)
    task = task_of(_partly_told(rng, change) if rng.random() < UNSAID else Telling(change))
    spare = "" if task.source else task.answer.source
    text = task.description
    if rng.random() < UNKNOWN:
        text = embellished(rng, text, NOUNS, spare)
    if rng.random() < TYPOS:
        text = mistyped(rng, text, spare)
    if rng.random() < CAPITALS:
        text = text[:1].upper() + text[1:]
    return Task(text, task.source, task.answer, change)


@dataclass(frozen=True)
class Telling:
    """A change, and the attributes that its source prompt leaves unsaid."""

    change: Change[Scene] | Change[Puppet]
    unsaid: frozenset[str] = frozenset()


def task_of(telling: Telling) -> Task:
    """The task that a change is, word for word; the source is left out where the description holds it.

    What is unsaid stays so until it changes.
    """
    change, unsaid = telling.change, telling.unsaid
    before: Scene | Puppet = change.source
    stages: tuple[Scene | Puppet, ...] = change.stages
    keyframes: list[tuple[str, Control]] = []
    for stage, kinds in zip(stages, change.kinds, strict=True):
        unsaid -= set(kinds)
        keyframes.append((prompt_for(stage, unsaid), control_of(before, stage, kinds)))
        before = stage
    source = None if change.names_source else change.source_prompt
    return Task(change.description, source, filled(change.source_prompt, keyframes), change)


def _partly_told(rng: random.Random, change: Change[Scene] | Change[Puppet]) -> Telling:
    """The change with a source prompt that does not tell all."""
    unsaid = {kind for kind in _MAY_BE_UNSAID[type(change.source)] if rng.random() < 0.5}
    if isinstance(change.source, Scene):
        if colour_words(change.source) in change.description.removeprefix(change.source_prompt):
            unsaid.discard("colour")
    elif any("hair" in kinds for kinds in change.kinds):
        unsaid.discard("hair")  # its cut stays as it is, so that it has to be told
    voice = Voice(rng if rng.random() < 0.5 else None)
    prompt = caption_of(change.source, voice, frozenset(unsaid))
    description = change.description
    if change.names_source:
        description = prompt + description.removeprefix(change.source_prompt)
    return Telling(replace(change, source_prompt=prompt, description=description), frozenset(unsaid))


def prompt_for(item: Scene | Puppet, unsaid: frozenset[str] = frozenset()) -> str:
    """The caption in the plain voice; it tells of an overcast sky over snow, which captions leave out."""
    prompt = caption_of(item, unsaid=unsaid)
    if isinstance(item, Scene) and item.clouds > 0.85 and item.snow > 0.12 and not item.rain + item.snowfall:
        return f"{prompt}, under an overcast sky"
    return prompt


def control_of(before: Scene | Puppet, after: Scene | Puppet, kinds: tuple[str, ...]) -> Control:
    """The control that the rule planner chooses for changes of these kinds."""
    named = {kind if kind in KINDS else _CALLED.get(kind, "colour") for kind in kinds}
    if isinstance(before, Puppet) and isinstance(after, Puppet) and before.hair != after.hair:
        named.add("object")  # where there was no hair, some grows
    return control_for(named)


def answer_text(answer: Answer) -> str:
    """An answer as the model writes it: JSON without spaces."""
    return json.dumps(answer.model_dump(mode="json"), ensure_ascii=False, separators=(",", ":"))


@cache
def world_words(count: int = 3000, seed: int = 0) -> frozenset[str]:
    """The words of descriptions and captions of the world, small letters."""
    rng = random.Random(f"words {seed}")
    found = set(NOUNS | LOOKS)
    for i in range(count):
        task = task_of(Telling(sample_face_change(rng) if i % 2 else sample_change(rng)))
        for text in (task.description, *(k.prompt for k in task.answer.segments), task.answer.source):
            found.update(re.findall(r"[a-z]+", text.lower()))
    return frozenset(found)


def filled(source: str, keyframes: list[tuple[str, Control]]) -> Answer:
    """The form with these prompts and controls, and what goes with them."""
    segments = tuple(
        Keyframe(prompt=prompt, control=control, strength=PERCENT[control], share=1, easing="linear")  # type: ignore[arg-type]
        for prompt, control in keyframes
    )
    return Answer(reasoning="", source=source, segments=segments)
