"""Which task is next: those of a model and size together, plans of language models made ahead of the drawing."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

from laser_cli.batch.spool import Spool
from laser_cli.batch.tasks import Failure, Outcome, Task

AHEAD = 3
"""Plans that are made before their jobs' turn."""
Plan = Callable[[Task], Task]


@dataclass
class Tries:
    """How often a task was begun, and on which nodes it was lost."""

    count: int = 0
    avoid: set[str] = field(default_factory=set)


class TaskQueue:
    """The places of tasks that are still to be drawn, by group."""

    def __init__(self, spool: Spool, plan: Plan) -> None:
        self.spool, self._plan = spool, plan
        self._groups: dict[int, deque[int]] = {}
        self._again: deque[int] = deque()
        self.tries: dict[int, Tries] = {}
        for place in range(len(spool)):
            if not spool.finished[place]:
                self._groups.setdefault(spool.groups[place], deque()).append(place)
        self._left = sum(map(len, self._groups.values()))
        self._planner = ThreadPoolExecutor(1, "laser-planner")
        self._plans: dict[int, Future[Task]] = {}

    def __len__(self) -> int:
        return self._left

    def take(self, group: int | None, node: str, nodes: Collection[str] = ()) -> tuple[Task, int] | Outcome | None:
        """The next task for a worker of a node that drew this group last, and its group.

        None while there is none for it, an Outcome where the plan failed. `nodes`: all that there are; a task that was
        lost on some waits for one of the others.
        """
        for place in self._order(group):
            avoid = self.tries[place].avoid if place in self.tries else set()
            if node in avoid and not avoid.issuperset(nodes):
                continue
            if self.spool.waiting[place] and not self._planned(place):
                continue
            self._remove(place)
            try:
                task = self._plans.pop(place).result() if self.spool.waiting[place] else self.spool.read(place)
            except Exception as error:  # whatever a planner raises, its job alone fails
                return Outcome(number=place + 1, status="failed", failure=Failure.of(error))
            self.tries.setdefault(place, Tries()).count += 1
            return task, self.spool.groups[place]
        return None

    def put_back(self, number: int, node: str | None) -> None:
        """A task is to be begun again, away from a node if another has room."""
        place = number - 1
        if node is not None:
            self.tries.setdefault(place, Tries()).avoid.add(node)
        self._again.append(place)
        self._left += 1

    def settle(self, number: int) -> int:
        """Forget a task that has its outcome; returns how often it was begun."""
        return self.tries.pop(number - 1, Tries()).count

    def close(self) -> None:
        """Make no more plans."""
        self._planner.shutdown(wait=False, cancel_futures=True)

    def _order(self, group: int | None) -> Iterator[int]:
        """Places in the order of their turn: what was lost, the worker's own group, the largest of the others."""
        yield from tuple(self._again)
        own = self._groups.get(group) if group is not None else None
        others = sorted((g for g in self._groups if g != group), key=lambda g: -len(self._groups[g]))
        for places in ([own] if own else []) + [self._groups[g] for g in others]:
            for index in range(min(len(places), AHEAD)):
                yield places[index]

    def _planned(self, place: int) -> bool:
        """Whether a task's plan is made; if it is not begun, it is begun now."""
        if place not in self._plans and len(self._plans) < AHEAD:
            self._plans[place] = self._planner.submit(self._plan, self.spool.read(place))
        return place in self._plans and self._plans[place].done()

    def _remove(self, place: int) -> None:
        if place in self._again:
            self._again.remove(place)
        else:
            group = self.spool.groups[place]
            self._groups[group].remove(place)
            if not self._groups[group]:
                del self._groups[group]
        self._left -= 1
