"""What a planner is asked for and gives back: request, callbacks, plan with notes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, NamedTuple

from laser_cli.errors import BadInputError
from laser_cli.plan.schema import MAX_PROMPT, Plan

if TYPE_CHECKING:
    import numpy as np

    from laser_cli.plan.guide import Guide

MOST_KEYFRAMES = 6
"""The most segments that a language model may plan: small ones lose their way in more."""
TEMPERATURE, TIMEOUT, RETRIES = 0.25, 120.0, 2


@dataclass(frozen=True)
class PlanRequest:
    """A description of change and the limits of planning it.

    `source` is the prompt of the picture, None if only the description names it. `keyframes` counts those after the
    picture; None leaves it to the planner, as it does for `easing`. The rest concerns language models: `timeout` in
    seconds, `layers` on the GPU (None: all), the `form` of its answers, and the `picture` (h, w, 3) uint8 that a
    captioner is shown.
    """

    description: str
    source: str | None = None
    frames: int = 24
    easing: str | None = None
    keyframes: int | None = None
    seed: int = 0
    temperature: float = TEMPERATURE
    timeout: float = TIMEOUT
    retries: int = RETRIES
    layers: int | None = None
    form: Literal["lines", "full"] = "lines"
    picture: np.ndarray | None = field(default=None, compare=False, repr=False)

    @property
    def most(self) -> int:
        """The most segments that the plan may have: each needs a picture of its own."""
        return self.keyframes or max(1, min(MOST_KEYFRAMES, self.frames - 1))

    @property
    def face(self) -> bool:
        """Whether the description speaks of an expression, or of how a head turns, and the picture may show a face."""
        from laser_cli.plan.expressions import named
        from laser_cli.plan.rules.faces import is_faceless

        return bool(named(self.description)) and not is_faceless(self.source or "")


@dataclass(frozen=True)
class PlanCallbacks:
    """Callbacks of a planning run: `note(message)`, `explain(text of the exchange)`, `speed(tokens, seconds)`."""

    note: Callable[[str], None] = lambda text: None
    explain: Callable[[str], None] = lambda text: None
    speed: Callable[[int, float], None] = lambda tokens, seconds: None


class Planned(NamedTuple):
    """A plan, and notes for the user about how it came about."""

    plan: Plan
    notes: tuple[str, ...] = ()


class Planner(ABC):
    """Makes plans; some know a world of their own, guides for interpolation, or what a picture shows."""

    def available(self) -> bool:
        """Whether this installation has what the planner needs."""
        return True

    def claims(self, request: PlanRequest) -> bool:
        """Whether the planner takes a request for which the user named none."""
        return False

    def halfway(self, begin: str, end: str) -> str | None:
        """The prompt halfway between two prompts of a world that the planner knows; None for any others."""
        return None

    def sees(self) -> bool:
        """Whether the planner can say what a picture shows."""
        return False

    def caption(self, picture: np.ndarray, limits: PlanRequest, callbacks: PlanCallbacks) -> str:
        """What a picture (h, w, 3) uint8 shows, as a prompt. Raises BadInputError if it cannot tell."""
        raise BadInputError("this planner sees no pictures", hint="say what the picture shows: --prompt")

    @abstractmethod
    def plan(self, request: PlanRequest, callbacks: PlanCallbacks) -> Planned:
        """Plan a change. Raises BadInputError for a request that cannot be planned."""

    def guides(self, pairs: Sequence[tuple[str, str]], limits: PlanRequest, callbacks: PlanCallbacks) -> list[Guide]:
        """A prompt for what lies halfway between each pair of prompts."""
        from laser_cli.plan.guide import guide_by_rules

        return [guide_by_rules(begin, end) for begin, end in pairs]


def check_description(description: str, source: str | None) -> None:
    """Raise BadInputError for a description or source prompt that no planner can use."""
    if not description:
        raise BadInputError("the description is empty", hint='say what changes, for example "night falls"')
    for name, text in (("description", description), ("source prompt", source or "")):
        if len(text) > MAX_PROMPT:
            raise BadInputError(f"the {name} is too long", why=f"{len(text)} characters; at most {MAX_PROMPT}")
        if any("\ud800" <= c <= "\udfff" for c in text):
            raise BadInputError(f"the {name} is not valid text", why="it holds half of a character")
