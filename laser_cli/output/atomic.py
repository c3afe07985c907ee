"""Nothing appears at its name until it is complete: files are made in a temporary folder beside it, then moved."""

import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from laser_cli.errors import BadInputError, LaserError, UsageError
from laser_cli.output.record import has_png_record

FRAME_NAME = re.compile(r"frame_\d{4,}\.png")


@contextmanager
def staged(target: Path) -> Iterator[Path]:
    """Yield a path of the same name in a fresh folder beside `target`; on success it replaces `target`."""
    # a link stays a link: the file that it points to is replaced
    target = Path(os.path.realpath(target))
    if target.is_dir():
        raise UsageError(f"{target.name} is a folder", hint="name a file in it")
    if target.exists() and not target.is_file():
        raise UsageError(f"{target.name} is not a regular file", why="the output is moved over it when it is complete")
    with _scratch(target.parent, target.name) as scratch:
        made = scratch / target.name
        yield made
        if not made.is_file() or made.stat().st_size == 0:
            raise LaserError(f"{target.name} was not written", why="the writer ended without a file")
        os.replace(made, target)


@contextmanager
def staged_dir(target: Path) -> Iterator[Path]:
    """Yield an empty folder; on success its files appear in `target`, and laser's own older frames there go away.

    Every other file in `target` is kept; a missing `target` is created (its parent must exist).
    """
    target = Path(os.path.realpath(target))
    if target.exists() and not target.is_dir():
        raise UsageError(f"{target.name} is not a folder", hint="name a folder for the frames")
    # inside an existing folder: beside it could be another file system, or not ours to write to
    with _scratch(target if target.exists() else target.parent, target.name) as scratch:
        made = scratch / target.name
        made.mkdir()
        yield made
        if not target.exists():
            os.replace(made, target)
            return
        names = {path.name for path in made.iterdir()}
        for name in sorted(names):
            os.replace(made / name, target / name)
        for old in target.iterdir():
            if FRAME_NAME.fullmatch(old.name) and old.name not in names and has_png_record(old):
                old.unlink()


def check_folder(target: Path) -> None:
    """Raise BadInputError unless files can be made beside `target`; call it before the work."""
    folder = Path(os.path.realpath(target)).parent
    if not folder.is_dir():
        why = f"the folder {folder.name!r} does not exist"
        raise BadInputError(f"cannot write {target.name}", why=why, hint=f"mkdir -p {folder}")
    if not os.access(folder, os.W_OK):
        raise BadInputError(f"cannot write {target.name}", why=f"no permission to write into {folder}")


@contextmanager
def _scratch(folder: Path, name: str) -> Iterator[Path]:
    """A hidden temporary folder in `folder` that is gone afterwards, whatever happened."""
    check_folder(folder / name)
    try:
        scratch = Path(tempfile.mkdtemp(prefix=f".{name[:80]}.laser-", dir=folder))
    except OSError as error:
        raise BadInputError(f"cannot write {name}", why=f"{folder}: {error.strerror}") from error
    try:
        yield scratch
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
