"""A station: where jobs are drawn, one at a time, on models that stay loaded. It knows no driver and no cluster."""

from __future__ import annotations

import contextlib
import os
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import PrivateAttr

from laser_cli.batch.remote import Place
from laser_cli.batch.targets import placed
from laser_cli.batch.tasks import Failure, Outcome, Task, with_inputs
from laser_cli.errors import LaserError, out_of_memory
from laser_cli.jobs.inputs import Input
from laser_cli.jobs.progress import Progress, Ticker

if TYPE_CHECKING:
    import numpy as np

    from laser_cli.batch.memory import Models
    from laser_cli.batch.sinks import BackgroundSinks
    from laser_cli.jobs.job import Job

MOST_WARNINGS = 20
"""That an outcome carries of one job."""
Tick = Callable[[float], object]
"""Hears what share of a job's drawing is done."""


@dataclass(frozen=True)
class Setup:
    """What all stations of a batch have in common: `root` is the folder or address that outputs go to."""

    root: str
    threads: int | None = None
    remember: bool = True
    """Whether what the runs took is remembered on that machine, for estimates."""


class Heard(Progress):
    """Collects what a job tells, and passes on how far it is; raises Stopped where nothing would be lost by it."""

    def __init__(self, tick: Tick, stop: threading.Event) -> None:
        super().__init__()
        self.warnings: list[str] = []
        self.tick, self.stop = tick, stop
        self.sinks: BackgroundSinks | None = None

    def warn(self, message: str) -> None:
        """Keep a warning for the outcome."""
        if len(self.warnings) < MOST_WARNINGS and message not in self.warnings:
            self.warnings.append(message)

    @contextmanager
    def bar(self, total: int, label: str) -> Iterator[Ticker]:
        """Pass on the share that is done."""
        yield _Share(total, self)

    def check(self) -> None:
        """Raise Stopped if the batch shall end and no checkpoint is about to be saved."""
        from laser_cli.batch.sinks import Stopped

        saved = self.sinks.saved if self.sinks else None
        if self.stop.is_set() and not (saved and saved.begun):
            raise Stopped


class _Share:
    def __init__(self, total: int, heard: Heard) -> None:
        self.total, self.heard, self.done = max(total, 1), heard, 0

    def advance(self, n: int = 1, label: str | None = None) -> None:
        """Pass it on."""
        self.heard.check()
        self.done += n
        self.heard.tick(min(self.done / self.total, 1.0))


class Decoded(Input):
    """An input whose picture is decoded already."""

    _kept: Any = PrivateAttr(None)

    def picture(self, note: Callable[[str], object] = lambda note: None) -> np.ndarray:
        """The picture, once; after that it is read from the file again."""
        kept, self._kept = self._kept, None
        return super().picture(note) if kept is None else kept


class InputsMissing(Exception):
    """Inputs do not lie here as the driver has them: it may send what they hold. `digests`: their SHA-256."""

    def __init__(self, digests: tuple[str, ...]) -> None:
        super().__init__(digests)
        self.digests = digests


