"""An interpolation's steps and costs: the one place where its job meets the stages and the engine."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

from laser_cli.jobs.conditions import recorded_conditions
from laser_cli.jobs.outputs import look_of
from laser_cli.jobs.read_conditions import leads_of, with_conditions
from laser_cli.jobs.run import Rendering, fitted, size_of
from laser_cli.plan.schema import Planner

if TYPE_CHECKING:
    import numpy as np

    from laser_cli.engine.spec import RenderState
    from laser_cli.jobs.interpolate import InterpolateJob
    from laser_cli.jobs.progress import Progress
    from laser_cli.models.model import Model
    from laser_cli.stages.checkpoint import Checkpointer
    from laser_cli.stages.interpolate import Endpoint, Endpoints, FrameSchedule, InterpolationParams
    from laser_cli.stages.invert import Report
    from laser_cli.stages.preview import PreviewWriter


def prepare(job: InterpolateJob, model: Model, saved: Checkpointer | None, progress: Progress) -> Rendering:
    """Stops and when the frames between them are; what follows is drawn frame by frame."""
    from laser_cli.stages import interpolate as stage
    from laser_cli.stages.conditions import held_still

    settings, at = job.settings, job.settings.at
    pictures = {k: found.picture() for k, found in job.pictures.items()}
    first = pictures[min(pictures)] if pictures else None
    size = size_of(first, settings.size or model.size, model.scale)
    params, work = _params(job, model), evaluations_of(job)
    model, see = with_conditions(model, job.adapter, job.controls)
    before = model.nfe
    with progress.stage("inversion", model), progress.bar(work["inversion"], "inverting") as bar:
        asked = _asked(job, pictures, size, progress)
        for what in held_still([a.lead for a in asked]):
            progress.warn(f"{what} is seen at one stop only, and goes along with the rest")
        endpoints = stage.prepare(
            model, asked, params, settings.seeds, size, bar.advance, see, settings.negative_prompt or ""
        )
    endpoints, schedule, state = _schedule(job, model, endpoints, params, work, saved, progress)

    def frames(report: Report, preview: PreviewWriter | None) -> Iterator[np.ndarray]:
        aids = (settings.exact_first, report, progress.warn, preview, saved, state)
        drawn = stage.interpolate(model, endpoints, params, schedule, *aids)
        # of a single one the stops on both sides are drawn as well
        return (picture.array for picture in drawn if at is None or picture.index == 1)

    def told() -> Mapping[str, Any]:
        if schedule.late:
            progress.note(f"jumps bridged: {schedule.jumps}, by {schedule.late} frames")
        return {"times": [round(f.segment + f.t, 6) for f in schedule.frames], "bridged": schedule.late}

    # the prompt of a file is what its last picture shows; one in-between shows no one prompt
    shown = job.stops[-1].prompt if at is None else (job.guides[0] if len(job.guides) == 1 else None)
    labels = (
        {place: stop.prompt for place, stop in zip(schedule.places, job.stops, strict=True)}
        if at is None
        else {0: f"{at:g} of the way"}
    )
    return Rendering(model, size, labels, job.record(model, shown), work["rendering"], before, frames, told)


def evaluations_of(job: InterpolateJob) -> dict[str, int]:
    """U-Net evaluations at most, stage by stage: inverting the pictures, drafts, rendering."""
    from laser_cli.engine.render import nfe
    from laser_cli.stages.spacing import drafting_nfe

    settings, stops = job.settings, len(job.stops)
    single, dissolves = settings.at is not None, settings.method == "dissolve"
    drawn = 1 if single else 0 if dissolves else settings.frames - stops
    even = settings.spacing == "even" and not single and not dissolves
    stages = {
        "inversion": len(job.pictures) * settings.steps,
        "drafts": drafting_nfe(stops - 1, settings.frames, settings.steps, settings.guidance) if even else 0,
        "rendering": nfe((2 if single else stops) + drawn, settings.steps, settings.guidance),
    }
    return {**stages, "total": sum(stages.values())}


def costs(job: InterpolateJob) -> dict[str, Any]:
    """Stops, frames, evaluations, memory and time; the last two are None where the model is not on this machine."""
    from laser_cli.jobs.costs import on_this_machine

    pictures = job.pictures
    first = pictures[min(pictures)].picture() if pictures else None
    here, told = on_this_machine(job, first, len(job.stops), evaluations_of(job))
    return {
        "stops": [{key: value for key, value in stop.recorded.items() if value is not None} for stop in job.stops],
        "adapter": None,
        **recorded_conditions(job.adapter, job.controls),
        "guides": [
            {"prompt": guide, "by": planner.model_dump(mode="json")}
            for guide, planner in zip_longest(job.guides, job.guided_by, fillvalue=Planner())
        ],
        "frames": job.count,
        "shown": look_of(job.settings).shown(job.count),
        **told,
        "settings": here.recorded,
    }


def _schedule(
    job: InterpolateJob,
    model: Model,
    endpoints: Endpoints,
    params: InterpolationParams,
    work: Mapping[str, int],
    saved: Checkpointer | None,
    progress: Progress,
) -> tuple[Endpoints, FrameSchedule, RenderState | None]:
    """The endpoints that are rendered; when the frames are; and the state of a broken run that is gone on with."""
    from laser_cli.stages import spacing
    from laser_cli.stages.distances import find_distance
    from laser_cli.stages.interpolate import FrameSchedule, single_frame

    settings, segments = job.settings, len(job.stops) - 1
    between = settings.frames - segments - 1 if settings.at is None else 1
    found = saved.load(model.device, between) if saved else None
    if settings.at is not None:
        return *single_frame(endpoints, settings.at), found.state if found else None
    if found:
        return endpoints, FrameSchedule.of(found.frames, segments + 1), found.state
    if settings.spacing == "beta":
        a, b = settings.alpha or float(settings.steps), settings.beta or float(settings.steps)
        return endpoints, spacing.by_beta(settings.frames, segments, a, b), None
    if settings.spacing == "even":
        with progress.stage("drafts", model), progress.bar(work["drafts"], "drafting") as bar:
            distance = find_distance(settings.distance, model)
            profiles = spacing.measure(model, endpoints, params, settings.frames, distance, bar.advance)
        if profiles:
            schedule = spacing.even(settings.frames, profiles, settings.steps)
            if saved:
                saved.save(None, schedule.frames)
            return endpoints, schedule, None
    return endpoints, spacing.uniform(settings.frames, segments), None


def _params(job: InterpolateJob, model: Model) -> InterpolationParams:
    from laser_cli.engine.spec import SamplingParams
    from laser_cli.stages.interpolate import InterpolationParams

    s = job.settings
    sampling = SamplingParams(model.cfg_scale(s.guidance), s.warmup, s.chunk)
    return InterpolationParams(s.method, s.fused, s.embeddings, s.noise_slerp, job.guides, s.steps, sampling)


def _asked(
    job: InterpolateJob, pictures: Mapping[int, np.ndarray], size: tuple[int, int], progress: Progress
) -> list[Endpoint]:
    from laser_cli.stages.interpolate import Endpoint

    shown = {k: fitted(picture, size, 1, job.settings.fit, progress) for k, picture in pictures.items()}
    leads = leads_of(job.adapter, job.controls, len(job.stops), shown)
    return [Endpoint(stop.prompt, shown.get(k), leads[k]) for k, stop in enumerate(job.stops)]
