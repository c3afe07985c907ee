"""Checked tasks in a file: of each only its place is kept in memory, so that batches may be of any length."""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from laser_cli.batch.tasks import Task


class Spool:
    """Tasks by their place in the batch, from 0; written once, then read."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.groups = array("L")
        """The number of each task's group."""
        self.waiting = bytearray()
        """Whether a task's plan is still to be made."""
        self.finished = bytearray()
        """Whether a task is done already."""
        self._offsets = array("Q")
        self._names: dict[str, int] = {}
        self._file: BinaryIO = path.open("w+b")

    def __len__(self) -> int:
        return len(self._offsets)

    def __iter__(self) -> Iterator[Task]:
        return (self.read(place) for place in range(len(self)))

    def add(self, task: Task, *, finished: bool = False) -> None:
        """Write a task behind the others."""
        self._offsets.append(self._file.seek(0, 2))
        self.groups.append(self._names.setdefault(task.group, len(self._names)))
        self.waiting.append(task.row is not None)
        self.finished.append(finished)
        self._file.write(task.model_dump_json().encode("utf-8") + b"\n")

    def read(self, place: int) -> Task:
        """The task at a place."""
        self._file.seek(self._offsets[place])
        return Task.model_validate_json(self._file.readline())

    def close(self) -> None:
        """Close the file, which stays."""
        self._file.close()
