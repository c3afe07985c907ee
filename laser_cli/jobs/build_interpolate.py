"""An interpolation's job from what was asked: settings merged, stops told apart, guides made by the planner."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from itertools import pairwise
from pathlib import Path

from laser_cli.errors import UsageError
from laser_cli.jobs.build_animate import Built, Ready, unheard
from laser_cli.jobs.interpolate import ATTENTION, MOST_STOPS, InterpolateJob
from laser_cli.jobs.merge import Layer
from laser_cli.jobs.model import settle
from laser_cli.jobs.names import values_of
from laser_cli.jobs.planning import Guiding, callbacks_of, request_for
from laser_cli.jobs.presets import chosen_preset, preset_layer
from laser_cli.jobs.progress import SILENT, Progress
from laser_cli.jobs.read_conditions import read_adapter, read_nets, recorded_nets, require_edges
from laser_cli.jobs.rerun import read_job
from laser_cli.jobs.sampling import chosen_seed
from laser_cli.jobs.settings import InterpolateSettings
from laser_cli.jobs.sources import InterpolateSources
from laser_cli.jobs.stops import fitting, read_stops, recorded_stops
from laser_cli.plan.schema import Planner

AUTO = "auto"
"""In place of a guide: the planner makes it."""
NOTHING, BY_DEFAULT = InterpolateSources(), Guiding()


def build_interpolation(
    said: Layer,
    words: Sequence[str] = (),
    sources: InterpolateSources = NOTHING,
    planning: Guiding = BY_DEFAULT,
    progress: Progress = SILENT,
    *,
    verbose: bool = False,
    ready: Ready = unheard,
) -> Built:
    """The job of an interpolation along `words`, each a prompt or the name of a picture; of a rerun, those recorded.

    `said` are the settings that override all others. `ready` and errors as of ``build_animation``.
    """
    rerun, guides = sources.rerun, sources.guides
    chosen = chosen_preset(sources.preset, rerun)
    before = read_job(rerun, InterpolateJob, InterpolateSettings) if rerun else None
    if before:
        said = said.alone
    layers = (before.layer if before else preset_layer(chosen, InterpolateSettings, progress), said)
    settings = settle(InterpolateSettings, *layers)
    files: tuple[Path, ...] = ()
    if before and not words:
        stops = recorded_stops(before, progress)
    else:
        stops, files = read_stops(words, sources.prompts, settings.model, progress, planning)
    if len(stops) > MOST_STOPS:
        raise UsageError(f"{len(stops)} stops are too many", why=f"{MOST_STOPS} are the most")
    pictured = all(stop.picture for stop in stops)
    chosen_seeds = tuple(map(chosen_seed, settings.seeds))
    if chosen_seeds != settings.seeds:
        progress.note(f"seed {', '.join(map(str, chosen_seeds))}")
    seeds = _noise(chosen_seeds, sources.latents, len(stops), pictured)
    settings = settings.model_copy(update={"seeds": seeds})
    shown = next((stop.picture.name for stop in stops if stop.picture), None)
    ready(values_of(settings, "interpolate", shown, " to ".join(stop.prompt for stop in stops), preset=sources.preset))
    segments = len(stops) - 1
    words_between, planners = (before.job.guides, before.job.guided_by) if before else ((), ())
    if guides:
        words_between, planners = _guides(guides, segments), ()
    elif len(words_between) not in (0, segments):  # of a record, beside other stops
        why = f"{len(words_between)} guides, {segments} segments"
        raise UsageError("the guides are not as many as the segments", why=why)
    own, anew = [stop.picture for stop in stops], bool(words)
    adapter = read_adapter(sources, before, own, anew, "stop", settings.model)
    controls = read_nets(sources).over(len(stops), "stop")
    if before and not anew and not sources.controlnet:
        controls = recorded_nets(before)
    require_edges(controls, own, "stop")
    job = InterpolateJob(
        settings=settings,
        stops=stops,
        guides=words_between,
        guided_by=planners,
        adapter=adapter,
        controls=controls,
        audio=before.audio(progress) if before else None,
        revision=before.revision(settings) if before else None,
    )
    _agree(job, said.values.keys(), planning)
    if settings.frames < len(stops) and settings.at is None:
        what = f"{settings.frames} frames are too few for {len(stops)} stops"
        raise UsageError(what, hint=f"--frames {len(stops)} or more")
    if "seeds" in said.values and pictured:
        progress.note("all stops are pictures, whose noise is found: --seed changes nothing")
    if guides:
        job = _guided(job, planning, progress, verbose)
    others = (*files, rerun, chosen.path if chosen and chosen.own else None)
    return Built(job, tuple(dict.fromkeys((*(i.path for i in job.inputs), *(path for path in others if path)))))


def _guides(guides: Sequence[str], segments: int) -> tuple[str, ...]:
    if len(guides) not in (1, segments):
        why = f"{len(guides)} guides, {segments} segments"
        raise UsageError("--guide is given once, or once for each segment", why=why)
    if not all(guide.strip() for guide in guides):
        raise UsageError("a guide is empty", hint="a prompt, or auto")
    said = tuple(fitting(guide) for guide in guides)
    return said * segments if len(said) == 1 else said


def _guided(job: InterpolateJob, planning: Guiding, progress: Progress, verbose: bool) -> InterpolateJob:
    """The job with every guide a prompt: where «auto» stands, the planner's for its two stops."""
    from laser_cli.plan.planners import make_guides

    pairs = list(pairwise(stop.prompt for stop in job.stops))
    guides, planners = list(job.guides), [Planner()] * len(job.guides)
    if open_ones := [k for k, guide in enumerate(job.guides) if guide == AUTO]:
        limits = request_for(planning, "", None, seed=job.seed)
        wanted, callbacks = [pairs[k] for k in open_ones], callbacks_of(progress, verbose)
        made = make_guides(planning.planner, wanted, limits, callbacks)
        for k, guide in zip(open_ones, made, strict=True):
            guides[k], planners[k] = guide.prompt, guide.planner
            for note in guide.notes:
                progress.warn(note)
            progress.note(f"guide: {guide.prompt}")
    return job.model_copy(update={"guides": tuple(guides), "guided_by": tuple(planners)})


