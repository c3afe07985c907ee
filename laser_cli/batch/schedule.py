"""The loop of a batch: tasks to free posts, outcomes to the journal, lost ones again, and a clean end on a signal."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Any

from laser_cli.batch.crew import Crew, Event, Lost, Post, Share
from laser_cli.batch.journal import Journal
from laser_cli.batch.queue import TaskQueue
from laser_cli.batch.tasks import Failure, Outcome, Task
from laser_cli.errors import MemoryExhausted

TICK = 0.2
"""Seconds that the loop waits for events before it looks for signals and plans."""
PATIENCE = 120.0
"""Seconds that running jobs may take to save what they have drawn, once the batch was asked to end."""


class Watch:
    """Hears how a batch goes; nobody listens to the base class."""

    def started(self, task: Task, node: str) -> None:
        """A task was given to a worker."""

    def ended(self, task: Task, outcome: Outcome) -> None:
        """A task has its outcome."""

    def share(self, number: int, share: float) -> None:
        """So much of a task is drawn."""

    def note(self, message: str) -> None:
        """What happens beside."""


@dataclass
class Totals:
    """What became of a run's jobs, and the signal that ended it, if one did."""

    done: int = 0
    skipped: int = 0
    failed: int = 0
    left: int = 0
    seconds: float = 0.0
    signal: int | None = None


def run_tasks(
    queue: TaskQueue,
    crew: Crew,
    journal: Journal,
    *,
    retries: int = 2,
    again: bool = False,
    watch: Watch | None = None,
    synced: Callable[[], object] = lambda: None,
) -> Totals:
    """Draw all tasks of a queue; every outcome is in the journal, and synced, before the watch hears of it.

    `again`: earlier runs may have drawn some. `synced` is called after the journal was. A first SIGINT or SIGTERM lets
    running jobs save what they have and ends the run, a second one ends it at once.
    """
    loop = _Loop(queue, crew, journal, retries, again, watch or Watch())
    begun = time.monotonic()
    with _signals() as caught:
        while loop.hands or len(queue):
            if caught and not loop.stopping:
                loop.stop()
            if len(caught) > 1 or loop.overdue:
                break
            if not loop.stopping:
                loop.hand_out()
            elif not loop.hands:
                break
            loop.hear(TICK)
            synced()
    totals = loop.totals
    totals.left = len(queue) + len(loop.hands)
    totals.seconds = time.monotonic() - begun
    totals.signal = caught[0] if caught else None
    return totals


class _Loop:
    def __init__(self, queue: TaskQueue, crew: Crew, journal: Journal, retries: int, again: bool, watch: Watch) -> None:
        self.queue, self.crew, self.journal, self.retries = queue, crew, journal, retries
        self.again, self.watch = again, watch
        self.hands: dict[int, tuple[Task, Post | None]] = {}
        self.totals = Totals()
        self.stopping = False
        self._until = 0.0

    @property
    def overdue(self) -> bool:
        """Whether running jobs had long enough to save what they have."""
        return self.stopping and time.monotonic() > self._until

    def stop(self) -> None:
        """Begin to end."""
        self.stopping, self._until = True, time.monotonic() + PATIENCE
        self.watch.note("ending: running jobs are saved; once more ends at once")
        self.crew.stop()

    def hand_out(self) -> None:
        """Give tasks to all free posts, those with the least in hand first."""
        nodes = {post.node for post in self.crew.posts}
        for post in sorted(self.crew.posts, key=lambda post: len(post.tasks)):
            while post.free and len(self.queue):
                taken = self.queue.take(post.group, post.node, nodes)
                if taken is None:
                    break
                if isinstance(taken, Outcome):
                    self._ended(self.queue.spool.read(taken.number - 1), taken)
                    continue
                task, post.group = taken
                attempt = self.queue.tries[task.number - 1].count
                self.hands[task.number] = (task, post)
                self.journal.started(task, attempt, post.node)
                self.watch.started(task, post.node)
                self.crew.give(post, task, again=self.again or attempt > 1)

    def hear(self, timeout: float) -> None:
        """Take what happens; outcomes are synced together before anybody is told of them."""
        ended: list[tuple[Task, Outcome]] = []
        for event in self.crew.events(timeout):
            ended += self._heard(event)
        if ended:
            self.journal.sync()
        for task, outcome in ended:
            self.watch.ended(task, outcome)

    def _heard(self, event: Event) -> Iterator[tuple[Task, Outcome]]:
        if isinstance(event, Share):
            self.watch.share(event.number, event.share)
            return
        if event.number not in self.hands:  # of an attempt that was given up
            return
        task, post = self.hands[event.number]
        node = post.node if post else ""
        if isinstance(event, Lost):
            if self._again(task, event.node, event.why):
                return
            what = f"lost {self.retries + 1} times" if self.retries else "lost"
            event = Outcome(
                number=task.number, status="failed", failure=Failure(exit_code=1, what=what, why=event.why), node=node
            )
        elif event.status == "stopped":
            del self.hands[task.number]
            self.journal.add("stopped", n=task.number, node=node)
            self.queue.put_back(task.number, None)
            return
        elif (
            event.failure
            and event.failure.exit_code == MemoryExhausted.exit_code
            and self._again(task, node, event.failure.line)
        ):
            return
        if not event.node:
            event = event.model_copy(update={"node": node})
        del self.hands[task.number]
        self._note(task, event)
        yield task, event

    def _again(self, task: Task, node: str, why: str) -> bool:
        """Put a lost task back, if it may be begun once more."""
        if self.queue.tries[task.number - 1].count > self.retries and not self.stopping:
            return False
        del self.hands[task.number]
        self.journal.add("lost", n=task.number, node=node, why=why)
        if not self.stopping:
            self.watch.note(f"job {task.number} begins again: {why}")
        self.queue.put_back(task.number, node)
        return True

    def _ended(self, task: Task, outcome: Outcome) -> None:
        """A task that never came to a worker."""
        self._note(task, outcome)
        self.journal.sync()
        self.watch.ended(task, outcome)

    def _note(self, task: Task, outcome: Outcome) -> None:
        self.journal.ended(task, outcome, self.queue.settle(task.number))
        for status in ("done", "skipped", "failed"):
            if outcome.status == status:
                setattr(self.totals, status, getattr(self.totals, status) + 1)


@contextmanager
def _signals() -> Iterator[list[int]]:
    """The signals that asked the program to end so far; they raise nothing, so that no event is half heard."""
    caught: list[int] = []
    if threading.current_thread() is not threading.main_thread():  # only there can signals be caught
        yield caught
        return

    def note(number: int, frame: FrameType | None) -> None:
        caught.append(number)

    before: dict[int, Any] = {}
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
            before[number] = signal.signal(number, note)
    try:
        yield caught
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
