"""Nothing appears at its name until it is complete: files are made in a temporary folder beside it, then moved.

A file in the folder is locked while its process lives. A kill -9 leaves the folder; the next run to the same name finds
the lock free and sweeps it away. Where files cannot be locked so (Windows, some network file systems) nothing is swept.
"""

import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from laser_cli.errors import BadInputError, LaserError, UsageError
from laser_cli.output.record import has_png_record

FRAME_NAME = re.compile(r"frame_\d{4,}\.png")
RANDOM = r"[a-z0-9_]{8}"  # what mkdtemp puts at the end
LOCK = ".laser-lock"


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
    sweep(target)
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


def sweep(target: Path) -> None:
    """Remove what processes that live no longer left beside `target` while they made it; what cannot be told stays."""
    target = Path(os.path.realpath(target))
    abandoned = re.compile(re.escape(_prefix(target.name)) + RANDOM)
    with suppress(OSError), os.scandir(target.parent) as entries:
        for entry in entries:
            if abandoned.fullmatch(entry.name) and entry.is_dir(follow_symlinks=False):
                lock = _lock(entry.path, os.O_RDWR)
                if lock is None:
                    # only an empty one goes: its process was killed, or will notice, before it made the lock's file
                    with suppress(OSError):
                        os.rmdir(entry.path)
                else:
                    shutil.rmtree(entry.path, ignore_errors=True)
                    os.close(lock)
                    shutil.rmtree(entry.path, ignore_errors=True)  # NFS keeps a file that is open


def _prefix(name: str) -> str:
    return f".{name[:80]}.laser-"


@contextmanager
def _scratch(folder: Path, name: str) -> Iterator[Path]:
    """A hidden temporary folder in `folder` that is gone afterwards, whatever happened."""
    check_folder(folder / name)
    sweep(folder / name)
    lock: int | None = None
    try:
        while True:
            scratch = tempfile.mkdtemp(prefix=_prefix(name), dir=folder)
            lock = _lock(scratch, os.O_RDWR | os.O_CREAT)
            if os.path.isdir(scratch):
                break
            if lock is not None:  # another run took it for abandoned before it was locked
                os.close(lock)
    except OSError as error:
        raise BadInputError(f"cannot write {name}", why=f"{folder}: {error.strerror}") from error
    try:
        yield Path(scratch)
    finally:
        if lock is not None:
            os.close(lock)
        shutil.rmtree(scratch, ignore_errors=True)


def _lock(folder: str, flags: int) -> int | None:
    """A descriptor whose lock on a staging folder ends with this process, whatever ends it.

    None where there is none to get: another process has it, the folder is gone, files cannot be locked here. Who makes
    the file waits for the lock, as one that sweeps may hold it for a moment.
    """
    try:
        descriptor = os.open(os.path.join(folder, LOCK), flags, 0o600)
    except OSError:
        return None
    try:
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_EX if flags & os.O_CREAT else fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (ImportError, OSError):
        os.close(descriptor)
        return None
    return descriptor
