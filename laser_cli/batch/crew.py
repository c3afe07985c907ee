"""What a scheduler needs of those who draw: posts that take a task, and events that tell what became of it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from laser_cli.batch.tasks import Outcome, Task

MOST_FINISHING = 2
"""Jobs whose files a worker may still be finishing when it is given the next."""


class Lost(NamedTuple):
    """A task whose worker is gone: killed, cut off, or out of memory."""

    number: int
    node: str
    why: str


class Share(NamedTuple):
    """What share of a task is drawn."""

    number: int
    share: float


Event = Outcome | Lost | Share


@dataclass
class Post:
    """A worker as the scheduler sees it; `group`: of the task it drew last, whose model it has loaded."""

    name: str
    node: str
    group: int | None = None
    drawing: int | None = None
    finishing: set[int] = field(default_factory=set)

    @property
    def free(self) -> bool:
        """Whether it can begin another task now."""
        return self.drawing is None and len(self.finishing) < MOST_FINISHING

    @property
    def tasks(self) -> list[int]:
        """All that it has in hand."""
        return [*([] if self.drawing is None else [self.drawing]), *self.finishing]


class Crew(ABC):
    """Workers; a context that ends them."""

    @property
    @abstractmethod
    def posts(self) -> Iterable[Post]:
        """The workers that are there now; more may come."""

    @abstractmethod
    def give(self, post: Post, task: Task, *, again: bool) -> None:
        """Have a task drawn by a free post."""

    @abstractmethod
    def events(self, timeout: float) -> Iterator[Event]:
        """What has happened since the last call; waits for it at most so many seconds.

        Raises LaserError where no worker can be had at all.
        """

    @abstractmethod
    def stop(self) -> None:
        """Have everything that is being drawn saved and ended; events still come."""

    @abstractmethod
    def close(self) -> None:
        """End the workers, whatever they are doing."""

    def __enter__(self) -> Crew:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
