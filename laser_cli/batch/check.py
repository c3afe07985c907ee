"""The whole batch checked before anything is drawn: every row built, every bad one named, no output named twice."""

from __future__ import annotations

import contextlib
import hashlib
import os
import time
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

from laser_cli.batch.build import build
from laser_cli.batch.expand import MOST_JOBS, expand
from laser_cli.batch.remote import Place
from laser_cli.batch.rows import Row
from laser_cli.batch.said import FieldError, Given, merged, verb_of
from laser_cli.batch.spool import Spool
from laser_cli.batch.targets import check_outputs
from laser_cli.batch.tasks import Task
from laser_cli.errors import BadInputError, LaserError
from laser_cli.jobs.model import options_of
from laser_cli.jobs.progress import SILENT, Progress
from laser_cli.jobs.settings import ModelChoice

HEARTBEAT = 10.0
"""Seconds between two lines that say how many jobs are checked."""


class Revisions:
    """The weights that settings name, each looked for once; None where they are not on this machine and need not be."""

    def __init__(self, needed: bool = True) -> None:
        self.needed = needed
        self._known: dict[str, str | LaserError | None] = {}

    def __call__(self, settings: ModelChoice) -> str | None:
        """The revision; raises NotFoundError for a model that is nowhere."""
        from laser_cli.models.find import cached_model, find_model

        options = options_of(settings)
        key = repr((settings.model, options))
        if key not in self._known:
            where = (settings.model, options.variant, options.revision)
            try:
                found = find_model(*where) if self.needed else cached_model(*where)
                self._known[key] = options.key(found) if found else None
            except LaserError as error:
                self._known[key] = error
        known = self._known[key]
        if isinstance(known, LaserError):
            raise known
        return known


class BadRows(BadInputError):
    """All that is wrong with a batch, each with its line and field."""

    def __init__(self, errors: list[LaserError], name: str) -> None:
        rest = "\n".join(_told(error) for error in errors)
        count = f"{len(errors)} things are" if len(errors) > 1 else "something is"
        super().__init__(f"{count} wrong in {name}\n{rest}", hint="nothing was drawn; --dry-run checks again")
        self.errors = tuple(errors)


def _told(error: LaserError) -> str:
    parts = [error.what, error.why, f"try: {error.hint}" if error.hint else ""]
    return "; ".join(part for part in parts if part)


def check(
    rows: Iterable[Row | BadInputError],
    name: str,
    given: Given,
    spool: Spool,
    place: Place,
    *,
    finished: Mapping[str, tuple[int, ...]] = {},
    revisions: Callable[[ModelChoice], str | None] | None = None,
    progress: Progress = SILENT,
) -> int:
    """Build every row into the spool; returns how many jobs are finished already, by key and the sizes of their files.

    Raises BadRows with all that is wrong. Folders that outputs need are made, and removed again if anything is.
    """
    revisions = revisions or Revisions()
    errors: list[LaserError] = []
    made: list[Path] = []
    taken = _Taken()
    skipped = 0
    heard = time.monotonic()
    number = 0
    for number, item in enumerate(_singles(rows, given, errors), start=1):
        if number > MOST_JOBS:
            raise BadInputError(f"{name} stands for over {MOST_JOBS:,} jobs")
        try:
            task = build(item, number, _Warned(progress, item), revision_of=revisions)
            taken.add(task, place.folder)
            current = finished.get(task.key)
            done = current is not None and place.sizes(task.paths) == current
            if not done:
                for path in task.paths:
                    made += _make(place.folder / path.parent)
                _check_outputs(task, place.folder, item)
        except FieldError as error:
            errors += [error, *error.others]
            continue
        if not errors:
            spool.add(task, finished=done)
            skipped += done
        if time.monotonic() - heard > HEARTBEAT:
            heard = time.monotonic()
            progress.note(f"checked {number:,} jobs")
    errors += taken.errors()
    if errors:
        for folder in reversed(made):
            with contextlib.suppress(OSError):
                folder.rmdir()
        raise BadRows(errors, name)
    if not number:
        raise BadInputError(f"{name} has no jobs")
    return skipped


class _Warned(Progress):
    """Warnings of building a row, with where it stands; notes are left to the run."""

    def __init__(self, progress: Progress, row: Row) -> None:
        super().__init__()
        self.progress, self.row = progress, row

    def warn(self, message: str) -> None:
        """Pass it on."""
        self.progress.warn(f"{self.row.at()}: {message}")


def _singles(rows: Iterable[Row | BadInputError], given: Given, errors: list[LaserError]) -> Iterator[Row]:
    """Rows that stand for one job each; what is wrong with others goes to `errors`."""
    for row in rows:
        if isinstance(row, BadInputError):
            errors.append(row)
            continue
        try:
            verb = verb_of(row)
            yield from expand(merged(row, verb, given), verb)
        except FieldError as error:
            errors += [error, *error.others]
        except BadInputError as error:
            errors.append(error)


def _check_outputs(task: Task, root: Path, row: Row) -> None:
    try:
        check_outputs(task, root)
    except LaserError as error:
        key = next((key for key in ("out", "frames_dir", "sheet", "report") if key in row.values), None)
        raise FieldError(error, row, key) from error


def _make(folder: Path) -> list[Path]:
    """Make a folder and those above it; returns the ones that were not there."""
    missing = []
    here = folder
    while not here.exists() and here != here.parent:
        missing.append(here)
        here = here.parent
    with contextlib.suppress(OSError):  # checking the outputs tells what is wrong
        folder.mkdir(parents=True, exist_ok=True)
    return missing[::-1]


class _Taken:
    """Output names of a batch and the files that it reads, as digests of 16 bytes."""

    def __init__(self) -> None:
        self.outputs: dict[bytes, tuple[int, str]] = {}
        self.read: dict[bytes, tuple[int, str]] = {}
        self.twice: list[LaserError] = []

    def add(self, task: Task, root: Path) -> None:
        """Note a task's files; a name that an earlier job has is an error."""
        files = [path for path in (*task.paths, task.outputs.depfile, task.outputs.preview) if path]
        for path in files:
            key = _digest(root / path)
            first = self.outputs.setdefault(key, (task.number, task.where))
            if first[0] != task.number:
                what = f"{task.where}: out: {path} is the name of job {first[0]} too ({first[1]})"
                self.twice.append(BadInputError(what, hint="{n}, {seed} or another field in the name"))
        for path in task.read:
            self.read.setdefault(_digest(path), (task.number, f"{task.where}: {path}"))

    def errors(self) -> list[LaserError]:
        """Names that collide, and outputs that another job of the batch reads."""
        both = [(self.outputs[key], where) for key, where in self.read.items() if key in self.outputs]
        crossed = [
            BadInputError(f"{where[1]} would be replaced", why=f"it is an output of job {out[0]} ({out[1]})")
            for out, where in both
        ]
        return [*self.twice, *crossed]


def _digest(path: Path) -> bytes:
    """A file by its real name; letters that differ by case alone count as equal, as on many file systems."""
    real = unicodedata.normalize("NFC", os.path.realpath(path)).casefold()
    return hashlib.sha256(real.encode("utf-8", "surrogateescape")).digest()[:16]
