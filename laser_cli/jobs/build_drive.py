"""The drive of an animation from what was asked: adapters found, faces read, the track brought onto the portrait."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from laser_cli.errors import BadInputError, NotFoundError, UsageError, parsing
from laser_cli.jobs.drive import RATIO, Drive
from laser_cli.jobs.inputs import Input, name_in_record
from laser_cli.jobs.playback import MOST_FRAMES
from laser_cli.jobs.progress import Progress
from laser_cli.jobs.settings import AnimateSettings
from laser_cli.jobs.sources import AnimateSources

if TYPE_CHECKING:
    from laser_cli.controls.knit.find import Adapters
    from laser_cli.jobs.animate import AnimateJob
    from laser_cli.jobs.rerun import Recorded
    from laser_cli.plan.schema import Plan
    from laser_cli.tracks.schema import FaceTrack

OF_A_CLIP = ("drive_ratio", "drive_from", "drive_to", "relative", "drive_puppet")
TRACKED = "pip install 'laser-cli[faces]', or name tracks made elsewhere (laser track): --drive TRACK --face TRACK"
PORTRAIT = "a portrait of a person"
"""What a portrait of which nothing is told is said to show."""


@dataclass(frozen=True)
class Asked:
    """What was asked of a drive: by options, else by the record that is run again."""

    clip: Input | None
    face: Input | None
    adapter: str | None
    clips: bool | None
    stylize: str | None
    ratio: float
    start: float | None
    end: float | None
    relative: bool
    puppet: bool
    recorded: Drive | None = None


def asked_drive(sources: AnimateSources, before: Recorded[AnimateJob] | None) -> Asked:
    """What the options and the record say of a drive. UsageError for options that would do nothing."""
    from laser_cli.controls.knit.find import OWN

    recorded = before.job.drive if before else None
    clip = _file(sources.drive, recorded.clip if recorded else None, before, "--drive FILE")
    if clip is None:
        for name in OF_A_CLIP:
            if getattr(sources, name) is not None:
                option = "--" + name.replace("_", "-")
                raise UsageError(f"{option} would do nothing here", why="it is for --drive")
    if sources.drive_from is not None and sources.drive_to is not None and sources.drive_to <= sources.drive_from:
        why = f"it would end at {sources.drive_to:g} s and begin at {sources.drive_from:g} s"
        raise UsageError("--drive-to has to come after --drive-from", why=why)
    named = recorded.adapters.name if recorded else None

    def said(name: str, other: Any) -> Any:
        value = getattr(sources, name)
        return value if value is not None else other

    return Asked(
        clip=clip,
        face=_file(sources.face, recorded.face if recorded else None, before, "--face FILE"),
        # the model's own are found anew
        adapter=said("portrait_adapter", None if named == OWN else named),
        clips=said("motion_modules", recorded.clips if recorded else None),
        stylize=said("stylize", recorded.stylize.name if recorded and recorded.stylize else None),
        ratio=said("drive_ratio", recorded.ratio if recorded else RATIO),
        start=said("drive_from", recorded.start if recorded else None),
        end=said("drive_to", recorded.end if recorded else None),
        relative=said("relative", recorded.relative if recorded else False),
        puppet=said("drive_puppet", recorded.puppet if recorded else False),
        recorded=recorded,
    )


def _file(given: Path | None, recorded: Input | None, before: Recorded[AnimateJob] | None, again: str) -> Input | None:
    if given is not None:
        if not given.is_file():
            raise BadInputError(f"cannot read {given}", why="there is no such file")
        return Input.of(given)
    return before.picture(recorded, again=again) if recorded and before else None


def drive_by_clip(
    asked: Asked, picture: Input | None, settings: AnimateSettings, progress: Progress, frames: int | None
) -> Drive:
    """The drive by a video or a track, read before the planner and the model.

    `frames`: at most so many. Raises BadInputError where no face is found in the portrait or in the drive.
    """
    from laser_cli.controls.knit.find import needed_adapters
    from laser_cli.tracks.read import Reading, read_track

    assert asked.clip is not None
    if picture is None:
        raise UsageError("--drive needs a portrait", hint="laser animate portrait.png --drive clip.mp4 -o out.mp4")
    adapters = needed_adapters(asked.adapter, settings.model, asked.clips)
    own = _own_face(asked, adapters, picture)
    reading = Reading(asked.start, asked.end, settings.fps, puppet=asked.puppet)
    try:
        with parsing(f"cannot read the drive {asked.clip.path}"):
            track, notes = read_track(asked.clip.path, reading, progress.bar)
    except (NotFoundError, BadInputError) as error:
        if isinstance(error, NotFoundError):
            error.hint = TRACKED
        if adapters.puppets and not asked.puppet:
            error.hint = f"{error.hint or 'use another clip'}; a puppet's video is read with --drive-puppet"
        raise
    for note in notes:
        progress.note(f"{asked.clip.name}: {note}")
    drive = _onto(asked, adapters, own, track, asked.relative)
    assert drive.track is not None
    if len(drive.track.frames) < 2:
        raise BadInputError(
            f"{asked.clip.name} moves nothing",
            why="one frame has no movement of its own"
            if asked.relative
            else "its one frame is the portrait's face already",
            hint="leave --relative out, or use a longer drive" if asked.relative else "use a longer drive",
        )
    if drive.lead:
        progress.note(
            f"the drive begins elsewhere: {drive.lead} frames lead there (--relative takes its changes alone)"
        )
    return _cut(drive, frames, progress)


def _cut(drive: Drive, frames: int | None, progress: Progress) -> Drive:
    """The drive's first frames, where fewer are asked for."""
    assert drive.track is not None
    count = len(drive.track.frames)
    if count > MOST_FRAMES and frames is None:
        hint = "--drive-to, a lower --fps, or --frames"
        raise BadInputError(f"the drive has {count:,} frames", why=f"{MOST_FRAMES:,} are the most", hint=hint)
    if frames is None or frames == count:
        return drive
    if frames > count:
        progress.warn(f"the drive has {count} frames at this rate: {frames} cannot be drawn of it")
        return drive
    return drive.model_copy(update={"track": drive.track.with_values(drive.track.values[:frames])})


