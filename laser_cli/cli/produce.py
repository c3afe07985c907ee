"""What all commands that write pictures do, in one order: check, tell, skip, and only then the work."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from laser_cli.cli.animate_outputs import look_of
from laser_cli.cli.options import open_model, warn_prompts
from laser_cli.cli.watch import Watch

if TYPE_CHECKING:
    import numpy as np

    from laser_cli.cli.animate_outputs import Outputs
    from laser_cli.cli.console import Console
    from laser_cli.models.model import Model
    from laser_cli.settings.schema import Settings
    from laser_cli.stages.checkpoint import Checkpointer
    from laser_cli.stages.invert import Report
    from laser_cli.stages.preview import PreviewWriter

RENDERING = "rendering and encoding"


class Job(Protocol):
    """A request placed on a model: settings without anything left to it, and what tells the result from others."""

    @property
    def request(self) -> Any:
        """What was asked for: its count, what it read, the revision in a record that is run again."""

    @property
    def settings(self) -> Settings:
        """Its settings."""

    @property
    def fingerprint(self) -> str:
        """Of everything that decides the pictures."""

    @property
    def prompts(self) -> tuple[str, ...]:
        """Everything that the text encoder reads."""


@dataclass(frozen=True)
class Work:
    """A job made ready to draw: what comes before the first picture is done.

    ``size`` (w, h) px; ``labels`` by the pictures' numbers; ``rows``: U-Net evaluations to come, ``before``: those made
    so far that do not count as the drawing's own. ``pictures`` yields them in order; ``told`` is called when all are
    written, for what the result says beside.
    """

    size: tuple[int, int]
    labels: Mapping[int, str]
    record: Mapping[str, Any]
    rows: int
    before: int
    pictures: Callable[[Report, PreviewWriter | None], Iterator[np.ndarray]]
    told: Callable[[], Mapping[str, Any]]


class Verb(Protocol):
    """What a command does its own way; a module is one."""

    def tell(self, console: Console, request: Any) -> None:
        """Says what the request would cost."""

    def place(self, request: Any) -> Any:
        """The job of a request; the model is found, not loaded."""

    def prepare(
        self, console: Console, watch: Watch, model: Model, job: Any, checkpointer: Checkpointer | None
    ) -> Work:
        """The work of a job, up to its first picture."""


def produce(console: Console, request: Any, outputs: Outputs, verb: Verb, params: Mapping[str, Any]) -> None:
    """Carries out a request."""
    from laser_cli.output.make import refuse_clobber

    dry_run, no_clobber, skip_existing = (params[key] for key in ("dry_run", "no_clobber", "skip_existing"))
    outputs.check(request.settings, request.count, needed=not dry_run)
    if no_clobber and not skip_existing:
        refuse_clobber(outputs.paths)
    for note in request.notes:
        console.note(note)
    if dry_run:
        verb.tell(console, request)
        return
    job = verb.place(request)
    if skip_existing and outputs.are_current(job.fingerprint):
        skip(console, job.fingerprint, request.read, outputs)
        return
    if no_clobber:
        refuse_clobber(outputs.paths)
    perform(console, job, outputs, verb, params["verbose"])


def skip(console: Console, fingerprint: str, read: Sequence[Path], outputs: Outputs) -> None:
    """Reports outputs that are there already; they count as made now, so that Make is content."""
    for path in outputs.paths:
        os.utime(path)
    outputs.note_dependencies(read)
    console.note("up to date: made of the same inputs and settings")
    console.result(outputs.paths, {"skipped": True, "fingerprint": fingerprint})


def perform(console: Console, job: Job, outputs: Outputs, verb: Verb, verbose: bool) -> None:
    """Draws the pictures of a job and writes its outputs."""
    from laser_cli.output.atomic import sweep
    from laser_cli.output.sink import open_sinks
    from laser_cli.stages.checkpoint import Checkpointer
    from laser_cli.stages.preview import PreviewWriter

    request, watch = job.request, Watch(console, verbose)
    checkpointer = Checkpointer(outputs.kept, job.fingerprint) if outputs.kept else None
    if outputs.unfinished:
        sweep(outputs.unfinished)  # what a kill in the middle of a saving left; the saved render itself stays
    model = opened(console, watch, job)
    work, look = verb.prepare(console, watch, model, job, checkpointer), look_of(job.settings)
    with (
        watch.stage(RENDERING, model),
        open_sinks(
            outputs.out,
            outputs.frames_dir,
            outputs.sheet,
            size=work.size,
            look=look,
            count=request.count,
            record=work.record,
            labels=work.labels,
            report=outputs.report,
            command=command_line(),
            stream=(sys.stdout.buffer, outputs.stream) if outputs.stream else None,
        ) as sink,
        console.progress(work.rows, f"drawing {request.count} frames") as bar,
    ):
        for index, picture in enumerate(
            work.pictures(bar.advance, PreviewWriter(outputs.show) if outputs.preview else None)
        ):
            sink.add(index, picture)
        outputs.note_dependencies(request.read)
    if checkpointer:
        checkpointer.discard()
    if outputs.stream:
        for path in sink.paths:
            console.note(f"written: {path}")
        return
    told = {"frames": request.count, "shown": look.shown(request.count), "evaluations": model.nfe - work.before}
    console.result(sink.paths, {**told, **work.told(), "fingerprint": job.fingerprint})


def opened(console: Console, watch: Watch, job: Job) -> Model:
    """The model of a job, with a warning of what it will not see, and where it is not what it was in a record."""
    settings = job.settings
    with watch.stage("loading"):
        model = open_model(console, settings.model, settings.device, settings.dtype, settings.offload)
    warn_prompts(console, model, job.prompts)
    if job.request.revision not in (None, model.revision):
        console.warn(f"{model.name} is not what it was when the record was made: the pictures will differ")
    return model


def placed(settings: Settings, folder: Path | None) -> Settings:
    """The settings with size, distance, device and precision as this model and machine have them."""
    from laser_cli.models.load import choose_device, choose_dtype
    from laser_cli.settings.distance import choose_distance
    from laser_cli.settings.estimate import read_shape

    shape = read_shape(folder) if folder else None
    device = choose_device(settings.device)
    dtype = str(choose_dtype(settings.dtype, device)).removeprefix("torch.")
    size = settings.size or (shape.side if shape else None)
    distance = choose_distance(settings.distance, settings.model)
    return settings.model_copy(update={"size": size, "distance": distance, "device": str(device), "dtype": dtype})


def size_of(picture: np.ndarray | None, side: int, scale: int) -> tuple[int, int]:
    """Width and height of what is drawn: a picture's at this longer side, else a square; whole latents."""
    from laser_cli.output.frames import fit

    if picture is None:
        return side - side % scale, side - side % scale
    height, width = fit(picture, side, scale).shape[:2]
    return width, height


def record_of(
    command: str, job: Job, recorded: Mapping[str, Any], prompt: str | None, model: Model, **more: Any
) -> dict[str, Any]:
    """The record that a job's outputs carry; ``recorded`` are its settings."""
    from laser_cli.output.record import make_record

    return make_record(
        command,
        recorded,
        seed=job.settings.seed,
        prompt=prompt,
        model=model.name,
        revision=model.revision,
        dtype=str(model.dtype).removeprefix("torch."),
        device=model.device.type,
        fingerprint=job.fingerprint,
        **more,
    )


def command_line() -> str:
    """This command as a shell takes it."""
    import shlex

    return shlex.join(["laser", *sys.argv[1:]])
