"""Captions by a model that sees: what a picture shows, as the prompt of its first keyframe.

A caption is a plan of one keyframe to the conversation, so that the same code asks and asks again.
"""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np

from laser_cli.errors import BadInputError
from laser_cli.plan.length import cut
from laser_cli.plan.llm.backends import open_chat
from laser_cli.plan.llm.conversation import converse
from laser_cli.plan.llm.draft import Draft, DraftKeyframe
from laser_cli.plan.llm.forms import AnswerForm, text
from laser_cli.plan.request import PlanCallbacks, PlanRequest

LONGEST = 240
"""Characters of a caption."""
_INTRODUCTION = re.compile(
    r"(?:sure[,!.]? |certainly[,!.]? |here is [^:]*: |caption: |prompt: )*"
    r"(?:(?:in )?(?:this|the) (?:image|picture|photo|photograph|scene),? "
    r"(?:(?:shows?|depicts?|features?|contains?|is of|(?:there )?(?:is|are)) )?"
    r"|(?:an? )?(?:image|picture) (?:of|showing) |(?:it|this) is (?=an? )|there (?:is|are) )?",
    re.IGNORECASE,
)
_REFUSAL = re.compile(
    r"\b(?:sorry|unable to|i (?:can ?not|can't|do not|don't|am not)|as an ai|no (?:image|picture))\b", re.IGNORECASE
)


class CaptionForm(AnswerForm):
    """One phrase about the request's picture."""

    version = "caption1"

    def system(self, request: PlanRequest) -> str:
        """No instructions beside the question."""
        return ""

    def examples(self, request: PlanRequest) -> list[tuple[PlanRequest, str]]:
        """None: small models would find them in every picture."""
        return []

    def question(self, request: PlanRequest) -> str:
        """What to say of the picture."""
        return text(self.version, "ask.md")

    def grammar(self, request: PlanRequest) -> str:
        """The GBNF grammar of one line."""
        return f"root ::= [^\\n\\r]{{3,{LONGEST}}}"

    def longest(self, request: PlanRequest) -> int:
        """The most tokens that an answer may have."""
        return 128

    def read(self, answer: str, request: PlanRequest) -> Draft:
        """The caption as the only keyframe, with what is wrong with it."""
        said = re.sub(r"<think>.*?(?:</think>|$)", "", answer, flags=re.DOTALL).strip()
        line = " ".join(said.splitlines()[0].split()) if said else ""
        line = _INTRODUCTION.sub("", line.strip(" \"'`*#"), count=1)
        caption, lost = cut(line.split(". ")[0].strip(" \"'`*.,;:"))
        if re.match(r"(?:An?|The|Two|Three|Some|One)\b", caption):
            caption = caption[0].lower() + caption[1:]
        problems = []
        if not re.search(r"[^\W\d_]{3}", caption):
            problems.append("it says nothing")
        elif _REFUSAL.search(caption):
            problems.append("it does not say what the picture shows")
        repairs = (f"the caption was longer than 77 tokens: cut before {lost!r}",) if lost else ()
        return Draft(caption, (DraftKeyframe(caption, "hold"),), repairs=repairs, problems=tuple(problems))


def caption_by_model(name: str, picture: np.ndarray, limits: PlanRequest, callbacks: PlanCallbacks) -> str:
    """What a picture (h, w, 3) uint8 shows, in the words of the model of that name.

    Raises NotFoundError if there is no such model or it sees no pictures, MemoryExhausted if it is too large,
    BadInputError if it gives no caption.
    """
    form, request = CaptionForm(), replace(limits, picture=picture)
    with open_chat(name, [request], form, callbacks.note) as opened:
        outcome = converse(opened.model, request, replace(callbacks, note=lambda text: None), form)
    if outcome.draft is None:
        raise BadInputError(
            f"{opened.name} gave no caption", why=outcome.why, hint="say what the picture shows: --prompt"
        )
    for repair in outcome.draft.repairs:
        callbacks.note(repair)
    return outcome.draft.source
