"""A batch from its rows to its summary: checked, drawn by a crew, noted in the journal, told."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from laser_cli.batch.build import build
from laser_cli.batch.check import Revisions, check
from laser_cli.batch.costs import costs_of
from laser_cli.batch.crew import Crew
from laser_cli.batch.journal import FILE, FOLDER, JOBS, Journal, finished_jobs, state_folder
from laser_cli.batch.queue import TaskQueue
from laser_cli.batch.remote import Place, is_address
from laser_cli.batch.rows import Row
from laser_cli.batch.said import Given
from laser_cli.batch.schedule import Totals, run_tasks
from laser_cli.batch.spool import Spool
from laser_cli.batch.station import Setup
from laser_cli.batch.summary import results, totals_of
from laser_cli.batch.tasks import Outcome, Task
from laser_cli.batch.watch import Shown
from laser_cli.errors import BadInputError
from laser_cli.jobs.merge import Layer
from laser_cli.jobs.progress import Progress

MIRRORED = 10.0
"""Seconds between two copies of the journal to the address that the outputs go to."""


@dataclass(frozen=True)
class Way:
    """How a batch is run. `jobs`: at a time here, or actors at most on Ray; `ray`: auto, local or an address."""

    jobs: int | None = None
    ray: str | None = None
    retries: int = 2
    resume: bool = False
    threads: int | None = None
    lines: bool = True


@dataclass(frozen=True)
class Ran:
    """What became of a batch; `results` reads what became of each job."""

    told: dict[str, Any]
    totals: Totals
    results: Callable[[], Iterator[dict[str, Any]]]


def dry_run(
    rows: Iterable[Row | BadInputError], name: str, given: Given, root: str, progress: Progress, *, ray: bool = False
) -> dict[str, Any]:
    """What a batch would cost; it is checked whole, and nothing is left behind."""
    with tempfile.TemporaryDirectory(prefix="laser-batch-") as folder, _left_alone(root):
        spool, place = Spool(Path(folder, JOBS)), Place(root)
        check(rows, name, given, spool, place, revisions=Revisions(needed=False), progress=progress)
        try:
            return costs_of(spool)
        finally:
            spool.close()


@contextmanager
def run_batch(
    rows: Iterable[Row | BadInputError],
    name: str,
    given: Given,
    root: str,
    way: Way,
    progress: Progress,
    *,
    state: Path | None = None,
    told: Callable[[Task, Outcome], Any] = lambda task, outcome: None,
) -> Iterator[Ran]:
    """Run a batch; yields what became of it while its journal is still its own. `told` hears each outcome.

    Errors as of ``check``, before anything is drawn; UsageError if a batch is running in the folder already.
    """
    folder = state or state_folder(root)
    with ExitStack() as stack:
        fresh = stack.enter_context(_left_alone(str(folder.parent) if state is None else str(folder)))
        journal = Journal(folder)
        stack.callback(_close, journal)
        place = Place(root)
        if way.resume and is_address(root) and not journal.path.exists():
            _fetch_journal(place, journal.path)
        spool = Spool(folder / JOBS)
        stack.callback(spool.close)
        finished = finished_jobs(journal.path) if way.resume else {}
        revisions = Revisions(needed=way.ray is None)
        skipped = check(rows, name, given, spool, place, finished=finished, revisions=revisions, progress=progress)
        journal.begin(len(spool), skipped=skipped, file=name)
        fresh.keep = True
        progress.note(f"{len(spool)} jobs" + (f", {skipped} of them done already" if skipped else ""))
        watch = Shown(progress, len(spool) - skipped, lines=way.lines)
        watch.told = told
        mirror = _Mirror(place, journal)
        totals = Totals()
        queue = TaskQueue(spool, lambda task: _planned(task, given.config, revisions, progress))
        stack.callback(queue.close)
        if len(queue):
            with crew_of(way, root, progress) as crew, watch.open():
                totals = run_tasks(
                    queue, crew, journal, retries=way.retries, again=way.resume, watch=watch, synced=mirror
                )
        ended = "interrupted" if totals.signal else "failed" if totals.failed else "done"
        journal.add("end", state=ended, seconds=round(totals.seconds, 3))
        journal.sync()
        mirror(now=True)
        yield Ran(totals_of(totals, len(spool), skipped), totals, lambda: results(folder, spool))


def crew_of(way: Way, root: str, progress: Progress) -> Crew:
    """Who draws: processes of this machine, or the actors of a Ray cluster."""
    setup = Setup(root if is_address(root) else str(Path(root).resolve()), way.threads)
    if way.ray is None:
        from laser_cli.batch.processes import ProcessCrew

        return ProcessCrew(setup, way.jobs or 1, progress.note)
    from laser_cli.batch.ray_crew import RayCrew

    return RayCrew(way.ray, setup, way.jobs, progress.note)


def _planned(task: Task, config: Layer | None, revisions: Revisions, progress: Progress) -> Task:
    """A task whose plan a model makes, now: its job built again with that plan."""
    assert task.row is not None
    made = build(Row(task.row, task.where, config=config), task.number, progress, revision_of=revisions, planned=True)
    # its key stays that of the job as it was checked, which the next run will compute as well
    return made.model_copy(update={"key": task.key, "where": task.where})


class _Mirror:
    """Copies the journal to where the outputs are, if that is an address."""

    def __init__(self, place: Place, journal: Journal) -> None:
        self.place, self.journal = place, journal
        self._last = time.monotonic()

    def __call__(self, *, now: bool = False) -> None:
        if is_address(self.place.root) and (now or time.monotonic() - self._last > MIRRORED):
            self._last = time.monotonic()
            self.place.mirror(self.journal.path, Path(FOLDER, FILE))


def journal_folder(root: str, state: Path | None = None) -> Path:
    """Where the journal of a batch can be read; of an address whose batch runs elsewhere, a copy is fetched."""
    folder = state or state_folder(root)
    if state is None and is_address(root) and not (folder / FILE).exists():
        folder.mkdir(parents=True, exist_ok=True)
        _fetch_journal(Place(root), folder / FILE)
    return folder


def _fetch_journal(place: Place, path: Path) -> None:
    there = place.folder / FOLDER / FILE
    place.fetch(there)
    if there.exists():
        shutil.copyfile(there, path)


@dataclass
class _Fresh:
    keep: bool = False


@contextmanager
def _left_alone(root: str) -> Iterator[_Fresh]:
    """Makes a folder, and removes what was not there before unless it is kept: a refused batch leaves nothing."""
    fresh, made = _Fresh(), []
    if not is_address(root):
        here = Path(root)
        while not here.exists() and here != here.parent:
            made.append(here)
            here = here.parent
        try:
            Path(root).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            from laser_cli.errors import reason

            raise BadInputError(f"cannot make the folder {root}", why=reason(error)) from error
    try:
        yield fresh
    finally:
        if not fresh.keep:
            for folder in made:
                with contextlib.suppress(OSError):
                    folder.rmdir()


def _close(journal: Journal) -> None:
    """Give the folder free; where no run ever began in it, it goes."""
    journal.close()
    if not journal.path.exists():
        shutil.rmtree(journal.folder, ignore_errors=True)
