"""What the model is told, read from the versioned files in `prompts/`."""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from string import Template
from typing import Any

import yaml

from laser_cli.plan.llm.asked import VERSION, Asked

Message = dict[str, str]
"""One turn of a conversation: `role` (system, user or assistant) and `content`."""


@cache
def text(name: str, version: str = VERSION) -> str:
    """The text of a prompt file of a version; empty if the version has no such file."""
    place = files("laser_cli.plan.llm") / "prompts" / version / name
    return place.read_text(encoding="utf-8").strip() if place.is_file() else ""


def examples(version: str = VERSION) -> list[dict[str, Any]]:
    """The worked examples: `description`, `source` (None if not given) and `answer`."""
    return list(yaml.safe_load(text("examples.yaml", version)) or [])


def conversation(asked: Asked) -> list[Message]:
    """The messages that ask for a plan: the system's, the worked examples as turns, the request.

    Faces are spoken of only where there may be one.
    """
    faces = text("face.md", asked.prompts) if asked.face else ""
    system = "\n\n".join(filter(None, [text("system.md", asked.prompts), faces]))
    messages = [{"role": "system", "content": system}] if system else []
    for example in examples(asked.prompts):
        answer = example["answer"]
        if "face" in answer and not faces:
            continue
        if faces:
            answer = {**answer, "face": answer.get("face", [])}
        question = Asked(example["description"], example["source"], keyframes=None, prompts=asked.prompts)
        messages.append({"role": "user", "content": _question(question)})
        messages.append({"role": "assistant", "content": json.dumps(answer, ensure_ascii=False)})
    return [*messages, {"role": "user", "content": _question(asked)}]


def again(messages: list[Message], answer: str | None, problems: list[str], version: str = VERSION) -> list[Message]:
    """The messages that ask once more: after `answer`, or with the question itself if it was no JSON at all (None).

    A version that has no words for it asks the same again.
    """
    retry = text("retry.md", version)
    if not retry:
        return messages
    told = Template(retry).substitute(problems="\n".join(f"- {problem}" for problem in problems))
    if answer is not None:
        return [*messages, {"role": "assistant", "content": answer}, {"role": "user", "content": told}]
    last = messages[-1]
    return [*messages[:-1], {**last, "content": f"{last['content']}\n\n{told}"}]


def _question(asked: Asked) -> str:
    # a template puts values in as they are: braces and dollars in a description mean nothing to it
    return Template(text("ask.md", asked.prompts)).substitute(
        source=asked.source or "not described; say what it shows, as the request names it",
        description=asked.description,
        keyframes=asked.keyframes or "as many as the request needs",
    )
