"""The conversation with a model: asked, its answer watched as it comes, asked again with what is wrong with it."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

from laser_cli.plan.llm import messages as told
from laser_cli.plan.llm.asked import Asked
from laser_cli.plan.llm.fill import Unreadable, read
from laser_cli.plan.llm.mend import Mended, mend


class NoAnswer(Exception):
    """A model did not come to an end: out of time, cut short, or failed; the text says which.

    `again` tells whether it is worth asking once more.
    """

    def __init__(self, why: str, *, again: bool = True) -> None:
        super().__init__(why)
        self.again = again


class Speaker(Protocol):
    """Whoever answers: a model in llama.cpp, or a test."""

    def answer(self, messages: list[told.Message], seed: int, deadline: float) -> Iterator[str]:
        """The answer piece by piece; NoAnswer if there is none by `deadline` (time.monotonic) or at all."""


@dataclass(frozen=True)
class Watcher:
    """Who wants to know: `note` what happens, `explain` the exchange, `speed` pieces and seconds of each answer."""

    note: Callable[[str], None] = lambda text: None
    explain: Callable[[str], None] = lambda text: None
    speed: Callable[[int, float], None] = lambda pieces, seconds: None


Judge = Callable[[str, Asked], Mended]
"""Makes a usable thing of a whole answer, with what is still wrong in it; Unreadable where it is not the form."""


def as_plan(answer: str, asked: Asked) -> Mended:
    """The plan in an answer, mended."""
    return mend(read(answer), asked)


@dataclass(frozen=True)
class Outcome:
    """What came of a conversation: a usable answer, or None and why; and how often the model was asked."""

    made: Mended | None
    attempts: int
    why: str = ""


def converse(
    speaker: Speaker,
    asked: Asked,
    watcher: Watcher,
    clock: Callable[[], float] = time.monotonic,
    judge: Judge = as_plan,
) -> Outcome:
    """Ask until an answer can be used, `asked.retries` times more at most, each with the next seed and what was wrong.

    An answer that comes twice ends it: the model has no other.
    """
    messages = told.conversation(asked)
    question, before, why = messages, None, ""
    deadline = clock() + asked.timeout
    for message in messages:
        watcher.explain(f"[{message['role']}]\n{message['content']}")
    for attempt in range(asked.retries + 1):
        if attempt:
            watcher.note(f"asking again, {attempt} of {asked.retries}: {why}")
            watcher.explain(f"[user]\n{question[-1]['content']}")
        try:
            answer = _listen(speaker, question, asked, attempt, deadline, watcher, clock)
        except NoAnswer as error:
            why = str(error)
            if not error.again or clock() >= deadline:
                return Outcome(None, attempt + 1, why)
            question = told.again(messages, None, [why], asked.prompts)
            continue
        watcher.explain(f"[assistant]\n{answer}")
        try:
            made = judge(answer, asked)
            problems = [*made.problems]
        except Unreadable as error:
            problems, made = [str(error)], None
        if made and not problems:
            return Outcome(made, attempt + 1)
        why = "; ".join(problems)
        if answer == before:
            return Outcome(None, attempt + 1, f"{why}; the same answer twice")
        before = answer
        question = told.again(messages, answer if made else None, problems, asked.prompts)
    return Outcome(None, asked.retries + 1, why)


def _listen(
    speaker: Speaker,
    question: list[told.Message],
    asked: Asked,
    attempt: int,
    deadline: float,
    watcher: Watcher,
    clock: Callable[[], float],
) -> str:
    """The whole answer; tells the keyframe that is being written, and the speed at the end."""
    answer, shown, pieces, start = "", 0, 0, clock()
    total = f" of {asked.keyframes}" if asked.keyframes else ""
    watcher.note("the planner reads the request …")
    for piece in speaker.answer(question, asked.seed + attempt, deadline):
        if not pieces:
            start = clock()
        answer += piece
        pieces += 1
        count = len(re.findall(r'"prompt"\s*:', answer))
        for number in range(shown + 1, count + 1):
            watcher.note(f"keyframe {number}{total} …")
        shown = max(shown, count)
    watcher.speed(max(pieces - 1, 0), clock() - start)
    return answer