class Station:
    """Draws tasks. ``draw`` returns when the last frame is drawn, ``finish`` when the files are in place.

    Safe to call from several threads: one draws, the others finish. ``stop`` ends what is being drawn at its next
    step, saved in a checkpoint.
    """

    def __init__(self, setup: Setup) -> None:
        from laser_cli.batch.memory import Models

        self.setup = setup
        self.place = Place(setup.root)
        self.models: Models = Models(setup.threads)
        self._stop = threading.Event()
        self._drawing = threading.Lock()
        self._unfinished: dict[int, Callable[[], Outcome]] = {}

    def stop(self) -> None:
        """End what is being drawn, and begin nothing more."""
        self._stop.set()

    def draw(self, task: Task, *, again: bool = False, tick: Tick = lambda share: None) -> Outcome | None:
        """Draw a task; None where its files are still to be finished, else what became of it.

        `again`: it may have been drawn before, by a worker that was lost or in an earlier run; files that are there
        and were made of the same are left alone. Raises InputsMissing, and nothing else.
        """
        begun = time.monotonic()
        heard = Heard(tick, self._stop)
        try:
            job: Any = with_inputs(task.read_job(), _checked())
            job = with_inputs(job, _decoded)
            with self._drawing:
                return self._draw(task, job, again, heard, begun)
        except InputsMissing:
            raise
        except BaseException as error:
            return self._failed(task, error, heard, begun)

    def free_mib(self) -> float:
        """Memory that is free on the device that this station draws on."""
        from laser_cli.batch.memory import free_mib

        return free_mib()

    def finish(self, number: int) -> Outcome:
        """Wait for the files of a task that is drawn."""
        return self._unfinished.pop(number)()

    def _draw(self, task: Task, job: Job, again: bool, heard: Heard, begun: float) -> Outcome | None:
        from laser_cli.batch.sinks import BackgroundSinks, Stopped
        from laser_cli.jobs.job import FrameJob
        from laser_cli.jobs.run import place, run

        if self._stop.is_set():
            raise Stopped
        model = self.models.get(job.settings, heard)
        if task.revision not in (None, model.revision):
            why = f"its weights are {model.revision} here and {task.revision} where the batch was checked"
            raise LaserError(f"{model.name} is another model here", why=why, hint="the same weights on every machine")
        here = place(job, model)
        outputs = placed(task.outputs, self.place.folder).model_copy(update={"resume": True})
        _make_folders(outputs.paths)
        fingerprint = here.fingerprint
        if (again or outputs.skip_existing) and self._is_current(task, here, outputs):
            return self._outcome(task, "skipped", heard, begun, fingerprint, {})
        if outputs.no_clobber:
            from laser_cli.output.make import refuse_clobber

            refuse_clobber(outputs.paths)
        if not isinstance(here, FrameJob):
            told = self._run_staged(here, model, outputs, heard)
            return self._outcome(task, "done", heard, begun, fingerprint, told)
        if outputs.unfinished:
            self.place.fetch(outputs.unfinished)
        sinks = heard.sinks = BackgroundSinks(outputs, task.read, self._stop, command=task.where, warn=heard.warn)
        try:
            result = run(here, model, sinks, heard)
        except Stopped:
            if outputs.unfinished:
                self.place.keep(outputs.unfinished)
            raise

        def finish() -> Outcome:
            try:
                sinks.finish()
                if outputs.unfinished:
                    self.place.drop(outputs.unfinished)
                if self.setup.remember and here.timed:
                    from laser_cli.jobs.timing import remember_run

                    remember_run(here.settings, result.size, heard.took)
                return self._outcome(task, "done", heard, begun, fingerprint, result.told)
            except BaseException as error:
                return self._failed(task, error, heard, begun)

        self._unfinished[task.number] = finish
        return None

    def _run_staged(self, job: Job, model: Any, outputs: Any, heard: Heard) -> dict[str, Any]:
        """Run a job whose result is one file, which appears when it is whole."""
        from laser_cli.jobs.run import run
        from laser_cli.jobs.sinks import InversionFile
        from laser_cli.output.atomic import staged

        with staged(outputs.out, force=outputs.force) as part:
            return dict(run(job, model, InversionFile(part), heard).told)

    def _is_current(self, task: Task, job: Job, outputs: Any) -> bool:
        from laser_cli.jobs.job import FrameJob

        self.place.fetch(*outputs.paths)
        return isinstance(job, FrameJob) and bool(outputs.are_current(job.fingerprint))

    def _outcome(self, task: Task, status: Any, heard: Heard, begun: float, fingerprint: str, told: Any) -> Outcome:
        """What became of a task whose files are in place here; they go to where the batch wants them."""
        paths = placed(task.outputs, self.place.folder).paths
        sizes = tuple(size_of(path) for path in paths)
        if status == "done":
            self.place.deliver(paths)
        self.place.forget(paths)
        return Outcome(
            number=task.number,
            status=status,
            paths=tuple(str(path) for path in task.paths),
            sizes=sizes,
            fingerprint=fingerprint,
            seconds=round(time.monotonic() - begun, 3),
            evaluations=int(told.get("evaluations", 0)),
            told={key: told[key] for key in ("frames", "psnr") if key in told},
            warnings=tuple(heard.warnings),
            peak_mib=self.models.peak_mib(),
        )

    def _failed(self, task: Task, error: BaseException, heard: Heard, begun: float) -> Outcome:
        from laser_cli.batch.sinks import Stopped

        if out_of_memory(error):
            self.models.free()
        if os.environ.get("LASER_DEBUG") == "1" and not isinstance(error, Stopped):
            traceback.print_exception(error)
        return Outcome(
            number=task.number,
            status="stopped" if isinstance(error, Stopped) else "failed",
            seconds=round(time.monotonic() - begun, 3),
            warnings=tuple(heard.warnings),
            failure=None if isinstance(error, Stopped) else Failure.of(error),
        )


def size_of(path: Path) -> int:
    """Bytes of a file, or of all files in a folder of frames."""
    if path.is_dir():
        return sum(file.stat().st_size for file in path.iterdir() if file.is_file())
    return path.stat().st_size


def _make_folders(paths: tuple[Path, ...]) -> None:
    for path in paths:
        with contextlib.suppress(FileExistsError):
            path.parent.mkdir(parents=True, exist_ok=True)


def _checked() -> Callable[[Input], Input]:
    """Look whether every input lies here as it was when the batch was checked; raises InputsMissing."""
    from laser_cli.jobs.inputs import sha256

    def check(found: Input) -> Input:
        if not found.is_content:
            return found
        try:
            same = found.path.is_file() and sha256(found.path) == found.sha256
        except LaserError:
            same = False
        if not same:
            raise InputsMissing((found.sha256,))
        return found

    return check


def _decoded(found: Input) -> Input:
    """An input with its picture decoded now, before the model is free for it; any other file as it is."""
    from laser_cli.jobs.stops import is_picture

    if not is_picture(found.path.name) or not found.path.is_file():
        return found
    with contextlib.suppress(LaserError):  # the run tells what is wrong
        decoded = Decoded(**dict(found))
        decoded._kept = found.picture()
        return decoded
    return found
