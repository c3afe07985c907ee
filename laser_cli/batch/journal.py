"""The journal of a batch, beside its outputs: an event a line, appended and synced to the disk, never rewritten."""

from __future__ import annotations

import json
import os
import time
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from filelock import FileLock, Timeout

from laser_cli.batch.tasks import Outcome, Task, json_line
from laser_cli.errors import BadInputError, LaserError, UsageError, reason

VERSION = 1
FOLDER = ".laser-batch"
FILE, LOCK, JOBS = "journal.jsonl", "lock", "jobs.jsonl"


def state_folder(root: Path | str) -> Path:
    """Where the journal of a batch lies: in a hidden folder beside its outputs; of an address, in the user's own."""
    if "://" not in str(root):
        return Path(root) / FOLDER
    import hashlib

    from laser_cli.jobs.folders import state_folder as own

    folder = own()
    if folder is None:
        raise LaserError("there is no place for the journal", why="no home folder can be found", hint="--state DIR")
    return folder / "batch" / hashlib.sha256(str(root).encode()).hexdigest()[:16]


class Journal:
    """Appends events; what `sync` was called for survives a power cut."""

    def __init__(self, folder: Path) -> None:
        """Lock the folder for this batch; UsageError if another runs in it."""
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.path = folder, folder / FILE
        self._lock = FileLock(folder / LOCK)
        try:
            self._lock.acquire(timeout=0)
        except Timeout as error:
            why = "two would draw the same files"
            hint = f"wait for it (laser batch status {folder.parent}), or another -o"
            raise UsageError(f"a batch is running in {folder.parent} already", why=why, hint=hint) from error
        self._descriptor: int | None = None
        self._dirty = False

    def begin(self, jobs: int, **about: Any) -> None:
        """Open the file for a run of so many jobs; what earlier runs left stays in it."""
        new = not self.path.exists()
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND
        self._descriptor = os.open(self.path, flags, 0o644)
        if not new and os.lseek(self._descriptor, 0, os.SEEK_END):
            os.lseek(self._descriptor, -1, os.SEEK_END)
            if os.read(self._descriptor, 1) != b"\n":  # the last run was killed in the middle of a line
                os.write(self._descriptor, b"\n")
        self.add("begin", version=VERSION, run=uuid.uuid4().hex[:12], jobs=jobs, **about)
        self.sync()
        if new:
            _sync_folder(self.folder)

    def add(self, event: str, **told: Any) -> None:
        """Append an event; `sync` makes it last."""
        assert self._descriptor is not None
        line = json_line({"event": event, "time": round(time.time(), 3), **told}).encode("utf-8", "backslashreplace")
        while line:
            line = line[os.write(self._descriptor, line) :]
        self._dirty = True

    def started(self, task: Task, attempt: int, node: str) -> None:
        """A task was given to a worker."""
        self.add("start", n=task.number, attempt=attempt, node=node, out=_out(task))

    def ended(self, task: Task, outcome: Outcome, attempts: int) -> None:
        """A task has an outcome."""
        told: dict[str, Any] = outcome.model_dump(mode="json", exclude={"number", "status"}, exclude_defaults=True)
        about: dict[str, Any] = {"id": task.id} if task.id is not None else {}
        about |= {"label": task.label, "where": task.where, "attempts": attempts}
        self.add(outcome.status, n=task.number, key=task.key, **about, **told)

    def sync(self) -> None:
        """What was added so far is on the disk when this returns."""
        if self._dirty and self._descriptor is not None:
            os.fsync(self._descriptor)
            self._dirty = False

    def close(self) -> None:
        """Sync, close and give the folder free."""
        if self._descriptor is not None:
            self.sync()
            os.close(self._descriptor)
            self._descriptor = None
        self._lock.release()


def _out(task: Task) -> str:
    return str(task.paths[0]) if task.paths else ""


