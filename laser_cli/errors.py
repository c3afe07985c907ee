"""What can go wrong for a user: what happened, why, what to do next, and the exit code that scripts see."""

import errno
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager

from laser_cli.terminal import printable


class LaserError(Exception):
    """A failure that a user can act on: `what` happened, `why` it did, and what to try next (`hint`)."""

    exit_code = 1

    def __init__(self, what: str, *, why: str = "", hint: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.why = why
        self.hint = hint

    def render(self) -> str:
        """The lines for stderr: `error: what`, then `  why: ...` and `  try: ...` where they are known.

        Names and texts of others are escaped where they would steer a terminal.
        """
        parts = [("error: ", self.what), ("  why: ", self.why), ("  try: ", self.hint)]
        # lines that continue a text are indented under it, so that "error:" starts exactly one line
        return "\n".join(
            mark + printable(text, keep="\n").replace("\n", "\n" + " " * len(mark)) for mark, text in parts if text
        )


class UsageError(LaserError):
    """The command line asks for something impossible or contradictory."""

    exit_code = 2


class NotFoundError(LaserError):
    """A model, planner or preset is not where it was looked for."""

    exit_code = 3


class MemoryExhausted(LaserError):
    """The device or the machine has not enough memory."""

    exit_code = 4


class BadInputError(LaserError):
    """A picture, plan, inversion or track that cannot be used."""

    exit_code = 5


_MACHINE: dict[int, tuple[str, str]] = {
    errno.ENOSPC: ("the disk is full", "make room, or write to another disk"),
    errno.EFBIG: ("the file would be larger than allowed", "raise the limit (ulimit -f), or write to another disk"),
    errno.EMFILE: ("too many open files", "raise the limit of this shell: ulimit -n 1024"),
    errno.ENFILE: ("too many open files on this machine", "end other programs, or try again later"),
    errno.EIO: ("the disk failed", "check the disk, or use another one"),
}
if hasattr(errno, "EDQUOT"):  # not on Windows
    _MACHINE[errno.EDQUOT] = ("the disk quota is used up", "make room, or write to another disk")
_INPUT: dict[int, str] = {
    errno.ELOOP: "it is a link that leads back to itself",
    errno.ENAMETOOLONG: "the name is too long",
    errno.EACCES: "no permission",
    errno.EPERM: "no permission",
    errno.ENOENT: "there is no such file",
    errno.ENOTDIR: "a part of its path is not a folder",
    errno.EISDIR: "it is a folder",
    errno.EROFS: "the file system is read-only",
}
OUT_OF_MEMORY_HINT = "a smaller picture, fewer frames at a time, or a half-precision --dtype"
# what libraries say where memory, address space or threads ran out; torch, oneDNN, libav and loaders raise no kind of
# their own for it
_MEMORY_WORDS = (
    "can't allocate memory",
    "cannot allocate memory",
    "out of memory",
    "not enough memory",
    "could not create a primitive",
    "std::bad_alloc",
    "bad allocation",
    "failed to map segment",
    "unable to mmap",
    "can't start new thread",
    "resource temporarily unavailable",
)


def out_of_memory(error: BaseException) -> bool:
    """Whether memory ran out, on any device; told by names and words, so that torch is not imported."""
    names = {kind.__name__ for kind in type(error).__mro__}
    if names & {"MemoryError", "OutOfMemoryError"}:
        return True
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM or (error.errno is None and _says_memory(error))
    # torch's CPU and MPS allocators raise a bare RuntimeError, the dynamic loader an ImportError
    return isinstance(error, RuntimeError | ImportError) and _says_memory(error)


def machine_error(error: BaseException) -> LaserError | None:
    """A full disk, a quota, a limit, exhausted memory, an unusable path, as an error for users; None for bugs.

    Libraries wrap the operating system's errors in their own: their causes and the number in "os error 28" are read.
    """
    first_line = next(iter(str(error).strip().splitlines()), "")
    for inner in _chain(error):
        if isinstance(inner, LaserError):
            continue
        number = _errno_of(inner)
        if number in _MACHINE:
            what, hint = _MACHINE[number]
            return LaserError(what, why=first_line, hint=hint)
        if out_of_memory(inner):
            return MemoryExhausted("out of memory", why=first_line, hint=OUT_OF_MEMORY_HINT)
    if isinstance(error, OSError) and error.errno in _INPUT:
        name = _text(error.filename)
        return BadInputError(f"cannot use {name}" if name else "a file cannot be used", why=_INPUT[error.errno])
    return None


def reason(error: BaseException) -> str:
    """Why the operating system or a library refused, in a few words and without Python's punctuation."""
    number = error.errno if isinstance(error, OSError) else None
    if number in _INPUT:
        return _INPUT[number]
    told = getattr(error, "strerror", None) or next(iter(str(error).strip().splitlines()), "")
    return told or type(error).__name__


@contextmanager
def parsing(what: str, *, hint: str = "") -> Iterator[None]:
    """The boundary around a parser of files that others wrote: whatever it raises becomes a BadInputError `what`.

    LaserErrors pass through, and a full disk or exhausted memory stays what it is.
    """
    try:
        yield
    except LaserError:
        raise
    except Exception as error:
        told = machine_error(error)
        if told is not None and not isinstance(told, BadInputError):
            raise told from error
        raise BadInputError(what, why=reason(error), hint=hint) from error


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The error and those that it was raised from."""
    seen: set[int] = set()
    link: BaseException | None = error
    while link is not None and id(link) not in seen:
        seen.add(id(link))
        yield link
        link = link.__cause__ or (None if link.__suppress_context__ else link.__context__)


def _errno_of(error: BaseException) -> int | None:
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno
    found = re.search(r"\(os error (\d+)\)|\[Errno (\d+)\]", str(error))
    return int(found[1] or found[2]) if found else None


def _says_memory(error: BaseException) -> bool:
    said = str(error).lower()
    return any(words in said for words in _MEMORY_WORDS)


def _text(name: object) -> str:
    return os.fsdecode(name) if isinstance(name, str | bytes | os.PathLike) else ""
