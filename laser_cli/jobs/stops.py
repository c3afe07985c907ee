"""What lies at the stops of an interpolation: prompts and pictures, as named or as recorded."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from laser_cli.errors import BadInputError, UsageError
from laser_cli.jobs.inputs import Input
from laser_cli.jobs.interpolate import MOST_LETTERS, InterpolateJob, Stop
from laser_cli.jobs.progress import Progress
from laser_cli.jobs.prompts import source_prompt
from laser_cli.jobs.rerun import Recorded
from laser_cli.text import read_text

if TYPE_CHECKING:
    from laser_cli.jobs.planning import Captioning

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


def fitting(prompt: str) -> str:
    """The prompt, if a stop can have it."""
    if len(prompt) > MOST_LETTERS:
        raise UsageError("a prompt is too long", why=f"it has {len(prompt):,} letters, {MOST_LETTERS:,} are the most")
    return prompt
