"""An animation's steps and costs: the one place where its job meets the stages and the engine."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from laser_cli.errors import BadInputError
from laser_cli.jobs.conditions import recorded_conditions
from laser_cli.jobs.outputs import look_of
from laser_cli.jobs.prompts import warn_picture
from laser_cli.jobs.read_conditions import leads_of, with_conditions
from laser_cli.jobs.run import Rendering, fitted, size_of

if TYPE_CHECKING:
    import numpy as np

    from laser_cli.jobs.animate import AnimateJob
    from laser_cli.jobs.progress import Progress
    from laser_cli.jobs.settings import AnimateSettings
    from laser_cli.models.adapter import See
    from laser_cli.models.model import Model
    from laser_cli.stages.animate import Direction, Leads
    from laser_cli.stages.checkpoint import Checkpointer
    from laser_cli.stages.invert import Inversion, Report
    from laser_cli.stages.preview import PreviewWriter


def prepare(job: AnimateJob, model: Model, saved: Checkpointer | None, progress: Progress) -> Rendering:
    """The first picture and its inversion; what follows is drawn frame by frame."""
    if job.drive:
        from laser_cli.jobs import run_portrait

        return run_portrait.prepare(job, model, saved, progress)
    from laser_cli.engine.spec import SamplingParams
    from laser_cli.stages.animate import animate
    from laser_cli.stages.distances import at_first_use

    settings, guidance = job.settings, model.cfg_scale(job.settings.guidance)
    model, see = with_conditions(model, job.adapter, job.controls)
    with progress.stage("first picture", model):
        picture, leads = _first_picture(job, model, see, progress)
    with progress.stage("inversion", model):
        inversion = _inversion(job, model, picture, leads, progress)
    warn_picture(progress, model, inversion, picture)
    params = SamplingParams(guidance, settings.warmup, settings.chunk, settings.motion_from)
    first = picture if settings.exact_first else None
    distance = at_first_use(settings.distance, model) if settings.even_pace else None

    def frames(report: Report, preview: PreviewWriter | None) -> Iterator[np.ndarray]:
        aids = (report, distance, saved, progress.warn, preview)
        direction = direction_of(settings, leads)
        return (drawn.array for drawn in animate(model, job.plan, inversion, params, first, *aids, direction))

    return Rendering(
        model=model,
        size=(picture.shape[1], picture.shape[0]),
        labels=job.labels,
        record=job.record(model, job.plan.prompts[-1], input_sha256=job.image.sha256 if job.image else None),
        evaluations=evaluations_of(job, drawn_first=False, inverted=False)["total"],
        before=model.nfe,
        frames=frames,
        told=lambda: {"plan": job.recorded["plan"]},
    )


def direction_of(settings: AnimateSettings, leads: Leads | None = None) -> Direction:
    """What settings lead an animation by."""
    from laser_cli.stages.animate import Direction

    how = (settings.negative_prompt, settings.guidance_base, settings.strength_scale)
    return Direction(*how, settings.local_blend, settings.carry, leads, settings.fresh_noise, settings.seed)


def evaluations_of(job: AnimateJob, *, drawn_first: bool, inverted: bool) -> dict[str, int]:
    """U-Net evaluations, stage by stage: drawing the first picture, inverting it, drafting its pace, rendering."""
    # the engine's own counts, so that no second formula can differ from them
    from laser_cli.engine import invert, render
    from laser_cli.stages import carrying, pacing

    settings, plan = job.settings, job.plan
    if job.drive:
        from laser_cli.controls.knit.versions import find_version
        from laser_cli.stages import clip
        from laser_cli.stages.sitting import READ

        count, steps, guidance = plan.total_frames, settings.steps, settings.guidance
        if job.drive.clips:
            stills = any(net.role == "animatediff" for net in find_version(job.drive.adapters.name).nets)
            drawn = READ + clip.nfe(count, steps, guidance, stills)
        else:
            drawn = READ + render.nfe(count, steps, guidance)
        own = invert.nfe(steps, "direct") if settings.fresh_noise < 1 and job.drive.stylize is None else 0
        drafts = 0
        if settings.even_pace and job.drive.only_goes_on:
            settles = int(own > 0)  # a keyframe more, where the noise has settled
            drafts = pacing.nfe(len(plan.segments) + settles, count, steps, guidance, unguided=0)
        total = drawn + own + drafts
        return {"first_picture": 0, "inversion": own, "pacing": drafts, "rendering": drawn, "total": total}
    guided = 2 if settings.guidance != 1 else 1
    unguided = int(settings.negative_prompt is None)  # guidance leads away from the source's own prompt
    way = (len(plan.segments), plan.total_frames, settings.steps, settings.guidance)
    looks = 0
    if settings.carry and not (job.adapter or job.controls):
        looks = carrying.nfe(plan, plan.source, settings.fresh_noise > 0, settings.steps)
    stages = {
        "first_picture": settings.steps * guided if drawn_first else 0,
        "inversion": invert.nfe(settings.steps, settings.method) if inverted else 0,
        "pacing": pacing.nfe(*way, unguided) if settings.even_pace else 0,
        "rendering": looks + render.nfe(plan.total_frames, settings.steps, settings.guidance, unguided=unguided),
    }
    return {**stages, "total": sum(stages.values())}


def costs(job: AnimateJob) -> dict[str, Any]:
    """Plan, frames, evaluations, memory and time; the last two are None where the model is not on this machine."""
    from laser_cli.jobs.costs import on_this_machine

    evaluations = evaluations_of(job, drawn_first=job.image is None, inverted=job.inversion is None)
    picture = job.image.picture() if job.image else None
    here, told = on_this_machine(job, picture, len(job.plan.segments), evaluations)
    return {
        "plan": job.plan.model_dump(mode="json"),
        **recorded_conditions(job.adapter, job.controls),
        "frames": job.count,
        "shown": look_of(job.settings).shown(job.count),
        **told,
        "settings": here.settings.model_dump(mode="json"),
    }


def _first_picture(
    job: AnimateJob, model: Model, see: See | None, progress: Progress
) -> tuple[np.ndarray, Leads | None]:
    """The picture at the size it is drawn in, read or drawn from the source prompt, and what leads the keyframes."""
    from laser_cli.stages.animate import Leads, generate
    from laser_cli.stages.conditions import held_still

    settings, count = job.settings, len(job.plan.prompts)
    side = settings.size or model.size
    picture = fitted(job.image.picture(), side, model.scale, settings.fit, progress) if job.image else None
    leads = None
    if job.adapter or job.controls:
        own = dict.fromkeys(range(count), picture) if picture is not None else {}
        leads = Leads(leads_of(job.adapter, job.controls, count, own), see)
        for what in held_still(leads.keyframes):
            progress.warn(f"{what} is seen at one keyframe only, and goes along with the rest")
    if picture is not None:
        return picture, leads
    how = (settings.seed, settings.steps, model.cfg_scale(settings.guidance), size_of(None, side, model.scale))
    with progress.bar(settings.steps * 2, "drawing the first picture") as bar:
        away = settings.negative_prompt or ""
        return generate(model, job.plan.source, *how, bar.advance, away, leads), leads


def _inversion(
    job: AnimateJob, model: Model, picture: np.ndarray, leads: Leads | None, progress: Progress
) -> Inversion:
    """The picture's inversion: from the file, checked against this run, or made now under what leads it."""
    from laser_cli.engine.invert import nfe
    from laser_cli.stages.animate import source_conditioning
    from laser_cli.stages.invert import invert_picture, load_inversion

    settings, source, digest = job.settings, job.plan.source, job.image.sha256 if job.image else ""
    if job.inversion is None:
        told = source_conditioning(model, source, leads, (picture.shape[1], picture.shape[0]))
        with progress.bar(nfe(settings.steps, settings.method), "inverting") as bar:
            how = (settings.steps, settings.method, digest, bar.advance)
            return invert_picture(model, picture, source, *how, conditioning=told)
    inversion = load_inversion(job.inversion.path, model)
    shape = (picture.shape[0] // model.scale, picture.shape[1] // model.scale)
    for what, theirs, ours in (
        ("number of steps", inversion.steps, settings.steps),
        ("method", inversion.method, settings.method),
        ("picture", inversion.input_sha256, digest),
        ("size", tuple(inversion.trajectory.latents.shape[2:]), shape),
        ("source prompt", inversion.prompt, source),
    ):
        if theirs != ours:
            raise BadInputError(
                f"{job.inversion.path} does not fit this run",
                why=f"its {what} is {theirs}, here it is {ours}",
                hint="leave out what differs, or invert again",
            )
    return inversion
