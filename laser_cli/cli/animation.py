"""The steps of `laser animate` after its request is read: place it on a model, tell what it costs, draw it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from laser_cli.cli.dry_run import tell as tell
from laser_cli.cli.options import warn_picture
from laser_cli.cli.produce import RENDERING, Work, placed, record_of, size_of
from laser_cli.errors import BadInputError

if TYPE_CHECKING:
    import numpy as np

    from laser_cli.cli.console import Console
    from laser_cli.cli.request import Request
    from laser_cli.cli.watch import Watch
    from laser_cli.models.model import Model
    from laser_cli.settings.schema import Settings
    from laser_cli.stages.checkpoint import Checkpointer
    from laser_cli.stages.invert import Inversion, Report
    from laser_cli.stages.preview import PreviewWriter


@dataclass(frozen=True)
class Job:
    """A request placed on a model: settings without anything left to it, and what tells the result from others."""

    request: Request
    settings: Settings
    fingerprint: str

    @property
    def recorded(self) -> dict[str, Any]:
        """The settings as the record keeps them."""
        from laser_cli.settings.schema import BESIDE

        image, inversion = self.request.named
        plan = self.request.plan.model_dump(mode="json")
        rest = self.settings.model_dump(mode="json", exclude=set(BESIDE))
        return {"image": image, "inversion": inversion, "plan": plan, **rest}

    @property
    def prompts(self) -> tuple[str, ...]:
        """Everything that the text encoder reads."""
        return self.request.plan.prompts


def place(request: Request) -> Job:
    """The job of a request; the model is found, not loaded."""
    import laser_cli
    from laser_cli.models.find import find_model
    from laser_cli.output.make import fingerprint

    folder, revision = find_model(request.settings.model)
    job = Job(request, placed(request.settings, folder), "")
    told = {key: value for key, value in job.recorded.items() if key not in ("image", "inversion")}
    told |= {"revision": revision, "version": laser_cli.__version__, "seed": job.settings.seed}
    told |= {"dtype": job.settings.dtype, "device": job.settings.device.split(":")[0]}
    inputs = [path for path in (request.image, request.inversion) if path]
    return Job(request, job.settings, fingerprint(told, inputs))


def prepare(console: Console, watch: Watch, model: Model, job: Job, checkpointer: Checkpointer | None) -> Work:
    """The first picture and its inversion; what follows is drawn frame by frame."""
    from laser_cli.engine.spec import SamplingParams
    from laser_cli.settings import timing
    from laser_cli.stages.animate import animate as draw
    from laser_cli.stages.distances import at_first_use

    request, settings = job.request, job.settings
    with watch.stage("first picture", model):
        picture = _first_picture(console, model, job)
    with watch.stage("inversion", model):
        inversion = _inversion(console, model, job, picture)
    warn_picture(console, model, inversion, picture)
    params = SamplingParams(settings.guidance, settings.warmup, settings.chunk)
    first = picture if settings.exact_first else None
    distance = at_first_use(settings.distance, model) if settings.even_pace else None
    size = (picture.shape[1], picture.shape[0])

    def pictures(report: Report, preview: PreviewWriter | None) -> Iterator[np.ndarray]:
        aids = (report, distance, checkpointer, console.warn, preview)
        return (drawn.array for drawn in draw(model, request.plan, inversion, params, first, *aids))

    def told() -> dict[str, Any]:
        # not of a stream, which is not told: who reads it sets its pace
        timing.remember(timing.kind_of(settings, size), _stages(watch))
        return {"plan": job.recorded["plan"]}

    more = {"input_sha256": request.digest or None}
    record = record_of("animate", job, job.recorded, request.plan.prompts[-1], model, **more)
    return Work(size, _captions(job), record, _rendering(job), model.nfe, pictures, told)


def _stages(watch: Watch) -> dict[str, tuple[int, float]]:
    """What the stages took, by the names that estimates have for them."""
    names = {"loading": "loading", "first picture": "first_picture", "inversion": "inversion", RENDERING: "rendering"}
    took = {name: watch.took[stage] for stage, name in names.items()}
    return {name: (rows, seconds) for name, (rows, seconds) in took.items() if rows or name == "loading"}


def _rendering(job: Job) -> int:
    from laser_cli.settings.estimate import evaluations

    return evaluations(job.settings, job.request.plan, drawn_first=False, inverted=False)["total"]


def _first_picture(console: Console, model: Model, job: Job) -> np.ndarray:
    """The picture at the size it is drawn in: what was read from the file, or drawn from the source prompt."""
    from laser_cli.output.frames import fit
    from laser_cli.stages.animate import generate

    settings = job.settings
    side = settings.size or model.size
    if job.request.picture is not None:
        return fit(job.request.picture, side, model.scale)
    size = size_of(None, side, model.scale)
    with console.progress(settings.steps * 2, "drawing the first picture") as bar:
        return generate(
            model,
            job.request.plan.source,
            settings.seed,
            settings.steps,
            settings.guidance,
            size,
            bar.advance,
        )


def _inversion(console: Console, model: Model, job: Job, picture: np.ndarray) -> Inversion:
    """The picture's inversion: from the file, checked against this run, or made now."""
    from laser_cli.engine.invert import nfe
    from laser_cli.stages.invert import invert_picture, load_inversion

    settings, source, file = job.settings, job.request.plan.source, job.request.inversion
    if file is None:
        with console.progress(nfe(settings.steps, settings.method), "inverting") as bar:
            return invert_picture(
                model, picture, source, settings.steps, settings.method, job.request.digest, bar.advance
            )
    inversion = load_inversion(file, model)
    shape = (picture.shape[0] // model.scale, picture.shape[1] // model.scale)
    for what, theirs, ours in (
        ("number of steps", inversion.steps, settings.steps),
        ("method", inversion.method, settings.method),
        ("picture", inversion.input_sha256, job.request.digest),
        ("size", tuple(inversion.trajectory.latents.shape[2:]), shape),
        ("source prompt", inversion.prompt, source),
    ):
        if theirs != ours:
            raise BadInputError(
                f"{file} does not fit this run",
                why=f"its {what} is {theirs}, here it is {ours}",
                hint="leave out what differs, or invert again",
            )
    return inversion


def _captions(job: Job) -> dict[int, str]:
    """The prompts at the numbers of their keyframes."""
    captions, at = {0: job.request.plan.source}, 0
    for segment in job.request.plan.segments:
        at += segment.frames - 1
        captions[at] = segment.prompt
    return captions
