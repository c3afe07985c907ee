"""The steps of `laser interpolate` after its request is read: place it on a model, tell what it costs, draw it."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from laser_cli.cli.animate_outputs import Outputs, look_of
from laser_cli.cli.animation import RENDERING, command_line, placed
from laser_cli.cli.options import open_model, warn_prompts
from laser_cli.cli.watch import Watch

if TYPE_CHECKING:
    from collections.abc import Iterator

    from laser_cli.cli.console import Console
    from laser_cli.cli.interpolate_request import Request
    from laser_cli.engine.models import Model
    from laser_cli.settings.schema import Settings
    from laser_cli.stages.animate import Picture
    from laser_cli.stages.interpolate import Approach, Asked, Chain, Course


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


def place(request: Request) -> Job:
    """The job of a request; the model is found, not loaded."""
    import laser_cli
    from laser_cli.engine.find import find_model
    from laser_cli.output.make import fingerprint

    folder, revision = find_model(request.settings.model)
    job = Job(request, placed(request.settings, folder), "")
    told = {"command": "interpolate", "revision": revision, "version": laser_cli.__version__, **job.recorded}
    told |= {"dtype": job.settings.dtype, "device": job.settings.device.split(":")[0]}
    return Job(request, job.settings, fingerprint(told, request.inputs))


def costs_of(request: Request) -> dict[str, Any]:
    """Stops, pictures, evaluations and memory; the last is None where the model is not on this machine."""
    from laser_cli.engine.between import evaluations
    from laser_cli.settings import estimate
    from laser_cli.stages.spacing import drafting

    found = estimate.cached_model(request.settings.model)
    shape = estimate.read_shape(found[0]) if found else None
    settings, i = placed(request.settings, found[0] if found else None), request.interpolation
    stops, pictures = len(i.stops), len(request.pictures)
    drawn = 1 if i.at is not None else 0 if i.method == "dissolve" else settings.frames - stops
    even = i.spacing == "even" and i.at is None and i.method != "dissolve"
    stages = {
        "inversion": pictures * settings.steps,
        "drafts": drafting(stops - 1, settings.frames, settings.steps, settings.guidance) if even else 0,
        "rendering": evaluations(2 if i.at is not None else stops, drawn, settings.steps, settings.guidance),
    }
    size = _size(request, settings.size, shape.scale) if shape and settings.size else None
    memory = estimate.memory(found[0], shape, settings, size, stops) if found and shape and size else None
    return {
        "stops": [stop.model_dump(mode="json", exclude_none=True) for stop in i.stops],
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
    size = "{} x {} px".format(*costs["size"]) if costs["size"] else "size not known"
    console.note(f"pictures: {costs['frames']}, {size}")
    stages = ", ".join(f"{name} {n}" for name, n in costs["evaluations"].items() if n and name != "total")
    console.note(f"U-Net evaluations: at most {costs['evaluations']['total']} ({stages})")
    memory = costs["memory"]
    known = f"at least {memory['at_least'] / 2**20:.0f} MiB, libraries not counted" if memory else "not known"
    console.note(f"memory: {known}")


def perform(console: Console, job: Job, outputs: Outputs, verbose: bool) -> None:
    """Draws the interpolation and writes its outputs."""
    from laser_cli.output.sink import open_sinks
    from laser_cli.stages.interpolate import draw, prepare
    from laser_cli.stages.preview import Glimpse

    request, settings, i = job.request, job.settings, job.request.interpolation
    watch = Watch(console, verbose)
    with watch.stage("loading"):
        model = open_model(console, settings.model, settings.device, settings.dtype, settings.offload)
    warn_prompts(console, model, (*(stop.prompt for stop in i.stops), *i.guides))
    if request.revision not in (None, model.revision):
        console.warn(f"{model.name} is not what it was when the record was made: the pictures will differ")
    before, approach, size = model.rows, _approach(job), _size(request, settings.size or model.size, model.scale)
    costs = costs_of(request)["evaluations"]
    with watch.stage("inversion", model), console.progress(costs["inversion"], "inverting") as bar:
        chain = prepare(model, _asked(request, size), approach, i.seeds, size, bar.advance)
    chain, course = _course(console, watch, model, job, chain, approach, costs)
    look = look_of(settings)
    with (
        watch.stage(RENDERING, model),
        open_sinks(
            outputs.out,
            outputs.frames_dir,
            outputs.sheet,
            size=size,
            look=look,
            count=request.count,
            record=_record(model, job),
            labels=_captions(job, course),
            report=outputs.report,
            command=command_line(),
            stream=(sys.stdout.buffer, outputs.stream) if outputs.stream else None,
        ) as sink,
        console.progress(costs["rendering"], f"drawing {request.count} frames") as bar,
    ):

        def fewer(chunk: int) -> None:
            console.warn(f"out of memory: going on with {chunk} frames at a time (--chunk {chunk} begins with that)")

        glimpse = Glimpse(outputs.show) if outputs.preview else None
        pictures = draw(model, chain, approach, course, settings.exact_first, bar.advance, fewer, glimpse)
        for index, picture in enumerate(_wanted(pictures, i.at)):
            sink.add(index, picture.array)
        outputs.note_dependencies(request.read)
    if outputs.stream:
        for path in sink.paths:
            console.note(f"written: {path}")
        return
    bridged = sum(b.last - b.first + 1 for b in course.bridges)
    if bridged:
        console.note(f"jumps bridged: {len(course.bridges)}, by {bridged} frames")
    told = {"frames": request.count, "shown": look.shown(request.count), "evaluations": model.rows - before}
    times = [round(f.end - 1 + f.t, 6) for f in course.frames]
    console.result(sink.paths, {**told, "times": times, "bridged": bridged, "fingerprint": job.fingerprint})


def _wanted(pictures: Iterator[Picture], at: float | None) -> Iterator[Picture]:
    """All pictures, or with `at` the one between its two stops."""
    return pictures if at is None else (picture for picture in pictures if picture.index == 1)


def _course(
    console: Console, watch: Watch, model: Model, job: Job, chain: Chain, approach: Approach, costs: dict[str, int]
) -> tuple[Chain, Course]:
    """The chain, cut to what is drawn of it, and when its frames are."""
    from laser_cli.stages import spacing
    from laser_cli.stages.interpolate import single

    i, settings, segments = job.request.interpolation, job.settings, len(job.request.interpolation.stops) - 1
    if i.at is not None:
        return single(chain, i.at)
    if i.spacing == "beta":
        a, b = i.alpha or float(settings.steps), i.beta or float(settings.steps)
        return chain, spacing.by_beta(settings.frames, segments, a, b)
    if i.spacing == "even":
        with watch.stage("drafts", model), console.progress(costs["drafts"], "drafting") as bar:
            profiles = spacing.measure(model, chain, approach, settings.frames, report=bar.advance)
        if profiles:
            return chain, spacing.even(settings.frames, profiles, settings.steps)
    return chain, spacing.uniform(settings.frames, segments)


def _approach(job: Job) -> Approach:
    from laser_cli.engine.render import Manner
    from laser_cli.stages.interpolate import Approach

    settings, i = job.settings, job.request.interpolation
    manner = Manner(settings.guidance, settings.warmup, settings.chunk)
    return Approach(i.method, i.fused, i.embeddings, i.guides, settings.steps, manner)


def _asked(request: Request, size: tuple[int, int]) -> list[Asked]:
    from laser_cli.output.frames import fit
    from laser_cli.stages.interpolate import Asked

    pictures = {k: fit(picture, size) for k, picture in request.pictures.items()}
    return [Asked(stop.prompt, pictures.get(k)) for k, stop in enumerate(request.interpolation.stops)]


def _size(request: Request, side: int, scale: int) -> tuple[int, int]:
    """Width and height: those of the first picture at this longer side, else a square."""
    from laser_cli.output.frames import fit

    if not request.pictures:
        return side - side % scale, side - side % scale
    height, width = fit(request.pictures[min(request.pictures)], side, scale).shape[:2]
    return width, height


def _captions(job: Job, course: Course) -> dict[int, str]:
    """The prompts at the numbers of their stops."""
    i = job.request.interpolation
    if i.at is not None:
        return {0: f"{i.at:g} of the way"}
    return {at: stop.prompt for at, stop in zip(course.places, i.stops, strict=True)}


def _record(model: Model, job: Job) -> dict[str, Any]:
    from laser_cli.output.record import make_record

    i = job.request.interpolation
    # the prompt of a file is what its last picture shows; one in-between shows no one prompt
    shown = i.stops[-1].prompt if i.at is None else (i.guides[0] if len(i.guides) == 1 else None)
    return make_record(
        "interpolate",
        job.recorded,
        seed=job.settings.seed,
        prompt=shown,
        model=model.name,
        revision=model.revision,
        dtype=str(model.dtype).removeprefix("torch."),
        device=model.device.type,
        fingerprint=job.fingerprint,
    )
