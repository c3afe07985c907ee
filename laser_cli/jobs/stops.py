"""What lies at the stops of an interpolation: prompts, pictures and image prompts, as named or as recorded."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from laser_cli.errors import BadInputError, NotFoundError, UsageError
from laser_cli.jobs.inputs import Input, name_in_record
from laser_cli.jobs.interpolate import MOST_LETTERS, Adapter, Controlled, InterpolateJob, Stop
from laser_cli.jobs.progress import Progress
from laser_cli.jobs.prompts import source_prompt
from laser_cli.jobs.rerun import Recorded
from laser_cli.jobs.sources import InterpolateSources
from laser_cli.models.options import files_key, weighted_path
from laser_cli.text import read_text

if TYPE_CHECKING:
    import numpy as np

    from laser_cli.jobs.planning import Captioning
    from laser_cli.models.pose import Pose

ENDINGS = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".avif", ".heic")


def is_picture(text: str) -> bool:
    """Whether a word of the command line is a file, or is named like a picture, and no prompt."""
    try:
        return text == "-" or Path(text).suffix.lower() in ENDINGS or Path(text).exists()
    except (OSError, ValueError):  # longer than a name can be, or with letters that none has
        return False


def words_of(text: str | None) -> tuple[str | None, Path | None]:
    """A text as given, or what stands in FILE for ``@FILE``, and that file."""
    if text is None or not text.startswith("@"):
        return text, None
    path = Path(text[1:])
    try:
        return " ".join(read_text(path).split()), path
    except BadInputError as error:
        error.hint = error.hint or "@FILE takes the words from a text file"
        raise


def read_stops(
    words: Sequence[str], prompts: Sequence[str], model: str, progress: Progress, captioning: Captioning | None = None
) -> tuple[tuple[Stop, ...], tuple[Path, ...]]:
    """The stops that are named, and the files that prompts were in; what a picture shows is found as by laser invert.

    `prompts` say it of the pictures in their order.
    """
    if len(words) < 2:
        hint = 'laser interpolate "a red ball in a meadow" "a blue cube in a meadow" -o out.mp4'
        raise UsageError("two stops are needed at least", why=f"{len(words)} given", hint=hint)
    places = [k for k, text in enumerate(words) if is_picture(text)]
    if prompts and len(prompts) != len(places):
        why = f"{len(prompts)} prompts, {len(places)} pictures"
        raise UsageError("--prompt says what the pictures show, once for each", why=why)
    stops: list[Stop] = []
    files: list[Path] = []
    for k, text in enumerate(words):
        if k in places:
            picture = Input.of(Path(text))
            given = prompts[places.index(k)] if prompts else None
            image = picture.picture(progress.warn)
            shown = source_prompt(progress, given, picture.path, image, model, picture.name, captioning)
            stops.append(Stop(prompt=fitting(shown), picture=picture))
            continue
        prompt, file = words_of(text)
        files += [file] if file else []
        if not prompt or not prompt.strip():
            raise UsageError("a stop is empty", hint="a prompt, or the name of a picture")
        stops.append(Stop(prompt=fitting(prompt)))
    return tuple(stops), tuple(files)


def recorded_stops(before: Recorded[InterpolateJob], progress: Progress) -> tuple[Stop, ...]:
    """The stops of a record; their pictures are looked for, and checked by their SHA-256."""
    again = "laser interpolate A B --from FILE"
    stops = []
    for stop in before.job.stops:
        picture = before.picture(stop.picture, again=again) if stop.picture else None
        if picture:
            progress.note(f"the record in {before.file} names the picture {picture.path}, which is read")
            picture.picture(progress.warn)
        stops.append(stop.model_copy(update={"picture": picture}))
    return tuple(stops)


def read_adapter(
    sources: InterpolateSources, before: Recorded[InterpolateJob] | None, stops: tuple[Stop, ...], anew: bool
) -> Adapter | None:
    """The adapter that is asked for, or that of the record that is run again, and its image prompts.

    Without any named, stops that are pictures are their own. `anew`: the stops are not those of the record.
    """
    recorded = before.job.adapter if before else None
    if sources.ip_adapter is None and recorded is None:
        for option, value in (("--ip-scale", sources.ip_scale), ("--image-prompt", sources.image_prompt or None)):
            if value is not None:
                raise UsageError(f"{option} would do nothing here", why="it is for --ip-adapter")
        return None
    file = _adapter_file(sources.ip_adapter, before)
    shown = _shown(sources.image_prompt, before, stops, anew)
    if not any(shown):
        why = "no stop is a picture, and no --image-prompt was given"
        raise UsageError(
            "--ip-adapter has no picture to draw by", why=why, hint="--image-prompt A.png --image-prompt B.png"
        )
    for picture in shown:
        if picture:
            picture.picture()
    scale = sources.ip_scale if sources.ip_scale is not None else recorded.scale if recorded else 0.6
    return Adapter(file=file, scale=scale, images=shown)


def read_controls(
    sources: InterpolateSources, before: Recorded[InterpolateJob] | None, stops: tuple[Stop, ...], anew: bool
) -> tuple[Controlled, ...]:
    """The ControlNets that are asked for, or those of the record that is run again, with a condition for each stop."""
    recorded = before.job.controls if before and not anew else ()
    if not sources.controlnet and not sources.condition:
        return tuple(_again(control, before) for control in recorded if before)
    if not sources.controlnet:
        raise UsageError("--condition would do nothing here", why="it is for --controlnet")
    count = len(sources.controlnet) * len(stops)
    if len(sources.condition) != count:
        why = f"{len(sources.controlnet)} ControlNets and {len(stops)} stops take {count} conditions"
        raise UsageError(f"--condition is given {len(sources.condition)} times", why=f"{why}, net by net")
    conditions = [Input.of(path) for path in sources.condition]
    for condition in conditions:
        condition_of(condition)
    made = []
    for i, text in enumerate(sources.controlnet):
        path, weight = weighted_path(text, "--controlnet")
        mine = conditions[i * len(stops) : (i + 1) * len(stops)]
        made.append(Controlled(net=_net(path), weight=weight, conditions=tuple(mine)))
    return tuple(made)


def condition_of(file: Input) -> np.ndarray | Pose:
    """A condition's picture (h, w, 3) uint8, or the pose in a .json; BadInputError if it cannot be read."""
    from laser_cli.models.pose import read_pose

    return read_pose(file.path) if file.path.suffix.lower() == ".json" else file.picture()


