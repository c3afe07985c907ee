"""A model's own chat template: messages become its prompt, whatever roles it knows."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field

from laser_cli.errors import NotFoundError
from laser_cli.plan.llm.forms import Message
from laser_cli.plan.llm.sandbox import TemplateFailure, render_chat

RECOMMENDED = "use an instruct model, for example Qwen3-4B-Instruct-2507"

Render = Callable[[list[Message]], str]


@dataclass(frozen=True)
class Chat:
    """How messages become a prompt; `notes` are for the user."""

    render: Render
    notes: tuple[str, ...] = field(default=())


def chat_of(name: str, template: str, bos: str, eos: str, messages: list[Message]) -> Chat:
    """The chat of a model's template, tried on the messages; NotFoundError if it fails or begins with thinking.

    Templates that know no system role get its text at the head of the first question. A model without a template gets a
    plain layout, and a note.
    """
    if not template.strip():
        note = f"{name} has no chat template: if it is no instruct model its plans will be poor"
        return Chat(_plain, (note,))
    render = _rendering(template, bos, eos)
    prompt, error = _tried(render, messages)
    if error is not None:
        whole = render

        def render(messages: list[Message]) -> str:
            return whole(_without_system(messages))

        prompt, _ = _tried(render, messages)
    if prompt is None:
        raise NotFoundError(f"the chat template of {name} fails", why=str(error), hint=RECOMMENDED)
    if messages[-1]["content"] not in prompt and messages[-1]["content"].strip() not in prompt:
        why = "what is asked does not come through"
        raise NotFoundError(f"the chat template of {name} fails", why=why, hint=RECOMMENDED)
    if _opens_thinking(prompt):
        why = "every answer begins with its thoughts, and a plan has to begin with the plan"
        raise NotFoundError(f"{name} is a thinking model", why=why, hint=RECOMMENDED)
    thinks = "</think>" in template and "enable_thinking" not in template
    note = f"{name} looks like a thinking model: it is held to the plan at once, which may make it a poor planner"
    return Chat(render, (note,) if thinks or "<|channel|>" in template else ())


def _rendering(template: str, bos: str, eos: str) -> Render:
    # models that can do both are asked not to think: a grammar leaves no room for it
    values = {"bos_token": bos, "eos_token": eos, "enable_thinking": False}
    rendered: dict[str, str] = {}

    def render(messages: list[Message]) -> str:
        key = json.dumps(messages)
        if key not in rendered:  # every rendering is a process of its own
            rendered[key] = render_chat(template, {**values, "messages": messages})
        return rendered[key]

    return render


def _tried(render: Render, messages: list[Message]) -> tuple[str | None, TemplateFailure | None]:
    try:
        return render(messages), None
    except TemplateFailure as error:
        return None, error


def _without_system(messages: list[Message]) -> list[Message]:
    """The system's text told at the head of the first question."""
    if messages[0]["role"] != "system":
        return messages
    first = {**messages[1], "content": f"{messages[0]['content']}\n\n{messages[1]['content']}"}
    return [first, *messages[2:]]


def _opens_thinking(prompt: str) -> bool:
    """Whether a prompt ends inside a block of thoughts."""
    return bool(re.search(r"<(think|thinking|reasoning|thought)>\s*$|\[THINK\]\s*$", prompt))


def _plain(messages: list[Message]) -> str:
    """Roles as headings, for models without a template."""
    names = {"system": "Instructions", "user": "Request", "assistant": "Answer"}
    return "\n\n".join([*(f"### {names[m['role']]}\n{m['content']}" for m in messages), "### Answer\n"])
