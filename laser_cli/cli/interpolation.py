"""The steps of `laser interpolate` after its request is read: place it on a model, tell what it costs, draw it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

from laser_cli.cli.produce import Work, placed, record_of, size_of
from laser_cli.plan.schema import Planner

if TYPE_CHECKING:
    import numpy as np

    from laser_cli.cli.console import Console
    from laser_cli.cli.interpolate_request import Request
    from laser_cli.cli.watch import Watch
    from laser_cli.engine.spec import RenderState
    from laser_cli.models.model import Model
    from laser_cli.settings.schema import Settings
    from laser_cli.stages.checkpoint import Checkpointer
    from laser_cli.stages.interpolate import Endpoint, Endpoints, FrameSchedule, InterpolationParams
    from laser_cli.stages.invert import Report
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
        from laser_cli.settings.interpolation import PLAYING, SHARED

        told = self.settings.model_dump(mode="json", include={*SHARED, *PLAYING})
        return {"interpolation": self.request.interpolation.model_dump(mode="json"), **told}

    @property
    def prompts(self) -> tuple[str, ...]:
        """Everything that the text encoder reads."""
        i = self.request.interpolation
        return (*(stop.prompt for stop in i.stops), *i.guides)


def place(request: Request) -> Job:
    """The job of a request; the model is found, not loaded."""
    import laser_cli
    from laser_cli.models.find import find_model
    from laser_cli.output.make import fingerprint

    folder, revision = find_model(request.settings.model)
    job = Job(request, placed(request.settings, folder), "")
    told = {"command": "interpolate", "revision": revision, "version": laser_cli.__version__, **job.recorded}
    told |= {"dtype": job.settings.dtype, "device": job.settings.device.split(":")[0]}
    return Job(request, job.settings, fingerprint(told, request.inputs))


def costs_of(request: Request) -> dict[str, Any]:
    """Stops, pictures, evaluations and memory; the last is None where the model is not on this machine."""
    from laser_cli.engine.render import nfe
    from laser_cli.settings import estimate
    from laser_cli.stages.spacing import drafting_nfe

    found = estimate.cached_model(request.settings.model)
    shape = estimate.read_shape(found[0]) if found else None
    settings, i = placed(request.settings, found[0] if found else None), request.interpolation
    stops, pictures = len(i.stops), len(request.pictures)
    drawn = 1 if i.at is not None else 0 if i.method == "dissolve" else settings.frames - stops
    even = i.spacing == "even" and i.at is None and i.method != "dissolve"
    stages = {
        "inversion": pictures * settings.steps,
        "drafts": drafting_nfe(stops - 1, settings.frames, settings.steps, settings.guidance) if even else 0,
        "rendering": nfe((2 if i.at is not None else stops) + drawn, settings.steps, settings.guidance),
    }
    first = request.pictures[min(request.pictures)] if request.pictures else None
    size = size_of(first, settings.size, shape.scale) if shape and settings.size else None
    memory = estimate.memory(found[0], shape, settings, size, stops) if found and shape and size else None
    return {
        "stops": [stop.model_dump(mode="json", exclude_none=True) for stop in i.stops],
        "adapter": i.adapter.model_dump(mode="json") if i.adapter else None,
        "guides": [
            {"prompt": guide, "by": planner.model_dump(mode="json")}
            for guide, planner in zip_longest(i.guides, i.guided_by, fillvalue=Planner())
        ],
        "frames": request.count,
        "evaluations": {**stages, "total": sum(stages.values())},
        "size": size,
        "memory": memory,
        "settings": Job(request, settings, "").recorded,
        "model_revision": found[1] if found else None,
    }


def tell(console: Console, request: Request) -> None:
    """Prints the costs of a request: text on stderr, or one object on stdout; no weights are loaded."""
    costs = costs_of(request)
    if console.json:
        return console.json_object({"paths": [], "dry_run": True, **costs})
    for stop in costs["stops"]:
        console.note(f"stop: {stop['prompt']}" + (f" ({stop['picture']})" if "picture" in stop else ""))
    if costs["adapter"]:
        shown = ", ".join(image["picture"] if image else "none" for image in costs["adapter"]["images"])
        console.note(f"image prompts: {shown} (by {costs['adapter']['name']}, scale {costs['adapter']['scale']:g})")
    for guide in costs["guides"]:
        console.note(f"guide: {guide['prompt']} (by {guide['by']['name']})")
    size = "{} x {} px".format(*costs["size"]) if costs["size"] else "size not known"
    console.note(f"pictures: {costs['frames']}, {size}")
    stages = ", ".join(f"{name} {n}" for name, n in costs["evaluations"].items() if n and name != "total")
    console.note(f"U-Net evaluations: at most {costs['evaluations']['total']} ({stages})")
    memory = costs["memory"]
    known = f"at least {memory['at_least'] / 2**20:.0f} MiB, libraries not counted" if memory else "not known"
    console.note(f"memory: {known}")


def prepare(console: Console, watch: Watch, model: Model, job: Job, checkpointer: Checkpointer | None) -> Work:
    """Stops and when the frames between them are; what follows is drawn frame by frame."""
    from laser_cli.models.adapter import load_adapter
    from laser_cli.stages.interpolate import interpolate, prepare

    request, settings, i = job.request, job.settings, job.request.interpolation
    first = request.pictures[min(request.pictures)] if request.pictures else None
    size = size_of(first, settings.size or model.size, model.scale)
    before, params, costs, see = model.nfe, _params(job), costs_of(request)["evaluations"], None
    if request.adapter and i.adapter:
        model, see = load_adapter(model, request.adapter, i.adapter.scale)
    with watch.stage("inversion", model), console.progress(costs["inversion"], "inverting") as bar:
        endpoints = prepare(model, _asked(request, size), params, i.seeds, size, bar.advance, see)
    endpoints, schedule, state = _schedule(console, watch, model, job, endpoints, params, costs, checkpointer)

    def pictures(report: Report, preview: PreviewWriter | None) -> Iterator[np.ndarray]:
        aids = (settings.exact_first, report, console.warn, preview, checkpointer, state)
        drawn = interpolate(model, endpoints, params, schedule, *aids)
        # of a single one the stops on both sides are drawn as well
        return (picture.array for picture in drawn if i.at is None or picture.index == 1)

    def told() -> dict[str, Any]:
        if schedule.late:
            console.note(f"jumps bridged: {schedule.jumps}, by {schedule.late} frames")
        return {"times": [round(f.segment + f.t, 6) for f in schedule.frames], "bridged": schedule.late}

    # the prompt of a file is what its last picture shows; one in-between shows no one prompt
    shown = i.stops[-1].prompt if i.at is None else (i.guides[0] if len(i.guides) == 1 else None)
    record = record_of("interpolate", job, job.recorded, shown, model)
    return Work(size, _captions(job, schedule), record, costs["rendering"], before, pictures, told)


def _schedule(
    console: Console,
    watch: Watch,
    model: Model,
    job: Job,
    endpoints: Endpoints,
    params: InterpolationParams,
    costs: dict[str, int],
    checkpointer: Checkpointer | None,
) -> tuple[Endpoints, FrameSchedule, RenderState | None]:
    """The endpoints that are rendered; when the frames are; and the state of a broken run that is gone on with."""
    from laser_cli.stages import spacing
    from laser_cli.stages.distances import find_distance
    from laser_cli.stages.interpolate import FrameSchedule, single_frame

    i, settings, segments = job.request.interpolation, job.settings, len(job.request.interpolation.stops) - 1
    between = settings.frames - segments - 1 if i.at is None else 1
    saved = checkpointer.load(model.device, between) if checkpointer else None
    if i.at is not None:
        return *single_frame(endpoints, i.at), saved.state if saved else None
    if saved:
        return endpoints, FrameSchedule.of(saved.frames, segments + 1), saved.state
    if i.spacing == "beta":
        a, b = i.alpha or float(settings.steps), i.beta or float(settings.steps)
        return endpoints, spacing.by_beta(settings.frames, segments, a, b), None
    if i.spacing == "even":
        with watch.stage("drafts", model), console.progress(costs["drafts"], "drafting") as bar:
            distance = find_distance(settings.distance, model)
            profiles = spacing.measure(model, endpoints, params, settings.frames, distance, bar.advance)
        if profiles:
            schedule = spacing.even(settings.frames, profiles, settings.steps)
            if checkpointer:
                checkpointer.save(None, schedule.frames)
            return endpoints, schedule, None
    return endpoints, spacing.uniform(settings.frames, segments), None


def _params(job: Job) -> InterpolationParams:
    from laser_cli.engine.spec import SamplingParams
    from laser_cli.stages.interpolate import InterpolationParams

    settings, i = job.settings, job.request.interpolation
    sampling = SamplingParams(settings.guidance, settings.warmup, settings.chunk)
    return InterpolationParams(i.method, i.fused, i.embeddings, i.guides, settings.steps, sampling)


def _asked(request: Request, size: tuple[int, int]) -> list[Endpoint]:
    from laser_cli.output.frames import fit
    from laser_cli.stages.interpolate import Endpoint

    pictures = {k: fit(picture, size) for k, picture in request.pictures.items()}
    stops, images = request.interpolation.stops, request.images
    return [Endpoint(stop.prompt, pictures.get(k), images.get(k)) for k, stop in enumerate(stops)]


def _captions(job: Job, schedule: FrameSchedule) -> dict[int, str]:
    """The prompts at the numbers of their stops."""
    i = job.request.interpolation
    if i.at is not None:
        return {0: f"{i.at:g} of the way"}
    return {at: stop.prompt for at, stop in zip(schedule.places, i.stops, strict=True)}