def _again(control: Controlled, before: Recorded[InterpolateJob]) -> Controlled:
    """A recorded ControlNet where it lies now, checked by its digest."""
    hint = "name it and its conditions: --controlnet PATH --condition FILE"
    net = _net(control.net.path, hint)
    if net.sha256 != control.net.sha256:
        what = f"{net.path} is not the ControlNet that {before.file} was made with"
        raise BadInputError(what, why="its digest is another", hint=hint)
    conditions = tuple(before.picture(each, again="--condition FILE") for each in control.conditions)
    return control.model_copy(update={"net": net, "conditions": conditions})


def _net(path: Path, hint: str = "--controlnet with a folder or a .safetensors; hf download NAME brings one") -> Input:
    if not path.exists():
        raise NotFoundError(f"there is no ControlNet {path}", why="no such folder or file", hint=hint)
    return Input(name=name_in_record(path), path=path, sha256=files_key(path))


def _adapter_file(path: Path | None, before: Recorded[InterpolateJob] | None) -> Input:
    """The adapter's file: as named, else the recorded one, checked by its SHA-256."""
    from laser_cli.models.adapter import find_adapter

    if path is not None:
        return Input.of(find_adapter(path))
    assert before and before.job.adapter
    recorded = before.job.adapter.file
    found = before.beside(recorded)
    if found is None:
        what = f"there is no IP-Adapter {recorded.name}"
        raise NotFoundError(what, why=f"{before.file} was made with it", hint="name it: --ip-adapter FILE")
    file = Input.of(find_adapter(found))
    if file.sha256 != recorded.sha256:
        what = f"{file.path} is not the IP-Adapter that {before.file} was made with"
        raise BadInputError(what, why="its SHA-256 is another", hint="--ip-adapter FILE takes it all the same")
    return file


def _shown(
    named: Sequence[Path], before: Recorded[InterpolateJob] | None, stops: tuple[Stop, ...], anew: bool
) -> tuple[Input | None, ...]:
    """The image prompts, one for each stop."""
    if named:
        if len(named) != len(stops):
            why = f"{len(named)} image prompts, {len(stops)} stops"
            raise UsageError("--image-prompt is given once for each stop, or not at all", why=why)
        return tuple(Input.of(path) for path in named)
    if before and before.job.adapter and not anew:
        images, again = before.job.adapter.images, "--image-prompt PICTURE"
        return tuple(before.picture(image, again=again) if image else None for image in images)
    return tuple(stop.picture for stop in stops)


def fitting(prompt: str) -> str:
    """The prompt, if a stop can have it."""
    if len(prompt) > MOST_LETTERS:
        raise UsageError("a prompt is too long", why=f"it has {len(prompt):,} letters, {MOST_LETTERS:,} are the most")
    return prompt
