"""What the model is told, read from the versioned files in `prompts/`."""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from string import Template
from typing import Any

import yaml

from laser_cli.plan.llm.asked import Asked

VERSION = "v1"

Message = dict[str, str]
"""One turn of a conversation: `role` (system, user or assistant) and `content`."""


@cache
def text(name: str, version: str = VERSION) -> str:
    """The text of a prompt file of a version."""
    place = files("laser_cli.plan.llm") / "prompts" / version / name
    return place.read_text(encoding="utf-8").strip()


def examples() -> list[dict[str, Any]]:
    """The worked examples: `description`, `source` (None if not given) and `answer`."""
    return list(yaml.safe_load(text("examples.yaml")))


def conversation(asked: Asked) -> list[Message]:
    """The messages that ask for a plan: the system's, the worked examples as turns, the request."""
    messages = [{"role": "system", "content": text("system.md")}]
    for example in examples():
        question = Asked(example["description"], example["source"], keyframes=None)
        messages.append({"role": "user", "content": _question(question)})
        messages.append({"role": "assistant", "content": json.dumps(example["answer"], ensure_ascii=False)})
    return [*messages, {"role": "user", "content": _question(asked)}]


def again(messages: list[Message], answer: str | None, problems: list[str]) -> list[Message]:
    """The messages that ask once more: after `answer`, or with the question itself if it was no JSON at all (None)."""
    told = Template(text("retry.md")).substitute(problems="\n".join(f"- {problem}" for problem in problems))
    if answer is not None:
        return [*messages, {"role": "assistant", "content": answer}, {"role": "user", "content": told}]
    last = messages[-1]
    return [*messages[:-1], {**last, "content": f"{last['content']}\n\n{told}"}]


def _question(asked: Asked) -> str:
    # a template puts values in as they are: braces and dollars in a description mean nothing to it
    return Template(text("ask.md")).substitute(
        source=asked.source or "not described; say what it shows, as the request names it",
        description=asked.description,
        keyframes=asked.keyframes or "as many as the request needs",
    )