def _sync_folder(folder: Path) -> None:
    """Make the file's own entry last; where folders cannot be opened (Windows) they need not be."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(descriptor)
    except OSError:
        pass
    finally:
        os.close(descriptor)


def located_events(file: BinaryIO) -> Iterator[tuple[int, dict[str, Any]]]:
    """The events of an open journal and where their lines begin; a line that a kill cut off is left out."""
    offset = 0
    for line in file:
        begin, offset = offset, offset + len(line)
        try:
            event = json.loads(line)
        except ValueError:
            continue
        if isinstance(event, dict) and isinstance(event.get("event"), str):
            yield begin, event


def read_events(path: Path) -> Iterator[dict[str, Any]]:
    """The events of a journal in their order.

    Raises BadInputError if there is no journal.
    """
    try:
        with path.open("rb") as file:
            yield from (event for _, event in located_events(file))
    except FileNotFoundError as error:
        hint = "the folder that was given to laser batch -o"
        raise BadInputError(f"there is no batch in {path.parent.parent}", why=f"no {path}", hint=hint) from error
    except OSError as error:
        raise BadInputError(f"cannot read {path}", why=reason(error)) from error


def finished_jobs(path: Path) -> dict[str, tuple[int, ...]]:
    """The jobs that any run finished: key to the sizes of its files. Nothing without a journal."""
    if not path.exists():
        return {}
    return {
        str(event["key"]): tuple(event.get("sizes", ()))
        for event in read_events(path)
        if event["event"] in ("done", "skipped") and "key" in event
    }


@dataclass
class Progressed:
    """How far a batch is, by its journal."""

    jobs: int = 0
    done: int = 0
    skipped: int = 0
    failed: list[dict[str, Any]] = field(default_factory=list)
    running: dict[int, dict[str, Any]] = field(default_factory=dict)
    begun: float = 0.0
    last: float = 0.0
    ended: str | None = None
    alive: bool = False

    @property
    def left(self) -> int:
        """Jobs that have no outcome yet."""
        return self.jobs - self.done - self.skipped - len(self.failed)

    @property
    def rate(self) -> float:
        """Jobs a second, of those drawn in this run."""
        drawn = self.done + len(self.failed)
        return drawn / (self.last - self.begun) if drawn and self.last > self.begun else 0.0

    @property
    def state(self) -> str:
        """In a word: running, done, failed, interrupted, or broken off."""
        return self.ended or ("running" if self.alive else "broken off")


def progressed(folder: Path) -> Progressed:
    """What the journal of a folder says of its last run."""
    seen = Progressed()
    for event in read_events(folder / FILE):
        kind, number = event["event"], int(event.get("n", 0))
        if kind == "begin":
            seen = Progressed(jobs=int(event["jobs"]), skipped=int(event.get("skipped", 0)), begun=event["time"])
        elif kind == "start":
            seen.running[number] = event
        elif kind == "end":
            seen.ended, seen.running = event["state"], {}
        elif kind in ("done", "skipped", "failed", "stopped", "lost"):
            seen.running.pop(number, None)
            seen.done += kind in ("done", "skipped")
            seen.failed += [event] if kind == "failed" else []
        seen.last = event["time"]
    seen.alive = seen.ended is None and _is_locked(folder)
    return seen


def _is_locked(folder: Path) -> bool:
    lock = FileLock(folder / LOCK)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return True
    lock.release()
    return False


def summary_of(seen: Progressed) -> Mapping[str, Any]:
    """The state of a batch as `laser batch status --json` prints it."""
    return {
        "state": seen.state,
        "jobs": seen.jobs,
        "done": seen.done,
        "skipped": seen.skipped,
        "failed": len(seen.failed),
        "left": seen.left,
        "rate": round(seen.rate, 4),
        "eta_seconds": round(seen.left / seen.rate, 1) if seen.rate and seen.alive else None,
        "running": [
            {key: event.get(key) for key in ("n", "out", "node", "attempt", "time")} for event in seen.running.values()
        ],
        "failures": [
            {"n": event["n"], "where": event.get("where"), "error": event.get("failure")} for event in seen.failed
        ],
    }
