"""The forms in which a model answers: what it is told, the grammar it is held to, and how its answer is read."""

from __future__ import annotations

from abc import ABC, abstractmethod
from functools import cache
from importlib.resources import files
from string import Template
from typing import Any

import yaml

from laser_cli.plan.llm.draft import Draft
from laser_cli.plan.request import PlanRequest

Message = dict[str, str]
"""One turn of a conversation: `role` (system, user or assistant) and `content`."""


class AnswerForm(ABC):
    """A form whose texts are the files of `prompts/VERSION`; subclasses say what an answer looks like."""

    version: str
    """Names the prompt files, and is kept in the plan."""

    def messages(self, request: PlanRequest) -> list[Message]:
        """The conversation that asks for an answer: system, worked examples as turns, the request."""
        system = self.system(request)
        messages = [{"role": "system", "content": system}] if system else []
        for question, answer in self.examples(request):
            messages.append({"role": "user", "content": self.question(question)})
            messages.append({"role": "assistant", "content": answer})
        return [*messages, {"role": "user", "content": self.question(request)}]

    def again(self, messages: list[Message], answer: str | None, problems: list[str]) -> list[Message]:
        """The conversation that asks once more: after `answer`, or with the question alone if it had no form (None)."""
        problem = Template(text(self.version, "retry.md")).substitute(problems="\n".join(f"- {p}" for p in problems))
        if answer is not None:
            return [*messages, {"role": "assistant", "content": answer}, {"role": "user", "content": problem}]
        last = messages[-1]
        return [*messages[:-1], {**last, "content": f"{last['content']}\n\n{problem}"}]

    def system(self, request: PlanRequest) -> str:
        """The instructions."""
        return text(self.version, "system.md")

    @abstractmethod
    def examples(self, request: PlanRequest) -> list[tuple[PlanRequest, str]]:
        """Worked examples: requests with their answers."""

    def question(self, request: PlanRequest) -> str:
        """The request as the model reads it."""
        # a template puts values in as they are: braces and dollars in a description mean nothing to it
        return Template(text(self.version, "ask.md")).substitute(
            source=request.source or "not described; say what it shows, as the request names it",
            description=request.description,
            keyframes=request.keyframes or "as many as the request needs",
        )

    def schema(self, request: PlanRequest) -> dict[str, Any] | None:
        """The JSON schema of an answer; None for a form that is no JSON."""
        return None

    def grammar(self, request: PlanRequest) -> str | None:
        """The GBNF grammar of an answer, where no schema says it."""
        return None

    def shared(self, messages: list[Message]) -> tuple[int, ...]:
        """Numbers of first messages, rising, that are the same for many requests; what a model read can be kept."""
        return ()

    def opening(self, request: PlanRequest) -> str:
        """What is written for the model at the beginning of its answer; the grammar is that of what follows."""
        return ""

    @abstractmethod
    def longest(self, request: PlanRequest) -> int:
        """The most tokens that an answer may have; a longer one goes round in circles."""

    def keyframes_begun(self, answer: str) -> int:
        """How many keyframes an unfinished answer has begun, to report progress."""
        return 0

    @abstractmethod
    def read(self, answer: str, request: PlanRequest) -> Draft:
        """The draft in a whole answer, with its problems. Raises Unreadable if it does not have the form."""


@cache
def text(version: str, name: str) -> str:
    """The text of a prompt file."""
    place = files("laser_cli.plan.llm") / "prompts" / version / name
    return place.read_text(encoding="utf-8").strip()


def worked_examples(version: str) -> list[dict[str, Any]]:
    """The worked examples of a version: `description`, `source` (None if not given) and `answer`."""
    return list(yaml.safe_load(text(version, "examples.yaml")) or [])
