"""Nothing of the user's is destroyed: outputs are compared with all that is read and with what laser did not make."""

import os
import tempfile
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from laser_cli.errors import UsageError
from laser_cli.output.atomic import FRAME_NAME
from laser_cli.output.record import has_record

OTHER_NAME = "another name for the output"
REPLACE = "another name, or --force to replace it"


def check_outputs(
    outputs: Sequence[Path],
    inputs: Iterable[Path],
    *,
    frames_dir: Path | None = None,
    force: bool = False,
    again: Path | None = None,
    ours: Mapping[Path, Callable[[Path], bool]] | None = None,
) -> None:
    """Raise UsageError for an output that is an input, that is another output, or that laser did not make.

    Files are compared, not names: links, other spellings, hard links and letter case do not matter. `again` is the
    output of an earlier run whose record is run again: it may be replaced. `force` allows to replace what others
    made, never what is read. `ours` tells of an output without a record whether laser made it. `frames_dir` counts as
    the frames in it, whichever of them will be written.
    """
    replaced = _identity(again) if again is not None else None
    read = {_identity(path): path for path in inputs}
    read.pop(None, None)
    if replaced is not None:
        read.pop(replaced, None)
    frames = frames_in(frames_dir) if frames_dir is not None else []
    for path in [*outputs, *frames]:
        source = read.get(_identity(path))
        if source is not None:
            named = "" if os.fspath(source) == os.fspath(path) else f", which is {source}"
            raise UsageError(f"{path} would be replaced{named}", why="this run reads it", hint=OTHER_NAME)
    written = [*outputs, *([frames_dir] if frames_dir is not None else [])]
    for _, later in same_names(written):
        raise UsageError("two outputs have the same name", why=f"both are {written[later]}", hint=OTHER_NAME)
    if force:
        return
    for path in [*outputs, *frames]:
        made = (ours or {}).get(path, has_record)
        if _identity(path) != replaced and path.is_file() and path.stat().st_size and not made(path):
            raise UsageError(f"{path} was not made by laser", why="it would be replaced", hint=REPLACE)


def frames_in(folder: Path) -> list[Path]:
    """The files of a folder that are named like frames."""
    try:
        return sorted(path for path in folder.iterdir() if FRAME_NAME.fullmatch(path.name))
    except OSError:  # it is not there yet, or `staged_dir` tells what is wrong with it
        return []


def _identity(path: Path) -> tuple[int, int] | None:
    """What a file is, whatever it is called; None if it is not there, or is no regular file (a pipe, a terminal)."""
    try:
        found = path.stat()
    except (OSError, ValueError):
        return None
    return (found.st_dev, found.st_ino) if path.is_file() else None


def same_names(paths: Sequence[Path]) -> list[tuple[int, int]]:
    """Pairs of numbers (earlier, later) of paths that name the same file or folder, whether it is there or not."""
    seen: dict[str, tuple[str, int]] = {}
    twice = []
    for index, path in enumerate(paths):
        real = os.path.realpath(path)
        folded = unicodedata.normalize("NFC", real).casefold()
        if folded in seen and (seen[folded][0] == real or _folds_case(Path(real).parent)):
            twice.append((seen[folded][1], index))
        seen.setdefault(folded, (real, index))
    return twice


def _folds_case(folder: Path) -> bool:
    """Whether names in a folder that differ only by case are the same file; found out by making one."""
    try:
        with tempfile.NamedTemporaryFile(prefix=".laser-a", suffix="a", dir=folder) as file:
            made = Path(file.name)
            return made.with_name(made.name.upper()).exists()
    except OSError:
        return True  # better to refuse two outputs than to lose one
