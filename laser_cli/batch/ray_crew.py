"""A crew of a Ray cluster: an actor a GPU, or a share of a node's CPUs, each with its models loaded once."""

from __future__ import annotations

import logging
import os
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from laser_cli.batch.crew import Crew, Event, Lost, Post
from laser_cli.batch.ray_station import MakeStation, RayStation, versions
from laser_cli.batch.remote import is_address
from laser_cli.batch.station import Setup, Station
from laser_cli.batch.tasks import Task
from laser_cli.errors import BadInputError, LaserError, NotFoundError

LOOK = 2.0
"""Seconds between two looks for nodes that have come or gone."""
CPU_SHARE = 4
"""CPUs of an actor on a node without a GPU, unless threads were asked for or the node has fewer."""
MOST_STARTS = 8
"""Actors in a row that may fail before they can draw; then the cluster is no place to draw on."""
MOST_OBJECTS = 64
"""Inputs that are kept in the cluster's memory for jobs that read the same."""
Say = Callable[[str], object]


@dataclass
class _Actor:
    post: Post
    handle: Any
    about: Any
    ready: bool = False
    calls: dict[Any, Task] = field(default_factory=dict)
    """Calls that have not returned, and their tasks."""


class RayCrew(Crew):
    """Actors on every node that has room for one; `count` at most, where that is given."""

    def __init__(
        self,
        address: str,
        setup: Setup,
        count: int | None = None,
        note: Say = lambda text: None,
        make_station: MakeStation = Station,
    ) -> None:
        """Connect to the cluster at `address`; auto is one that runs here, local one of this machine for this batch."""
        self.ray, self._ours = _connect(address)
        self.setup, self.count, self.note, self.make_station = setup, count, note, make_station
        self._actors: list[_Actor] = []
        self._objects: dict[str, Any] = {}
        self._again: dict[int, bool] = {}
        self._number = 0
        self._bad_starts = 0
        self._looked = float("-inf")
        self._stopping = False
        self._told: set[str] = set()
        self._token = _token(setup.root)
        self._grow()
        self._aside = ExitStack()
        self._aside.enter_context(told_aside())

    @property
    def posts(self) -> list[Post]:
        """The actors that can draw."""
        return [actor.post for actor in self._actors if actor.ready]

    def give(self, post: Post, task: Task, *, again: bool) -> None:
        """Have an actor draw a task; its inputs are sent only when it says that it has them not."""
        post.drawing = task.number
        self._again[task.number] = again
        actor = self._actor(post)
        actor.calls[actor.handle.draw.remote(task, again)] = task

    def events(self, timeout: float) -> Iterator[Event]:
        """What actors returned, and those that were lost."""
        self._grow()
        calls = {call: actor for actor in self._actors for call in ([] if actor.ready else [actor.about])}
        calls |= {call: actor for actor in self._actors for call in actor.calls}
        if not calls:
            time.sleep(timeout)
            return
        first, _ = self.ray.wait(list(calls), num_returns=1, timeout=timeout)
        ready = self.ray.wait(list(calls), num_returns=len(calls), timeout=0)[0] if first else []
        for call in ready:
            if calls[call] in self._actors:
                yield from self._returned(calls[call], call)

    def stop(self) -> None:
        """Tell all actors to end what they draw."""
        self._stopping = True
        for actor in self._actors:
            actor.handle.stop.remote()

    def close(self) -> None:
        """End all actors, and the cluster where it was begun for this batch."""
        self._stopping = True
        for actor in self._actors:
            self._kill(actor)
        self._actors.clear()
        self._objects.clear()
        if self._token is not None:
            self._token.unlink(missing_ok=True)
        if self._ours:
            self.ray.shutdown()
        self._aside.close()

    def wait_for(self, count: int, seconds: float = 120.0) -> None:
        """Wait until so many actors can draw, or so long."""
        until = time.monotonic() + seconds
        while len(self.posts) < count and time.monotonic() < until:
            for _ in self.events(0.5):
                raise AssertionError("there is an outcome before any task")

    def kill(self, post: Post) -> None:
        """End an actor as a crash would; for tests and benchmarks of what is lost."""
        self.ray.kill(self._actor(post).handle)

    def _actor(self, post: Post) -> _Actor:
        return next(actor for actor in self._actors if actor.post is post)

    def _returned(self, actor: _Actor, call: Any) -> Iterator[Event]:
        task = actor.calls.pop(call, None)
        try:
            value = self.ray.get(call)
        except self.ray.exceptions.RayError as error:
            yield from self._lost(actor, task, error)
            return
        if task is None:
            self._met(actor, value)
            return
        if isinstance(value, tuple):
            if not self._send(actor, task, value):
                actor.post.drawing = None
                yield Lost(task.number, actor.post.node, "an input is neither there nor here")
            return
        if value is None:  # drawn; the actor can begin the next while the files are finished
            actor.post.drawing = None
            actor.post.finishing.add(task.number)
            actor.calls[actor.handle.finish.remote(task.number)] = task
            return
        actor.post.finishing.discard(task.number)
        if actor.post.drawing == task.number:
            actor.post.drawing = None
        self._again.pop(task.number, None)
        yield value

    def _met(self, actor: _Actor, theirs: dict[str, Any]) -> None:
        """Compare an actor's versions with the driver's, as another laser draws other pictures, and what it sees."""
        ours = versions()
        actor.post.node = theirs["node"]
        if not theirs["shared"]:
            hint = "-o with a folder that all nodes see, or an address such as s3://bucket/folder"
            raise BadInputError(f"node {theirs['node']} does not see the folder {self.setup.root}", hint=hint)
        if theirs["laser"] != ours["laser"]:
            self._kill(actor)
            self._actors.remove(actor)
            what, why = f"node {theirs['node']} has another version", f"laser {theirs['laser']}, {ours['laser']} here"
            if not self.posts:
                raise LaserError(what, why=why, hint=f"pip install laser-cli=={ours['laser']} on every node")
            self.note(f"{what} and is left out: {why}")
            self.count = len(self._actors)
            return
        if theirs["torch"] != ours["torch"] and theirs["node"] not in self._told:
            self._told.add(theirs["node"])
            self.note(f"node {theirs['node']} has torch {theirs['torch']}, {ours['torch']} here: pictures may differ")
        actor.ready = True
        self._bad_starts = 0

    def _lost(self, actor: _Actor, task: Task | None, error: Exception) -> Iterator[Event]:
        """An actor that is gone or cannot be reached: what it had in hand is lost with it."""
        why = _first_line(error)
        if task is None:
            self._bad_starts += 1
            if self._bad_starts >= MOST_STARTS:
                hint = "laser-cli on every node, in the version of this machine"
                raise LaserError("no worker could be started on the cluster", why=why, hint=hint) from error
        tasks = [*([task] if task else []), *actor.calls.values()]
        self._kill(actor)
        self._actors.remove(actor)
        self._looked = float("-inf")  # another takes its place at once
        for each in {each.number: each for each in tasks}.values():
            yield Lost(each.number, actor.post.node, f"its worker was lost: {why}")

    def _send(self, actor: _Actor, task: Task, digests: tuple[str, ...]) -> bool:
        """Have a task drawn with inputs that are sent along, as objects of the cluster's memory."""
        # whoever has not one of them has most likely none
        here = {i.sha256: i.path for i in task.read_job().inputs if i.is_content and i.path.is_file()}
        if not set(digests) <= here.keys():
            return False
        objects = [self._object(digest, path) for digest, path in here.items()]
        call = actor.handle.draw.remote(task, self._again.get(task.number, False), tuple(here), *objects)
        actor.calls[call] = task
        return True

    def _object(self, digest: str, path: Path) -> Any:
        if digest not in self._objects:
            while len(self._objects) >= MOST_OBJECTS:
                del self._objects[next(iter(self._objects))]
            self._objects[digest] = self.ray.put(path.read_bytes())
        return self._objects[digest]

    def _grow(self) -> None:
        """Begin an actor for every GPU or share of CPUs that has none; nodes may have come since the last look."""
        if self._stopping or time.monotonic() - self._looked < LOOK:
            return
        self._looked = time.monotonic()
        nodes = [node for node in self.ray.nodes() if node["Alive"]]
        gpus = sum(int(node["Resources"].get("GPU", 0)) for node in nodes)
        sizes = [int(node["Resources"].get("CPU", 0)) for node in nodes if node["Resources"].get("CPU", 0) >= 1]
        share = self.setup.threads or min([CPU_SHARE, *sizes])
        room = gpus or sum(size // share for size in sizes)
        wanted = min(room, self.count) if self.count else room
        needs = {"num_gpus": 1, "num_cpus": 0} if gpus else {"num_cpus": share}
        for _ in range(wanted - len(self._actors)):
            self._start(needs, share)

    def _start(self, needs: dict[str, int], share: int) -> None:
        self._number += 1
        kind = self.ray.remote(RayStation).options(
            **needs, max_concurrency=4, max_restarts=0, max_task_retries=0, scheduling_strategy="SPREAD"
        )
        threads = self.setup.threads or (None if "num_gpus" in needs else share)
        setup = Setup(self.setup.root, threads, self.setup.remember)
        handle = kind.remote(setup, self.make_station, os.getcwd())
        name = f"actor {self._number}"
        self._actors.append(_Actor(Post(name, name), handle, handle.about.remote(str(self._token or ""))))

    def _kill(self, actor: _Actor) -> None:
        try:
            self.ray.kill(actor.handle)
        except (self.ray.exceptions.RayError, ValueError):  # it is gone already
            return


@contextmanager
def told_aside() -> Iterator[None]:
    """What Ray prints by itself, of nodes that died say, goes to stderr: stdout is for results."""
    with redirect_stdout(sys.stderr):
        yield


def _token(root: str) -> Path | None:
    """A file in the folder of the outputs, by which workers tell whether they see it; None where it is an address."""
    if is_address(root):
        return None
    token = Path(root, f".laser-shared-{uuid.uuid4().hex[:8]}")
    token.touch()
    return token


def _first_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0][:300] if lines else type(error).__name__


def _connect(address: str) -> tuple[Any, bool]:
    """Ray, connected, and whether to disconnect afterwards; NotFoundError where there is no Ray or no cluster."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing about a run leaves the machine
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    try:
        import ray
    except ImportError as error:
        why = f"Ray cannot be imported: {_first_line(error)}"
        raise NotFoundError("--ray needs Ray", why=why, hint="pip install 'laser-cli[ray]'") from error
    if ray.is_initialized():
        return ray, False
    try:
        more: dict[str, Any] = {"include_dashboard": False} if address == "local" else {}
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR, **more)
    except (ConnectionError, ValueError, RuntimeError, TimeoutError) as error:
        hint = "ray start --head on this machine, or --ray local"
        raise NotFoundError(f"there is no Ray cluster at {address}", why=_first_line(error), hint=hint) from error
    return ray, True