def _noise(seeds: tuple[int, ...], latents: str | None, stops: int, pictured: bool) -> tuple[int, ...]:
    """One seed for all prompts, or one for each stop."""
    if latents == "slerp" and pictured:
        raise UsageError("--latents is for prompts", why="every stop is a picture, whose noise is found")
    if len(seeds) not in (1, stops):
        raise UsageError("--seed takes one seed, or one for each stop", why=f"{len(seeds)} seeds, {stops} stops")
    if latents == "same" and len(seeds) > 1:
        raise UsageError("both --latents same and several seeds", hint="--latents slerp, or one seed")
    return tuple(seeds[0] + k for k in range(stops)) if latents == "slerp" and len(seeds) == 1 else seeds


def _agree(job: InterpolateJob, given: Collection[str], planning: Guiding) -> None:
    """UsageError for options that would do nothing beside others."""
    s = job.settings
    attention, single, guided = s.method in ATTENTION, s.at is not None, bool(job.guides)
    one_noise = len(s.seeds) == 1 and len(job.pictures) < 2
    unplanned, for_auto = AUTO not in job.guides, "it is for --guide auto"
    no_attention, beta = f"{s.method} interpolates no attention", "it is for --spacing beta"
    for idle, option, why in (
        ("fused" in given and not attention, "--fused", no_attention),
        ("warmup" in given and not attention, "--warmup", no_attention),
        (guided and not attention, "--guide", no_attention),
        (guided and not s.fused, "--guide", "a guide enters by the frames' own keys and values: --fused"),
        ("embeddings" in given and guided, "--embeddings", "in-betweens have the guide's text"),
        ("embeddings" in given and s.method == "dissolve", "--embeddings", "a dissolve has no text"),
        ("distance" in given and s.spacing != "even", "--distance", f"{s.spacing} spacing measures none"),
        ("distance" in given and s.method == "dissolve", "--distance", "a dissolve is spaced evenly in t"),
        ("distance" in given and single, "--distance", "--at says where the picture is"),
        ("noise_slerp" in given and one_noise, "--noise-slerp", "all stops have one noise: --latents slerp"),
        ("alpha" in given and s.spacing != "beta", "--alpha", beta),
        ("beta" in given and s.spacing != "beta", "--beta", beta),
        (planning.planner_timeout is not None and unplanned, "--planner-timeout", for_auto),
        (planning.planner_gpu_layers is not None and unplanned, "--planner-gpu-layers", for_auto),
        (single and "frames" in given, "--frames", "--at draws one picture"),
        (single and "spacing" in given, "--spacing", "--at says where the picture is"),
    ):
        if idle:
            raise UsageError(f"{option} would do nothing here", why=why)
