"""What a user sees of a batch: one bar with rate and time left on a terminal, a line for each job elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from laser_cli.batch.schedule import Watch
from laser_cli.batch.tasks import Outcome, Task
from laser_cli.jobs.progress import Progress, Ticker


class Shown(Watch):
    """Tells outcomes to a progress; `lines`: one for each job, else only what went wrong stands beside the bar.

    A progress that tells programs shows both.
    """

    def __init__(
        self, progress: Progress, total: int, *, lines: bool, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.progress, self.total, self.lines, self.clock = progress, total, lines, clock
        self.ended_jobs = self.failed = 0
        self.begun = clock()
        self.ticker: Ticker | None = None
        self.told: Callable[[Task, Outcome], Any] = lambda task, outcome: None

    @contextmanager
    def open(self) -> Iterator[Shown]:
        """Show the bar."""
        if self.lines and not self.progress.events:
            yield self
            return
        with self.progress.bar(self.total, "jobs") as self.ticker:
            yield self

    def ended(self, task: Task, outcome: Outcome) -> None:
        """A job more."""
        self.ended_jobs += 1
        self.failed += outcome.status == "failed"
        if self.ticker:
            failed = f", {self.failed} failed" if self.failed else ""
            self.ticker.advance(1, f"jobs, {self.rate_text}{failed}")
        line = f"[{self.ended_jobs}/{self.total}] {outcome.status} {self._named(task)} {outcome.seconds:.1f} s"
        if outcome.failure:
            self.progress.note(f"{line}: {outcome.failure.line} (exit code {outcome.failure.exit_code})")
        elif self.lines:
            self.progress.note(f"{line}, {self.rate_text}, {self._left()}")
        for warning in outcome.warnings if self.lines else ():
            self.progress.warn(f"{self._named(task)}: {warning}")
        self.told(task, outcome)

    def note(self, message: str) -> None:
        """Tell it."""
        self.progress.note(message)

    @property
    def rate_text(self) -> str:
        """Jobs a minute so far, or an hour where they take long."""
        seconds = max(self.clock() - self.begun, 1e-9)
        minute = 60 * self.ended_jobs / seconds
        return f"{minute:.1f} a minute" if minute >= 1 else f"{60 * minute:.1f} an hour"

    def _left(self) -> str:
        from laser_cli.terminal import clock_text

        left = (self.clock() - self.begun) / max(self.ended_jobs, 1) * (self.total - self.ended_jobs)
        return f"{clock_text(left)} left"

    def _named(self, task: Task) -> str:
        return task.id or (str(task.paths[0]) if task.paths else f"job {task.number}")
