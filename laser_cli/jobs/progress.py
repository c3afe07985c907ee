"""How a job tells what it does: nobody listens to the base class, commands and tests override it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from laser_cli.models.model import Model


class Ticker(Protocol):
    """What a long step reports with."""

    def advance(self, n: int = 1, label: str | None = None) -> None:
        """`n` more steps are done; `label` renames what is being done."""


class Silent:
    """A ticker that nobody sees."""

    def advance(self, n: int = 1, label: str | None = None) -> None:
        """Say nothing."""


class Progress:
    """Notes, warnings, bars and stages of a run; `took` collects (U-Net evaluations, seconds) by stage."""

    events = False
    """Whether it tells a program, which wants every step."""

    def __init__(self) -> None:
        self.took: dict[str, tuple[int, float]] = {}

    def note(self, message: str) -> None:
        """A hint, or what happens now."""

    def warn(self, message: str) -> None:
        """Something is not as it should be, but the work goes on."""

    def bar(self, total: int, label: str) -> AbstractContextManager[Ticker]:
        """How far a step of `total` parts is."""
        return nullcontext(Silent())

    def timed(self, stage: str, evaluations: int, seconds: float) -> None:
        """A stage has ended."""

    @contextmanager
    def stage(self, name: str, model: Model | None = None) -> Iterator[None]:
        """Measure what happens inside: seconds, and the model's U-Net evaluations."""
        start, before = time.perf_counter(), model.nfe if model else 0
        yield
        seconds = time.perf_counter() - start
        evaluations = model.nfe - before if model else 0
        self.took[name] = (evaluations, seconds)
        self.timed(name, evaluations, seconds)


SILENT = Progress()
