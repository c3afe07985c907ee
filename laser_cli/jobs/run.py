"""Running a job on a model: what commands, workers and programs call; knows no command line."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from laser_cli.jobs.model import options_of
from laser_cli.jobs.outputs import look_of
from laser_cli.jobs.progress import SILENT, Progress
from laser_cli.jobs.prompts import warn_prompts
from laser_cli.jobs.settings import FrameSettings, ModelChoice

if TYPE_CHECKING:
    import numpy as np

    from laser_cli.jobs.job import FrameJob, Job
    from laser_cli.jobs.sinks import Sinks
    from laser_cli.models.model import Model
    from laser_cli.output.pictures import Fit
    from laser_cli.stages.invert import Report
    from laser_cli.stages.preview import PreviewWriter

RENDERING = "rendering and encoding"
AnyJob = TypeVar("AnyJob", bound="Job")


@dataclass(frozen=True)
class Rendering:
    """A frame job made ready to draw.

    `model` draws them, an adapter added; `size` (w, h) px; `labels` by frame number; `evaluations` of the U-Net to
    come, `before`: made so far that are not the drawing's own. `frames` yields them in order, (h, w, 3) uint8; `told`
    is called when all are written, for what the result says beside. `beside` yields a picture for each frame that a
    report shows next to it.
    """

    model: Model
    size: tuple[int, int]
    labels: Mapping[int, str]
    record: Mapping[str, Any]
    evaluations: int
    before: int
    frames: Callable[[Report, PreviewWriter | None], Iterator[np.ndarray]]
    told: Callable[[], Mapping[str, Any]]
    beside: Callable[[], Iterator[np.ndarray]] | None = None


@dataclass(frozen=True)
class Result:
    """What a run wrote, what it says beside, and the frames' size (w, h) px."""

    paths: Sequence[Path]
    told: Mapping[str, Any] = field(default_factory=dict)
    size: tuple[int, int] = (0, 0)


def run(job: Job, model: Model, sinks: Sinks, progress: Progress = SILENT) -> Result:
    """Do a job on a loaded model; its results go into the sinks, which appear whole or not at all."""
    from laser_cli.jobs.job import FrameJob

    warn_prompts(progress, model, job.prompts)
    if model.read_text_encoders:
        model.encode_prompts(["", *job.prompts])  # all at once, so that the encoders are read once
    here = place(job, model)
    with told_to(progress):
        done: Result = (
            _draw(here, model, sinks, progress)
            if isinstance(here, FrameJob)
            else here.steps.run(here, model, sinks, progress)
        )
    return done


@contextmanager
def told_to(progress: Progress) -> Iterator[None]:
    """What models say in the log, such as a precision that is left, as warnings and notes of the run."""
    log, handler = logging.getLogger("laser_cli.models"), _Teller(progress)
    level = log.level
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    try:
        yield
    finally:
        log.removeHandler(handler)
        log.setLevel(level)


class _Teller(logging.Handler):
    def __init__(self, progress: Progress) -> None:
        super().__init__()
        self.progress = progress

    def emit(self, record: logging.LogRecord) -> None:
        say = self.progress.warn if record.levelno >= logging.WARNING else self.progress.note
        say(record.getMessage())


def place(job: AnyJob, model: Model | None = None) -> AnyJob:
    """The job with size, distance, device, precision and revision as this machine and the model have them.

    Without a model, as the one that its settings name will have them: it is found, not loaded.
    """
    from laser_cli.models.find import find_model

    if model is None:
        options = options_of(job.settings)
        found = find_model(job.settings.model, options.variant, options.revision)
        settings, revision = placed(job.settings, found.path), options.key(found)
    else:
        placed_at = {"device": str(model.device), "dtype": str(model.dtype).removeprefix("torch.")}
        # what is settled stays: a precision that the model fell back from would look like another job
        here = {key: value for key, value in placed_at.items() if getattr(job.settings, key) == "auto"}
        settings = _sized(job.settings.model_copy(update={"model": model.name, **here}), model.size)
        revision = model.revision
    return job.model_copy(update={"settings": settings, "revision": revision})


def placed(settings: ModelChoice, path: Path | None) -> ModelChoice:
    """The settings with size, distance, device and precision as the model at this path and the machine have them."""
    from laser_cli.jobs.estimate import read_shape
    from laser_cli.models.load import choose_device, choose_dtype

    shape = read_shape(path) if path else None
    device = choose_device(settings.device)
    dtype = str(choose_dtype(settings.dtype, device)).removeprefix("torch.")
    here = settings.model_copy(update={"device": str(device), "dtype": dtype})
    return _sized(here, shape.side if shape else None)


def _sized(settings: ModelChoice, side: int | None) -> ModelChoice:
    from laser_cli.jobs.distance import choose_distance

    changes: dict[str, Any] = {"size": getattr(settings, "size", None) or side}
    if isinstance(settings, FrameSettings):
        changes["distance"] = choose_distance(settings.distance, settings.model)
    return settings.model_copy(update=changes)


def load(settings: ModelChoice, progress: Progress = SILENT, threads: int | None = None) -> Model:
    """The model that settings name, to draw on so many CPU threads, None for all that this process may use."""
    from laser_cli.models.load import load_model

    with progress.stage("loading"), told_to(progress):
        where = (settings.device, settings.dtype, settings.offload, threads)
        model = load_model(settings.model, *where, options_of(settings))
        progress.note(f"model {model.name} on {model.device.type}, {str(model.dtype).removeprefix('torch.')}")
    return model


def _draw(job: FrameJob, model: Model, sinks: Sinks, progress: Progress) -> Result:
    """Draw the frames of a job."""
    look, saved = look_of(job.settings, job.audio, job.sound_from), sinks.checkpoints(job.fingerprint)
    rendering: Rendering = job.steps.prepare(job, model, saved, progress)
    with (
        progress.stage(RENDERING, rendering.model),
        sinks.open(rendering, look, job.count) as take,
        progress.bar(rendering.evaluations, f"drawing {job.count} frames") as bar,
    ):
        for index, frame in enumerate(rendering.frames(bar.advance, sinks.preview())):
            take(index, frame)
    if saved:
        saved.discard()
    told = {
        "frames": job.count,
        "shown": look.shown(job.count),
        "evaluations": rendering.model.nfe - rendering.before,
        **rendering.told(),
        "fingerprint": job.fingerprint,
    }
    return Result(sinks.paths, told, rendering.size)


def fitted(
    picture: np.ndarray, size: tuple[int, int] | int, scale: int, fit: Fit, progress: Progress = SILENT
) -> np.ndarray:
    """A picture at the size that is drawn, cropped or padded as `fit` says; a crop that would be missed is told."""
    from laser_cli.output import pictures

    if fit == "crop" and (told := pictures.told_crop(picture.shape[1], picture.shape[0], size, scale)):
        progress.note(told)
    return pictures.fit(picture, size, scale, fit)


def size_of(picture: np.ndarray | None, side: int, scale: int) -> tuple[int, int]:
    """Width and height of what is drawn: a picture's at this longer side, else a square; whole latents."""
    from laser_cli.output.frames import fit

    if picture is None:
        return side - side % scale, side - side % scale
    height, width = fit(picture, side, scale).shape[:2]
    return width, height
