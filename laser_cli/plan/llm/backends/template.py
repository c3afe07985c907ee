"""A model's own chat template: messages become its prompt, whatever roles it knows."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from laser_cli.errors import NotFoundError
from laser_cli.plan.llm.forms import Message
from laser_cli.plan.llm.sandbox import TemplateFailure, render_chat

RECOMMENDED = "use an instruct model, for example Qwen3-4B-Instruct-2507"

Render = Callable[[list[Message]], str]
Told = Sequence[Mapping[str, Any]]
"""Messages in whatever way a template reads them."""


@dataclass(frozen=True)
class Chat:
    """How messages become a prompt; `notes` are for the user."""

    render: Render
    notes: tuple[str, ...] = field(default=())


def chat_of(name: str, template: str, bos: str, eos: str, messages: list[Message]) -> Chat:
    """The chat of a model's template, tried on the messages; NotFoundError if it fails or begins with thinking.

    Templates that know no system role get its text at the head of the first question, and those that read contents in
    parts get parts. A model without a template gets a plain layout, and a note.
    """
    if not template.strip():
        note = f"{name} has no chat template: if it is no instruct model its plans will be poor"
        return Chat(_plain, (note,))
    render, prompt = _working(_rendering(template, bos, eos), name, messages)
    if _opens_thinking(prompt):
        why = "every answer begins with its thoughts, and a plan has to begin with the plan"
        raise NotFoundError(f"{name} is a thinking model", why=why, hint=RECOMMENDED)
    thinks = "</think>" in template and "enable_thinking" not in template
    note = f"{name} looks like a thinking model: it is held to the plan at once, which may make it a poor planner"
    return Chat(render, (note,) if thinks or "<|channel|>" in template else ())


def _working(plain: Callable[[Told], str], name: str, messages: list[Message]) -> tuple[Render, str]:
    """A way to tell messages that a template can read, and the prompt that it makes of these."""
    whys = []
    for told in (list, _without_system, _in_parts):
        try:
            prompt = plain(told(messages))
        except TemplateFailure as error:
            whys.append(str(error))
            continue
        if messages[-1]["content"].strip() in prompt:
            return partial(_rendered, plain, told), prompt
        whys.append("what is asked does not come through")
    raise NotFoundError(f"the chat template of {name} fails", why=whys[0], hint=RECOMMENDED)


def _rendered(plain: Callable[[Told], str], told: Callable[[list[Message]], Told], messages: list[Message]) -> str:
    return plain(told(messages))


def _rendering(template: str, bos: str, eos: str) -> Callable[[Told], str]:
    # models that can do both are asked not to think: a grammar leaves no room for it
    values = {"bos_token": bos, "eos_token": eos, "enable_thinking": False}
    rendered: dict[str, str] = {}

    def render(messages: Told) -> str:
        key = json.dumps(messages)
        if key not in rendered:  # every rendering is a process of its own
            rendered[key] = render_chat(template, {**values, "messages": messages})
        return rendered[key]

    return render


def _without_system(messages: list[Message]) -> list[Message]:
    """The system's text told at the head of the first question."""
    if messages[0]["role"] != "system":
        return messages
    first = {**messages[1], "content": f"{messages[0]['content']}\n\n{messages[1]['content']}"}
    return [first, *messages[2:]]


def _in_parts(messages: list[Message]) -> list[dict[str, Any]]:
    """The messages as some templates of multimodal models want them: contents as lists of parts."""
    return [{**message, "content": [{"type": "text", "text": message["content"]}]} for message in messages]


def _opens_thinking(prompt: str) -> bool:
    """Whether a prompt ends inside a block of thoughts."""
    return bool(re.search(r"<(think|thinking|reasoning|thought)>\s*$|\[THINK\]\s*$", prompt))


def _plain(messages: list[Message]) -> str:
    """Roles as headings, for models without a template."""
    names = {"system": "Instructions", "user": "Request", "assistant": "Answer"}
    return "\n\n".join([*(f"### {names[m['role']]}\n{m['content']}" for m in messages), "### Answer\n"])
