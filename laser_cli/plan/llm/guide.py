"""Guides by a model, asked under a grammar of their own for what lies between two pictures; else the rules make them.

A guide is a plan of one keyframe to the conversation, so that it is asked for, mended and asked again by the same code.
"""

from __future__ import annotations

import gc
from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from laser_cli.plan.guide import Guide, alike, guide_by_rules
from laser_cli.plan.llm import messages as told
from laser_cli.plan.llm.asked import Asked
from laser_cli.plan.llm.converse import Outcome, Watcher, converse
from laser_cli.plan.llm.fill import LONGEST, Keyframe, read_form
from laser_cli.plan.llm.find import digest, find
from laser_cli.plan.llm.gguf import read_model
from laser_cli.plan.llm.mend import Mended, cut
from laser_cli.plan.llm.planner import record
from laser_cli.plan.rules import check_description

PROMPTS = "guide1"
LONGEST_ANSWER = 320
"""Tokens that an answer may have; one that is longer goes round in circles."""


class Filled(BaseModel):
    """A whole answer; both keys are needed and come in this order, the reasoning first."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    reasoning: Annotated[str, Field(max_length=LONGEST)]
    guide: Annotated[str, Field(max_length=LONGEST, json_schema_extra={"minLength": 3})]


def as_guide(answer: str, asked: Asked) -> Mended:
    """The guide in an answer as the only keyframe; Unreadable where there is none."""
    prompt = " ".join(read_form(answer, Filled).guide.split()).strip(" \"'`*.,;")
    prompt, lost = cut(prompt)
    keyframe = Keyframe(prompt="the guide", control="hybrid", strength=40, share=1, easing="ease")
    mended = (f"the guide was longer than 77 tokens: cut before {lost!r}",) if lost else ()
    problems = []
    if not any(letter.isalpha() for letter in prompt):
        problems.append('"guide" is empty')
    for stop, which in ((asked.source or "", "first"), (asked.description, "second")):
        if alike(prompt, stop):
            problems.append(f"the guide is the {which} picture itself: describe what lies between the two")
    found = keyframe.model_copy(update={"prompt": prompt})
    return Mended(asked.source or "", (found,), mended=mended, problems=tuple(problems))


def guides_by_model(name: str, pairs: Sequence[tuple[str, str]], limits: Asked, watcher: Watcher) -> list[Guide]:
    """A guide for each pair of prompts, by a model (`FILE.gguf` or `hf:REPO[:FILE]`) that is loaded once.

    Where it gives none the rules do, and the guide says so; a pair that shows the same is nobody's question. ``limits``
    has seed, temperature, retries and, for each guide, the time. NotFoundError if there is no such model or it cannot
    be used, MemoryExhausted if it is too large.
    """
    path = find(name, watcher.note)
    questions = [
        replace(limits, source=a, description=b, prompts=PROMPTS, by_words=False, faces=False) for a, b in pairs
    ]
    for asked in questions:
        check_description(asked.description, asked.source)
    open_ones = [asked for asked in questions if not alike(asked.source or "", asked.description)]
    if not open_ones:
        return [guide_by_rules(asked.source or "", asked.description) for asked in questions]
    header, size = read_model(path)
    from laser_cli.plan.llm.speaker import Form, open_speaker

    longest = max((told.conversation(asked) for asked in open_ones), key=lambda said: len(said[-1]["content"]))
    form = Form(Filled.model_json_schema(), LONGEST_ANSWER)
    with open_speaker(header, size, open_ones[0], longest, watcher.note, form) as speaker:
        outcomes = [
            converse(speaker, asked, watcher, judge=as_guide) if asked in open_ones else None for asked in questions
        ]
    del speaker
    gc.collect()  # its memory is needed for drawing
    sha256 = digest(path)
    return [_guide(path.name, asked, outcome, sha256) for asked, outcome in zip(questions, outcomes, strict=True)]


def _guide(name: str, asked: Asked, outcome: Outcome | None, sha256: str) -> Guide:
    """The model's guide, or the rules' where it gave none or was not asked."""
    if outcome is not None and outcome.made is not None:
        notes = tuple(f"mended: {text}" for text in outcome.made.mended)
        return Guide(outcome.made.keyframes[0].prompt, record(name, asked, outcome, sha256), notes)
    made = guide_by_rules(asked.source or "", asked.description)
    if outcome is None:
        return made
    times = "once" if outcome.attempts == 1 else f"{outcome.attempts} times"
    why = f"{name} gave no guide, asked {times}: {outcome.why}"
    planner = made.planner.model_copy(update={"instead_of": why})
    return Guide(made.prompt, planner, (f"{why}; the rules made it instead", *made.notes))