def drive_by_plan(
    asked: Asked, plan: Plan, picture: Input | None, settings: AnimateSettings, progress: Progress
) -> tuple[Plan, Drive | None]:
    """The plan with the face that it tells, and the drive by that; None where no face moves, or nothing can draw it."""
    from laser_cli.controls.knit.find import find_adapters
    from laser_cli.tracks.planned import planned_track

    needed = asked.adapter is not None or bool(asked.clips)
    if picture is None:
        if plan.face:
            progress.warn("the plan moves a face, which takes a portrait: without one faces follow the prompts alone")
        return plan, None
    adapters = find_adapters(asked.adapter, settings.model, asked.clips)
    if adapters is None:
        if plan.face:
            progress.warn(f"{settings.model} has no portrait adapters: faces follow the prompts alone")
        return plan, None
    plan = plan if plan.face else plan.model_copy(update={"face": told_face(plan, adapters)})
    if not plan.face:
        if needed:
            progress.warn("the plan moves no face: the portrait adapters have nothing to do")
        return plan, None
    try:
        own = _own_face(asked, adapters, picture)
    except (BadInputError, NotFoundError) as error:
        # asked for with words alone, a picture need not be a portrait
        if needed or asked.face:
            raise
        progress.warn(f"{error.what}: faces follow the prompts alone")
        return plan, None
    track = planned_track(plan, settings.fps, seed=settings.seed, source="the plan")
    # its first point is the face that the words found: what it moves is counted from there
    return plan, _onto(asked, adapters, own, track, relative=True)


def told_face(plan: Plan, adapters: Adapters) -> tuple[Any, ...]:
    """The face that a plan's description tells, stage by stage, and for puppets its prompts."""
    from laser_cli.plan.rules.face_track import face_track

    # captions of puppets begin with one of these words; what reads them imports torch
    if not adapters.puppets or not any(word in plan.source for word in ("portrait", "face")):
        return face_track(plan.description, [at for at, _ in plan.stages])
    from laser_cli.storybook import driving

    return driving.told_face(plan)


