"""Guides by a model: what lies halfway between two pictures; where it gives no usable answer the rules make them.

A guide is a plan of one keyframe to the conversation, so that the same code asks, repairs and asks again.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from laser_cli.plan.guide import Guide, alike, guide_by_rules
from laser_cli.plan.length import cut
from laser_cli.plan.llm.backends import Opened, open_chat
from laser_cli.plan.llm.conversation import Outcome, converse
from laser_cli.plan.llm.draft import Draft, DraftKeyframe
from laser_cli.plan.llm.forms import AnswerForm, worked_examples
from laser_cli.plan.llm.full import LONGEST, read_json
from laser_cli.plan.llm.planner import record
from laser_cli.plan.request import PlanCallbacks, PlanRequest, check_description


class Answer(BaseModel):
    """A whole answer; both keys are needed and come in this order, the reasoning first."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    reasoning: Annotated[str, Field(max_length=LONGEST)]
    guide: Annotated[str, Field(max_length=LONGEST, json_schema_extra={"minLength": 3})]


class GuideForm(AnswerForm):
    """The form for a guide: `source` and `description` of a request are the two prompts it lies between."""

    version = "guide1"

    def examples(self, request: PlanRequest) -> list[tuple[PlanRequest, str]]:
        """The worked examples."""
        return [
            (PlanRequest(row["description"], row["source"]), json.dumps(row["answer"], ensure_ascii=False))
            for row in worked_examples(self.version)
        ]

    def schema(self, request: PlanRequest) -> dict[str, Any]:
        """The JSON schema of an answer."""
        return Answer.model_json_schema()

    def longest(self, request: PlanRequest) -> int:
        """The most tokens that an answer may have."""
        return 320

    def read(self, answer: str, request: PlanRequest) -> Draft:
        """The guide in an answer as the only keyframe. Raises Unreadable if there is none."""
        prompt = " ".join(read_json(answer, Answer).guide.split()).strip(" \"'`*.,;")
        prompt, lost = cut(prompt)
        repairs = (f"the guide was longer than 77 tokens: cut before {lost!r}",) if lost else ()
        problems = []
        if not any(letter.isalpha() for letter in prompt):
            problems.append('"guide" is empty')
        for end, which in ((request.source or "", "first"), (request.description, "second")):
            if alike(prompt, end):
                problems.append(f"the guide is the {which} picture itself: describe what lies between the two")
        keyframe = DraftKeyframe(prompt, control="hybrid")
        return Draft(request.source or "", (keyframe,), repairs=repairs, problems=tuple(problems))


def guides_by_model(
    name: str, pairs: Sequence[tuple[str, str]], limits: PlanRequest, callbacks: PlanCallbacks
) -> list[Guide]:
    """A guide for each pair of prompts by a model, which is loaded once, or by the rules where it gives none.

    The model is not asked about two prompts that say the same. ``limits`` has seed, temperature, retries and the time
    for each guide. Raises NotFoundError if there is no such model or it cannot be used, MemoryExhausted if it is too
    large.
    """
    questions = [replace(limits, source=begin, description=end) for begin, end in pairs]
    for request in questions:
        check_description(request.description, request.source)
    open_ones = [request for request in questions if not alike(request.source or "", request.description)]
    if not open_ones:
        return [guide_by_rules(request.source or "", request.description) for request in questions]
    form = GuideForm()
    with open_chat(name, open_ones, form, callbacks.note) as opened:
        outcomes = [
            converse(opened.model, request, callbacks, form) if request in open_ones else None for request in questions
        ]
    opened = opened._replace(sha256=cache(opened.sha256))
    return [_guide(opened, request, outcome) for request, outcome in zip(questions, outcomes, strict=True)]


def _guide(opened: Opened, request: PlanRequest, outcome: Outcome | None) -> Guide:
    """The model's guide, or the rules' where it gave none or was not asked."""
    if outcome is not None and outcome.draft is not None:
        notes = tuple(f"mended: {text}" for text in outcome.draft.repairs)
        return Guide(outcome.draft.keyframes[0].prompt, record(opened, GuideForm(), request, outcome), notes)
    made = guide_by_rules(request.source or "", request.description)
    if outcome is None:
        return made
    times = "once" if outcome.attempts == 1 else f"{outcome.attempts} times"
    why = f"{opened.name} gave no guide, asked {times}: {outcome.why}"
    planner = made.planner.model_copy(update={"instead_of": why})
    return Guide(made.prompt, planner, (f"{why}; the rules made it instead", *made.notes))
