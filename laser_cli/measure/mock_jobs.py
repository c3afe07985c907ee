"""Mock jobs of a batch: work that sleeps, and writes a file that tells whether it is whole."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from laser_cli.batch.crew import Crew, Event, Post
from laser_cli.batch.journal import JOBS
from laser_cli.batch.spool import Spool
from laser_cli.batch.station import Setup
from laser_cli.batch.tasks import Outcome, Task
from laser_cli.jobs.outputs import Outputs
from laser_cli.output.atomic import staged

TWICE = "twice.log"
"""The file in which a job is named that wrote over a finished file."""


class MockStation:
    """Sleeps for as many seconds as a task's label says, and writes a file that is whole or is not."""

    def __init__(self, setup: Setup) -> None:
        self.root = Path(setup.root)

    def draw(self, task: Task, *, again: bool = False, tick: Any = None) -> Outcome:
        """Do a task."""
        begun = time.monotonic()
        path = self.root / task.paths[0]
        if again and path.exists():
            return self._outcome(task, "skipped", begun)
        time.sleep(float(task.label))
        path.parent.mkdir(exist_ok=True)
        with staged(path) as part:
            part.write_text(content(task.number))
            if path.exists():
                with (self.root / TWICE).open("a") as log:
                    log.write(f"{task.number}\n")
        return self._outcome(task, "done", begun)

    def finish(self, number: int) -> Outcome:
        """There is nothing to finish."""
        raise AssertionError(number)

    def stop(self) -> None:
        """It is short."""

    def free_mib(self) -> float:
        """It needs none."""
        return 0.0

    def _outcome(self, task: Task, status: Any, begun: float) -> Outcome:
        path = self.root / task.paths[0]
        sizes, seconds = (path.stat().st_size,), time.monotonic() - begun
        return Outcome(number=task.number, status=status, paths=(str(task.paths[0]),), sizes=sizes, seconds=seconds)


def content(number: int) -> str:
    """What a mock job writes."""
    return f"{number} {'x' * 2000} {number}"


def mock_spool(folder: Path, jobs: int, seconds: float = 0.0) -> Spool:
    """So many tasks that sleep."""
    folder.mkdir(parents=True, exist_ok=True)
    spool = Spool(folder / JOBS)
    for number in range(1, jobs + 1):
        outputs = Outputs(out=Path(str(number // 1000), f"{number}.out"))
        spool.add(Task(number=number, verb="mock", job="", outputs=outputs, key=str(number), label=str(seconds)))
    return spool


class InstantCrew(Crew):
    """Draws in this process, at once; for what a driver costs by itself."""

    def __init__(self, root: Path) -> None:
        self.station = MockStation(Setup(str(root)))
        self.post = Post("here", "here")
        self._events: deque[Event] = deque()

    @property
    def posts(self) -> list[Post]:
        """One."""
        return [self.post]

    def give(self, post: Post, task: Task, *, again: bool) -> None:
        """Draw it."""
        self._events.append(self.station.draw(task.model_copy(update={"label": "0"}), again=again))

    def events(self, timeout: float) -> Iterator[Event]:
        """What was drawn."""
        while self._events:
            yield self._events.popleft()

    def stop(self) -> None:
        """Nothing runs."""

    def close(self) -> None:
        """Nothing runs."""
