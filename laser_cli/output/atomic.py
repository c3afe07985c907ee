"""Nothing appears at its name until it is complete: files are made in a temporary folder beside it, then moved.

A file in the folder is locked while its process lives. A kill -9 leaves the folder; the next run to the same name finds
the lock free and sweeps it away. Where files cannot be locked so (Windows, some network file systems) nothing is swept.
"""

import hashlib
import os
import re
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from laser_cli.errors import BadInputError, LaserError, UsageError, machine_error, reason
from laser_cli.output.record import has_png_record

FRAME_NAME = re.compile(r"frame_\d{4,}\.png")
RANDOM = r"[a-z0-9_]{8}"  # what mkdtemp puts at the end
LOCK = ".laser-lock"
LONGEST_NAME = 255  # bytes of a name, on nearly every file system


@contextmanager
def staged(target: Path, *, force: bool = False) -> Iterator[Path]:
    """Yield a path of the same name in a fresh folder beside `target`; on success it replaces `target`.

    A file that is replaced keeps its mode and, where allowed, its owner. Raises as `check_target` does.
    """
    check_target(target, force=force)
    # a link stays a link: the file that it points to is replaced
    target = Path(os.path.realpath(target))
    with _scratch(target.parent, target.name) as scratch:
        made = scratch / target.name
        yield made
        if not made.is_file() or made.stat().st_size == 0:
            raise LaserError(f"{target.name} was not written", why="the writer ended without a file")
        _replace(made, target)


@contextmanager
def staged_dir(target: Path) -> Iterator[Path]:
    """Yield an empty folder; on success its files appear in `target`, and laser's own older frames there go away.

    Every other file in `target` is kept; a missing `target` is created (its parent must exist).
    """
    check_frames_dir(target)
    target = Path(os.path.realpath(target))
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
            _replace(made / name, target / name)
        for old in target.iterdir():
            if FRAME_NAME.fullmatch(old.name) and old.name not in names and has_png_record(old):
                old.unlink()


def check_target(target: Path, *, force: bool = False) -> None:
    """Raise unless a file can be written at `target`, new or in place of a regular one; call it before the work.

    UsageError for folders, devices, and, without `force`, read-only files; BadInputError where nothing can be written.
    """
    name = target.name
    try:
        mode = os.stat(target).st_mode
    except FileNotFoundError:
        mode = None
    except (OSError, ValueError) as error:  # ValueError: a null character
        raise BadInputError(f"cannot write {target}", why=reason(error), hint="another name") from error
    if mode is not None and stat.S_ISDIR(mode):
        raise UsageError(f"{name} is a folder", hint="name a file in it")
    if mode is not None and not stat.S_ISREG(mode):
        raise UsageError(f"{name} is not a regular file", why="the output is moved over it when it is complete")
    if mode is not None and not force and (not mode & 0o222 or not os.access(target, os.W_OK)):
        raise UsageError(f"{name} is read-only", why="it is there already", hint="another name, or --force")
    check_folder(target)


def check_frames_dir(target: Path) -> None:
    """Raise unless frames can be written into the folder `target`, or it can be made; call it before the work."""
    try:
        mode = os.stat(target).st_mode
    except FileNotFoundError:
        check_folder(target)
        return
    except (OSError, ValueError) as error:
        raise BadInputError(f"cannot write {target}", why=reason(error), hint="another name") from error
    if not stat.S_ISDIR(mode):
        raise UsageError(f"{target.name} is not a folder", hint="name a folder for the frames")
    check_folder(target / "frame_0000.png")


def check_folder(target: Path) -> None:
    """Raise BadInputError unless files can be made beside `target`, by making one; call it before the work."""
    folder = Path(os.path.realpath(target)).parent
    if not folder.is_dir():
        why = f"the folder {folder.name!r} does not exist"
        raise BadInputError(f"cannot write {target.name}", why=why, hint=f"mkdir -p {folder}")
    # permissions alone do not tell: file systems are mounted read-only, full, or not for files (/proc)
    with _scratch(folder, target.name) as scratch:
        try:
            (scratch / target.name).touch()
        except OSError as error:
            raise _unwritable(folder / target.name, error) from error


def hidden_name(name: str, ending: str) -> str:
    """A hidden file's name made of another's: `.name` and the ending, cut to what file systems take."""
    digest = ""
    if len(os.fsencode(name)) + len(ending) + 1 > LONGEST_NAME:
        digest = "-" + hashlib.sha256(os.fsencode(name)).hexdigest()[:12]
    return f".{_cut(name, LONGEST_NAME - 1 - len(ending) - len(digest))}{digest}{ending}"


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


def _replace(made: Path, target: Path) -> None:
    """Move a file into place, with the mode and, where allowed, the owner of the file that it replaces."""
    with suppress(OSError):  # there is none, or it is not ours to imitate
        old, new = target.stat(), made.stat()
        if (old.st_uid, old.st_gid) != (new.st_uid, new.st_gid):
            with suppress(OSError, AttributeError):  # no chown on Windows
                os.chown(made, old.st_uid, old.st_gid)
        os.chmod(made, stat.S_IMODE(old.st_mode))
    os.replace(made, target)


def _unwritable(target: Path, error: OSError) -> LaserError:
    """Why nothing can be made at `target`: a full disk and the like, else what is wrong with the place or name."""
    told = machine_error(error)
    if told is not None and not isinstance(told, BadInputError):
        return told
    return BadInputError(f"cannot write {target.name}", why=f"{target.parent}: {reason(error)}")


def _prefix(name: str) -> str:
    return f".{_cut(name, 80)}.laser-"


def _cut(name: str, size: int) -> str:
    """As many whole letters of a name as fit into so many bytes."""
    return name if len(os.fsencode(name)) <= size else os.fsencode(name)[:size].decode("utf-8", "ignore")


@contextmanager
def _scratch(folder: Path, name: str) -> Iterator[Path]:
    """A hidden temporary folder in `folder` that is gone afterwards, whatever happened."""
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
        raise _unwritable(folder / name, error) from error
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
