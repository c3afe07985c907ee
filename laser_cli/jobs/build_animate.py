"""An animation's job from what was asked: settings merged, picture and inversion found, the plan read or made."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from laser_cli.controls.registry import check_brought, signal
from laser_cli.errors import BadInputError, UsageError
from laser_cli.jobs.animate import AnimateJob, directed
from laser_cli.jobs.build_drive import (
    asked_drive,
    check_recorded,
    drive_by_clip,
    drive_by_plan,
    plan_of_drive,
    portrait_prompt,
    prompt_beside,
)
from laser_cli.jobs.conditions import Controlled
from laser_cli.jobs.drive import Drive
from laser_cli.jobs.inputs import Input
from laser_cli.jobs.inversion import inversion_layer
from laser_cli.jobs.merge import Layer
from laser_cli.jobs.model import settle
from laser_cli.jobs.names import Value, values_of
from laser_cli.jobs.planning import Planning, callbacks_of, request_for, shown_words
from laser_cli.jobs.presets import chosen_preset, preset_layer
from laser_cli.jobs.progress import SILENT, Progress
from laser_cli.jobs.read_conditions import (
    Nets,
    condition_named,
    read_adapter,
    read_nets,
    recorded_nets,
    require_edges,
)
from laser_cli.jobs.rerun import Recorded, read_job
from laser_cli.jobs.sampling import chosen_seed
from laser_cli.jobs.settings import AnimateSettings
from laser_cli.jobs.sources import AnimateSources
from laser_cli.plan.schema import Plan

NOTHING, BY_DEFAULT = AnimateSources(), Planning()


Ready = Callable[[Mapping[str, Value]], object]


def unheard(values: Mapping[str, Value]) -> None:
    """Names of outputs have no fields, or are made elsewhere."""


class Built(NamedTuple):
    """A job, and every file that was read for it, for dependency files."""

    job: Any
    read: tuple[Path, ...]


def build_animation(
    said: Layer,
    image: Path | None = None,
    description: str | None = None,
    sources: AnimateSources = NOTHING,
    planning: Planning = BY_DEFAULT,
    progress: Progress = SILENT,
    *,
    plan: Plan | None = None,
    verbose: bool = False,
    ready: Ready = unheard,
) -> Built:
    """The job of an animation; `said` are the settings that override all others, `plan` one that lies in no file.

    `ready` hears what names of outputs can be made of, once the settings are known and before a planner is asked.

    Errors: UsageError for what contradicts itself, BadInputError for files that cannot be used, NotFoundError for
    presets, models and planners that are not there.
    """
    rerun, inversion, prompt = sources.rerun, sources.inversion, sources.prompt
    nets = read_nets(sources)
    chosen = chosen_preset(sources.preset, rerun)
    before = read_job(rerun, AnimateJob, AnimateSettings) if rerun else None
    picture = _picture(image, before)
    if before and picture and image is None:
        progress.note(f"the record in {rerun} names the picture {picture.path}, which is read")
    if before:
        said = said.alone
    name = None
    if before and before.job.inversion and inversion is None:
        inversion, name = before.beside(before.job.inversion), before.job.inversion.name
        told = f"names the inversion {inversion}, which is read"
        missing = f"names the inversion {name}, which is not here: the picture is inverted again"
        progress.note(f"the record in {rerun} {told if inversion else missing}")
    if picture is None and inversion is not None:
        raise UsageError("--inversion needs the picture it was made of", hint="name the picture before the description")
    asked = asked_drive(sources, before)
    if asked.clip and inversion is not None:
        raise UsageError("--inversion would do nothing here", why="a driven portrait is drawn from noise")
    written, layer = _written_plan(plan, sources.plan_file, description, before, driven=asked.clip is not None)
    base = before.layer if before else preset_layer(chosen, AnimateSettings, progress)
    settings = settle(
        AnimateSettings,
        base,
        layer,
        inversion_layer(inversion) if inversion else None,
        said,
    )
    settings = settings.model_copy(update={"seed": _seed(settings.seed, progress)})
    if "distance" in said.values and not settings.even_pace:
        raise UsageError("--distance would do nothing here", why="without an even pace nothing is measured")
    if before and prompt is None and layer is None:
        prompt = before.job.plan.source
    if picture:
        picture.picture(progress.warn)  # a bad one is told now, before the planner and the model
    drive: Drive | None = None
    if asked.clip:
        # a face that is not found is told now, too
        same = before is not None and before.job.settings.fps == settings.fps
        cut = settings.frames if same or "frames" in said.values else None
        drive = drive_by_clip(asked, picture, settings, progress, cut)
        assert picture is not None and drive.track is not None
        settings = settings.model_copy(update={"frames": len(drive.track.frames)})
        if written is None and description is None:
            shown = shown_words(planning, prompt, picture.path, progress, verbose)
            shown = shown or portrait_prompt(picture, drive.puppets, progress)
            written = plan_of_drive(shown, settings.frames)
    source, words = picture.name if picture else sources.plan_file, written.description if written else prompt
    ready(values_of(settings, "animate", source, description or words, preset=sources.preset))
    if written is None:
        if picture and prompt is None:
            prompt = shown_words(planning, None, picture.path, progress, verbose)
            prompt = prompt or prompt_beside(asked, description or "", picture, settings, progress)
        written = _new_plan(planning, description or "", prompt, picture, settings, progress, verbose)
    elif prompt is not None:
        written = written.model_copy(update={"source": prompt})
    directions = directed(written, settings)
    check_brought(segment.control for segment in directions.segments)
    if "motion_from" in said.values and not any("motion" in signal(each.control) for each in directions.segments):
        why, hint = "no segment reads the picture by the control motion", "--control motion, or hybrid"
        raise UsageError("--motion-from would do nothing here", why=why, hint=hint)
    if "guidance_base" in said.values and settings.negative_prompt is not None:
        why, hint = "guidance leads away from the negative prompt alone", "one of the two"
        raise UsageError("--guidance-base would do nothing beside --negative-prompt", why=why, hint=hint)
    own = [picture] * len(directions.prompts)
    adapter = read_adapter(
        sources, before, [None] * len(own), len(own) != _keyframes(before), "keyframe", settings.model
    )
    controls = _controls(nets, directions, sources, before)
    require_edges(controls, own, "keyframe")
    if not (drive or adapter or controls or inversion):
        directions, drive = drive_by_plan(asked, directions, picture, settings, progress)
    elif directions.face:
        other = "the drive" if drive else "what else was given"
        progress.note(f"the face follows {other}, not the plan's track")
    if drive and (adapter or controls):
        raise UsageError("a drive leads the picture by itself", why="an IP-Adapter or a ControlNet was given as well")
    check_recorded(drive, asked, progress)
    if drive:
        asked_for = {name for each in (said, layer, base) if each for name in each.values}
        untold = {name: value for name, value in drive.sampling.items() if name not in asked_for}
        settings = settings.model_copy(update=untold)
    audio = before.audio(progress) if before else None
    job = AnimateJob(
        settings=settings.model_copy(update={"frames": directions.total_frames}),
        plan=directions,
        image=picture,
        inversion=Input.of(inversion, name) if inversion and drive is None else None,
        adapter=adapter,
        controls=controls,
        drive=drive,
        audio=audio or (asked.clip if asked.clip and _sounds(asked.clip) else None),
        revision=before.revision(settings) if before else None,
    )
    others = (sources.plan_file, rerun, chosen.path if chosen and chosen.own else None)
    read = (*(found.path for found in job.inputs), *(path for path in others if path and str(path) != "-"))
    return Built(job, read)


def _keyframes(before: Recorded[AnimateJob] | None) -> int:
    """How many keyframes a recorded plan has, 0 without one."""
    return len(before.job.plan.prompts) if before else 0


def _controls(
    nets: Nets, plan: Plan, sources: AnimateSources, before: Recorded[AnimateJob] | None
) -> tuple[Controlled, ...]:
    """The ControlNets with the conditions of the command line, else of the plan, else those of the record."""
    count = len(plan.prompts)
    if before and before.job.controls and not nets.nets and sources.plan_file is None:
        if count != _keyframes(before):
            why = f"the record has conditions for {_keyframes(before)} keyframes, the plan has {count}"
            raise UsageError(
                "the conditions are not as many as the keyframes", why=why, hint="--controlnet, --condition"
            )
        return recorded_nets(before)
    file = sources.plan_file or sources.rerun
    beside = file if file and str(file) != "-" else None
    named = (plan.condition, *(segment.condition for segment in plan.segments))
    planned = [tuple(condition_named(Path(text), beside) for text in each) for each in named]
    return nets.over(count, "keyframe", planned if any(named) else ())


def _picture(image: Path | None, before: Recorded[AnimateJob] | None) -> Input | None:
    """The picture that is named or recorded; None where the first picture is drawn."""
    if before is None:
        return Input.of(image) if image else None
    if before.job.image is not None:
        return before.picture(before.job.image, image, again="laser animate IMAGE --from FILE")
    if image is not None:
        why = "it drew its first picture from the prompt"
        raise BadInputError(f"the run in {before.file} had no picture", why=why, hint="leave the picture out")
    return None


def _written_plan(
    plan: Plan | None,
    file: Path | None,
    description: str | None,
    before: Recorded[AnimateJob] | None,
    *,
    driven: bool = False,
) -> tuple[Plan | None, Layer | None]:
    """The plan that is there already, None if it is to be made of the description; and what it says as a layer.

    That overrides presets; what it leaves to each segment is no setting of the run. A recorded plan is no layer.
    """
    from laser_cli.plan.files import read_plan

    if plan is None and file is None:
        if description is None and before is None and not driven:
            raise UsageError(
                "what should happen?",
                why="neither a description nor a plan nor a --drive was given",
                hint='laser animate IMAGE "the leaves turn red" -o out.mp4',
            )
        return (before.job.plan if before and description is None else None), None
    if description is not None:
        why = "the plan says what happens"
        raise UsageError("both a description and --plan", why=why, hint="leave one of them out")
    try:
        written = plan or read_plan(str(file))
    except BadInputError as error:
        error.hint = error.hint or "mend it there, or write a new one with: laser plan DESCRIPTION -o FILE.yaml"
        raise
    return written, plan_layer(written, file)


def plan_layer(plan: Plan, file: Path | None = None) -> Layer:
    """What a plan says of settings: its frames; the rest it says of each segment."""
    told = {"frames": plan.total_frames, "easing": None, "control": None, "strength": None}
    return Layer(str(file or "the plan"), told, source="plan")


def _sounds(clip: Input) -> bool:
    """Whether a drive has sound of its own."""
    from laser_cli.output.audio import has_sound
    from laser_cli.tracks.video import VIDEOS

    return clip.path.suffix.lower() in VIDEOS and has_sound(clip.path)


def _seed(seed: int, progress: Progress) -> int:
    """The seed, which is told where it was chosen by chance."""
    chosen = chosen_seed(seed)
    if chosen != seed:
        progress.note(f"seed {chosen}")
    return chosen


def _new_plan(
    planning: Planning,
    description: str,
    prompt: str | None,
    picture: Input | None,
    settings: AnimateSettings,
    progress: Progress,
    verbose: bool,
) -> Plan:
    """The plan of the planner that is asked for; its notes are told. A model's memory is free again after that."""
    from laser_cli.plan.planners import make_plan

    prompt = shown_words(planning, prompt, picture.path if picture else None, progress, verbose)
    request = request_for(
        planning, description, prompt, frames=settings.frames, easing=settings.easing, seed=settings.seed
    )
    callbacks = callbacks_of(progress, verbose)
    made, notes = make_plan(planning.planner, request, callbacks, intermediate=settings.waypoints)
    for note in notes:
        progress.note(note)
    return made
