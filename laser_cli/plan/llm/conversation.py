"""The conversation with a model: it is asked, its answer is read as it comes, and it is asked again about problems."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

from laser_cli.plan.llm.draft import Draft, Unreadable
from laser_cli.plan.llm.forms import AnswerForm, Message
from laser_cli.plan.request import PlanCallbacks, PlanRequest


class NoAnswer(Exception):
    """A model did not come to an end: out of time, cut short, or failed; the text says which.

    `again` tells whether it is worth asking once more.
    """

    def __init__(self, why: str, *, again: bool = True) -> None:
        super().__init__(why)
        self.again = again


READING = 5
"""How many times its limit a model may take before its first token: a long prompt is read but once."""


class Deadline:
    """A limit in seconds that counts from the first token of the first answer."""

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.seconds, self._clock = seconds, clock
        self._end = clock() + READING * seconds
        self._started = False

    def start(self) -> None:
        """The first token has come."""
        if not self._started:
            self._started, self._end = True, self._clock() + self.seconds

    def left(self) -> float:
        """Seconds that are left; 0 if the time is over."""
        return max(0.0, self._end - self._clock())

    def passed(self) -> bool:
        """Whether the time is over."""
        return self._clock() > self._end


class ChatModel(Protocol):
    """Whoever answers: a model in llama.cpp, a server, or a test."""

    def answer(self, messages: list[Message], request: PlanRequest, seed: int, deadline: Deadline) -> Iterator[str]:
        """The answer piece by piece. Raises NoAnswer if there is none by the deadline, or at all."""


@dataclass(frozen=True)
class Outcome:
    """What came of a conversation: a usable draft, or None and why; and how often the model was asked."""

    draft: Draft | None
    attempts: int
    why: str = ""


def converse(
    model: ChatModel,
    request: PlanRequest,
    callbacks: PlanCallbacks,
    form: AnswerForm,
    clock: Callable[[], float] = time.monotonic,
) -> Outcome:
    """Ask until an answer can be used, at most `request.retries` times more, each with the next seed and the problems.

    The same answer twice ends it: the model has no other.
    """
    messages = form.messages(request)
    question, before, why = messages, None, ""
    deadline = Deadline(request.timeout, clock)
    for message in messages:
        callbacks.explain(f"[{message['role']}]\n{message['content']}")
    for attempt in range(request.retries + 1):
        if attempt:
            callbacks.note(f"asking again, {attempt} of {request.retries}: {why}")
            callbacks.explain(f"[user]\n{question[-1]['content']}")
        try:
            answer = _listen(model, question, request, form, attempt, deadline, callbacks, clock)
        except NoAnswer as error:
            why = str(error)
            if not error.again or deadline.passed():
                return Outcome(None, attempt + 1, why)
            question = form.again(messages, None, [why])
            continue
        callbacks.explain(f"[assistant]\n{answer}")
        try:
            draft = form.read(answer, request)
            problems = [*draft.problems]
        except Unreadable as error:
            problems, draft = [str(error)], None
        if draft and not problems:
            return Outcome(draft, attempt + 1)
        why = "; ".join(problems)
        if answer == before:
            return Outcome(None, attempt + 1, f"{why}; the same answer twice")
        before = answer
        question = form.again(messages, answer if draft else None, problems)
    return Outcome(None, request.retries + 1, why)


def _listen(
    model: ChatModel,
    question: list[Message],
    request: PlanRequest,
    form: AnswerForm,
    attempt: int,
    deadline: Deadline,
    callbacks: PlanCallbacks,
    clock: Callable[[], float],
) -> str:
    """The whole answer; tells the keyframe that is being written, and the speed at the end."""
    answer, shown, pieces, start = "", 0, 0, clock()
    total = f" of {request.keyframes}" if request.keyframes else ""
    callbacks.note("the planner reads the request …")
    for piece in model.answer(question, request, request.seed + attempt, deadline):
        if not pieces:
            deadline.start()
            start = clock()
        answer += piece
        pieces += 1
        count = form.keyframes_begun(answer)
        for number in range(shown + 1, count + 1):
            callbacks.note(f"keyframe {number}{total} …")
        shown = max(shown, count)
    callbacks.speed(max(pieces - 1, 0), clock() - start)
    return answer