def _own_face(asked: Asked, adapters: Adapters, picture: Input) -> FaceTrack:
    """The portrait's own face: of its track, else found in the picture."""
    from laser_cli.controls.knit.driven import head_pose
    from laser_cli.tracks.read import Reading, read_face, read_track

    if asked.face:
        with parsing(f"cannot read the face {asked.face.path}"):
            own = read_track(asked.face.path, Reading())[0]
    else:
        try:
            own = read_face(picture.picture(), picture.name, puppet=adapters.puppets)
        except BadInputError as error:
            error.hint = "use a portrait, or name a track of its face with --face"
            raise
        except NotFoundError as error:
            error.hint = TRACKED
            raise
    if not adapters.puppets:
        head_pose(own)  # a head whose place is not known is told now
    return own.with_values(own.values[:1])


def _onto(asked: Asked, adapters: Adapters, own: FaceTrack, track: FaceTrack, relative: bool) -> Drive:
    """The drive by a track, made the portrait's."""
    from laser_cli.storybook.driving import as_puppet
    from laser_cli.tracks.onto import onto_face

    if adapters.puppets:
        own, track = as_puppet(own), as_puppet(track)
    track, lead = onto_face(track, own, relative=relative)
    return Drive(
        adapters=Input(name=_named(adapters), path=adapters.path or Path(adapters.name), sha256=adapters.digest),
        puppets=adapters.puppets,
        clips=adapters.clips,
        clip=asked.clip,
        face=asked.face,
        stylize=_reader(asked.stylize),
        ratio=asked.ratio,
        start=asked.start,
        end=asked.end,
        relative=asked.relative,
        puppet=asked.puppet,
        own=own,
        track=as_puppet(track) if adapters.puppets else track,
        lead=lead,
    )


def _named(adapters: Adapters) -> str:
    return name_in_record(adapters.path) if adapters.path and adapters.name == str(adapters.path) else adapters.name


def check_recorded(drive: Drive | None, asked: Asked, progress: Progress) -> None:
    """Say when the adapters are not those that the record names."""
    if drive and asked.recorded and drive.adapters.sha256 != asked.recorded.adapters.sha256:
        progress.warn("the portrait adapters are not what they were when the record was made: frames will differ")


def _reader(model: str | None) -> Input | None:
    """The model that reads the portrait, by the digest of its weights."""
    if model is None:
        return None
    from laser_cli.models.find import find_model

    found = find_model(model)
    name = Path(model).name if Path(model).is_absolute() else model
    return Input(name=name, path=Path(model), sha256=found.revision)


def plan_of_drive(prompt: str, frames: int) -> Plan:
    """The plan of a portrait that only its drive moves."""
    from laser_cli.plan.schema import Plan, Segment

    segment = Segment(prompt=prompt, control="hold", strength=0.0, frames=frames, easing="linear")
    return Plan(source=prompt, segments=(segment,))


def prompt_beside(
    asked: Asked, description: str, picture: Input, settings: AnimateSettings, progress: Progress
) -> str | None:
    """What a portrait shows, where the description moves its face and adapters are there to draw it; else None."""
    from laser_cli.controls.knit.find import find_adapters
    from laser_cli.plan.rules.face_track import face_track

    if not (asked.clip or face_track(description)):
        return None
    adapters = find_adapters(asked.adapter, settings.model)
    return portrait_prompt(picture, adapters.puppets, progress) if adapters else None


def portrait_prompt(picture: Input, puppets: bool, progress: Progress) -> str:
    """What a portrait that carries no prompt shows, but for its face: as the classifier reads it, or in general."""
    if not puppets:
        return PORTRAIT
    from laser_cli.stages.invert import to_tensor
    from laser_cli.storybook.classifier import load_classifier
    from laser_cli.storybook.describe import describe_looks

    prompt = describe_looks(load_classifier(), to_tensor(picture.picture())[0])
    progress.note(f"{picture.name} carries no prompt; read from the picture: {prompt}")
    return prompt
