"""A crew of this machine: processes that each keep their models loaded, as many as were asked for and memory allows."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from laser_cli.batch.crew import MOST_FINISHING, Crew, Event, Lost, Post, Share
from laser_cli.batch.memory import SPARE
from laser_cli.batch.station import InputsMissing, Setup, Station
from laser_cli.batch.tasks import Failure, Outcome, Task

STOP = "stop"
EVERY = 0.5
"""Seconds between two messages that tell what share of a task is drawn."""
PATIENCE = 5.0
"""Seconds that a worker which has nothing to do may take to end."""
GPUS = Path("/proc/driver/nvidia/gpus")
Say = Callable[[str], object]
MakeStation = Callable[[Setup], Any]


@dataclass
class _Worker:
    post: Post
    process: Any
    pipe: Connection


class ProcessCrew(Crew):
    """Up to `count` processes. The first begins at once; what it takes of memory decides whether others follow."""

    def __init__(
        self, setup: Setup, count: int = 1, note: Say = lambda text: None, make_station: MakeStation = Station
    ) -> None:
        self.setup, self.count, self.note, self.make_station = setup, count, note, make_station
        self._workers: list[_Worker] = []
        self._begun = 0
        self._stopping = False
        self._told = False
        self._start()

    @property
    def posts(self) -> list[Post]:
        """The processes that live."""
        return [worker.post for worker in self._workers]

    def give(self, post: Post, task: Task, *, again: bool) -> None:
        """Send a task to a process."""
        post.drawing = task.number
        worker = self._worker(post)
        with suppress(OSError):  # it has died: its end is an event
            worker.pipe.send((task, again))

    def events(self, timeout: float) -> Iterator[Event]:
        """Messages of the processes, and their deaths."""
        waiting = {worker.pipe: worker for worker in self._workers}
        for pipe in wait(list(waiting), timeout):
            worker = waiting[pipe]  # type: ignore[index]
            try:
                while worker.pipe.poll():
                    yield from self._heard(worker, worker.pipe.recv())
            except (EOFError, OSError):
                yield from self._buried(worker)

    def stop(self) -> None:
        """Tell all processes to end what they draw."""
        self._stopping = True
        for worker in self._workers:
            try:
                worker.pipe.send(STOP)
            except OSError:
                continue

    def close(self) -> None:
        """End all processes: those that are idle by themselves, others by force."""
        self._stopping = True
        for worker in self._workers:
            worker.pipe.close()
        until = time.monotonic() + PATIENCE
        for worker in self._workers:
            worker.process.join(max(0.0, until - time.monotonic()) if not worker.post.tasks else 0.0)
            if worker.process.is_alive():
                worker.process.kill()
                worker.process.join()
        self._workers.clear()

    def _worker(self, post: Post) -> _Worker:
        return next(worker for worker in self._workers if worker.post is post)

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        here, there = context.Pipe()
        number = self._begun
        self._begun += 1
        threads = self.setup.threads or (max(1, _cores() // self.count) if self.count > 1 else None)
        setup = Setup(self.setup.root, threads, self.setup.remember)
        arguments = (there, setup, self.make_station, _card(number))
        process = context.Process(target=serve, args=arguments, name=f"laser-batch-{number}", daemon=True)
        process.start()
        there.close()
        self._workers.append(_Worker(Post(f"worker {number + 1}", f"worker {number + 1}"), process, here))

    def _heard(self, worker: _Worker, message: Any) -> Iterator[Event]:
        post = worker.post
        if isinstance(message, Share):
            yield message
        elif isinstance(message, int):  # drawn, its files still to be finished
            post.finishing.add(message)
            post.drawing = None
        else:
            outcome, free = message
            _forget(post, outcome.number)
            yield outcome
            self._grow(outcome.peak_mib, free)

    def _grow(self, peak: float, free: float) -> None:
        """Start another process if one more of what this one took fits into what is free; by `count` at most."""
        if len(self._workers) >= self.count or self._stopping or not peak:
            return
        if len(self._workers) < len(_cards()) or free >= SPARE * peak:
            self._start()
        elif not self._told:
            self._told = True
            self.note(
                f"{len(self._workers)} of {self.count} jobs at a time: one takes {peak / 1024:.1f} GiB, "
                f"and {free / 1024:.1f} GiB are free"
            )

    def _buried(self, worker: _Worker) -> Iterator[Event]:
        """What a process had in hand when it died; another takes its place, unless memory ran out beside others."""
        worker.process.join(PATIENCE)
        self._workers.remove(worker)
        worker.pipe.close()
        code = worker.process.exitcode
        killed = code == -getattr(signal, "SIGKILL", 9)
        why = f"its worker ended with exit code {code}" if not killed else "its worker was killed, perhaps for memory"
        if killed and len(self._workers):
            self.count = max(1, len(self._workers))
            self.note(f"a worker was killed, perhaps for memory: going on with {self.count} at a time")
        if not self._workers and not self._stopping:
            self._start()
        for number in worker.post.tasks:
            yield Lost(number, worker.post.node, why)


def _failed(task: Task, failure: Failure) -> Outcome:
    return Outcome(number=task.number, status="failed", failure=failure)


def _forget(post: Post, number: int) -> None:
    post.finishing.discard(number)
    if post.drawing == number:
        post.drawing = None


def _cores() -> int:
    from laser_cli.engine.workers import available_cores

    return available_cores()


def _cards() -> list[str]:
    """The cards that processes are laid on in turn, as CUDA_VISIBLE_DEVICES names them."""
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    if named is not None:
        return [card for card in named.split(",") if card.strip()]
    return [str(number) for number, _ in enumerate(GPUS.iterdir())] if GPUS.is_dir() else []


def _card(number: int) -> str | None:
    cards = _cards()
    return cards[number % len(cards)] if len(cards) > 1 else None


def serve(pipe: Connection, setup: Setup, make_station: MakeStation, card: str | None) -> None:
    """A worker process: draws the tasks that come through the pipe until that ends or its driver dies."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the driver decides what a Ctrl-C means
    if os.name == "posix":
        os.dup2(2, 1)  # what libraries print is no result
    if card is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = card
    station, lock = make_station(setup), threading.Lock()

    def send(message: Any) -> None:
        try:
            with lock:
                pipe.send(message)
        except OSError:  # the driver is gone
            station.stop()

    def draw(task: Task, again: bool) -> None:
        last = time.monotonic()

        def tick(share: float) -> None:
            nonlocal last
            if time.monotonic() - last >= EVERY:
                last = time.monotonic()
                send(Share(task.number, share))

        try:
            outcome = station.draw(task, again=again, tick=tick)
            if outcome is None:
                send(task.number)
                outcome = station.finish(task.number)
            send((outcome, station.free_mib()))
        except InputsMissing:
            what = "an input has changed since the batch was checked"
            send((_failed(task, Failure(exit_code=5, what=what, hint="run the batch again")), 0.0))
        except BaseException as error:  # the driver waits for an answer to every task
            send((_failed(task, Failure.of(error)), 0.0))

    with ThreadPoolExecutor(MOST_FINISHING + 1, "laser-draw") as pool:
        while True:
            try:
                message = pipe.recv()
            except (EOFError, OSError):
                station.stop()
                break
            if message == STOP:
                station.stop()
            else:
                pool.submit(draw, *message)
