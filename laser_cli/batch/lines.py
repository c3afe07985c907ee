"""The worker that stays: a job a line in, a result a line out, until the input ends; for programs and their windows."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from laser_cli.batch.build import build
from laser_cli.batch.check import Revisions
from laser_cli.batch.expand import expand
from laser_cli.batch.rows import Row, json_object
from laser_cli.batch.said import Given, merged, verb_of
from laser_cli.batch.station import InputsMissing, Setup, Station
from laser_cli.batch.targets import check_outputs
from laser_cli.batch.tasks import Failure, Outcome, Task, json_line
from laser_cli.errors import BadInputError
from laser_cli.jobs.progress import SILENT, Progress

VERSION = 1
WAITING = 16
"""Jobs that are read ahead; then the sender waits."""


class Worker:
    """Draws jobs as their lines come; `write` takes the results' lines, whole ones, from several threads."""

    def __init__(
        self, given: Given, root: Path, threads: int | None, write: Callable[[str], object], progress: Progress = SILENT
    ) -> None:
        self.given, self.root, self.write, self.progress = given, root, write, progress
        self.station = Station(Setup(str(root.resolve()), threads))
        self.revisions = Revisions()
        self.failed = 0
        self._lock = threading.Lock()

    def run(self, lines: Iterable[str]) -> int:
        """Draw until the lines end; returns how many jobs failed. An interrupt saves what is drawn, and is raised."""
        room = threading.BoundedSemaphore(WAITING)

        def work(number: int, text: str) -> None:
            try:
                self._work(number, text)
            finally:
                room.release()

        with ThreadPoolExecutor(2, "laser-draw") as pool:
            try:
                for number, text in enumerate((line for line in lines if line.strip()), start=1):
                    room.acquire()
                    pool.submit(work, number, text)
            except BaseException:
                self.station.stop()
                raise
        return self.failed

    def _work(self, number: int, text: str) -> None:
        told: dict[str, Any] = {"version": VERSION, "n": number}
        try:
            values = json_object(text, f"line {number}")
            told |= {"id": values["id"]} if "id" in values else {}
            task = self._task(values, number)
            outcome = self.station.draw(task) or self.station.finish(task.number)
            told |= self._result(task, outcome)
        except InputsMissing:
            told |= self._error(Failure(exit_code=5, what="an input changed while the job was read"))
        except Exception as error:  # whatever a job is refused for, the next one is read
            told |= self._error(Failure.of(error))
        with self._lock:
            self.failed += told["status"] == "failed"
            self.write(json_line(told))

    def _task(self, values: dict[str, Any], number: int) -> Task:
        row = Row(values, f"line {number}")
        verb = verb_of(row)
        rows = list(expand(merged(row, verb, self.given), verb))
        if len(rows) != 1:
            raise BadInputError("a line is one job here", why=f"this one stands for {len(rows)}")
        task = build(rows[0], number, self.progress, revision_of=self.revisions, planned=True)
        for path in task.paths:
            (self.root / path).parent.mkdir(parents=True, exist_ok=True)
        check_outputs(task, self.root)
        return task

    def _result(self, task: Task, outcome: Outcome) -> dict[str, Any]:
        if outcome.failure:
            return self._error(outcome.failure)
        return {
            "status": outcome.status,
            "paths": [str(self.root / path) for path in task.paths] if outcome.status != "stopped" else [],
            "seconds": outcome.seconds,
            "evaluations": outcome.evaluations,
            "fingerprint": outcome.fingerprint,
            "warnings": list(outcome.warnings),
            **outcome.told,
        }

    def _error(self, failure: Failure) -> dict[str, Any]:
        return {"status": "failed", "paths": [], "error": failure.model_dump()}
