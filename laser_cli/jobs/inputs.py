"""Input files, told apart by what they hold."""

from __future__ import annotations

import atexit
import contextlib
import hashlib
import os
import shutil
import stat
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import SerializationInfo, SerializerFunctionWrapHandler, model_serializer

from laser_cli import limits
from laser_cli.errors import BadInputError, machine_error, reason
from laser_cli.jobs.fields import Frozen

if TYPE_CHECKING:
    import numpy as np

COPIES: set[Path] = set()
"""The temporary files that hold what came out of pipes, which mean nothing to others."""
CONTENTS = "contents"
"""The serialization context in which an input is its SHA-256 alone, wherever it lies and whatever it is called."""


class Input(Frozen):
    """A file that a job reads: its name in records, where it lies, and the SHA-256 of what it holds."""

    name: str
    path: Path
    sha256: str

    @classmethod
    def of(cls, path: Path, name: str | None = None) -> Input:
        """The file at `path`, which is read; BadInputError if it cannot be.

        A pipe, and stdin for `-`, is read once, into a temporary file that lasts as long as the process.
        """
        kept = read_once(path)
        return cls(name=name or name_in_record(path), path=kept, sha256=sha256(kept))

    @property
    def is_content(self) -> bool:
        """Whether this is a file known by all that it holds; else a model's part, known by a shorter digest."""
        return len(self.sha256) == 64 and not self.path.is_dir()

    def picture(self, note: Callable[[str], object] = lambda note: None) -> np.ndarray:
        """The picture (h, w, 3) uint8; BadInputError if it cannot be read, or is no longer what the job was made of.

        `note` hears what of it is lost: bits, highlights, a broken colour profile.
        """
        from laser_cli.output.pictures import read_picture

        picture = read_picture(self.path, note=note)
        if sha256(self.path) != self.sha256:
            raise BadInputError(f"{self.path} has changed since the job was made", hint="run the command again")
        return picture

    @property
    def recorded(self) -> dict[str, str]:
        """The picture as a record names it."""
        return {"picture": self.name, "sha256": self.sha256}

    @property
    def recorded_file(self) -> dict[str, str]:
        """Any other file as a record names it."""
        return {"name": self.name, "sha256": self.sha256}

    @model_serializer(mode="wrap")
    def _said(self, handler: SerializerFunctionWrapHandler, info: SerializationInfo) -> Any:
        return self.sha256 if info.context == CONTENTS else handler(self)


def read_once(path: Path) -> Path:
    """The path itself of a regular file; of a pipe, or `-` for stdin, a temporary copy of all that comes out of it."""
    from laser_cli.output.pictures import refuse_address

    refuse_address(path)
    try:
        if str(path) != "-" and not stat.S_ISFIFO(os.stat(path).st_mode) and not stat.S_ISCHR(os.stat(path).st_mode):
            return path
    except (OSError, ValueError):
        return path  # whoever opens it tells what is wrong
    name = "stdin" if str(path) == "-" else str(path)
    folder = tempfile.mkdtemp(prefix="laser-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    kept = Path(folder, "input")
    COPIES.add(kept)
    try:
        with contextlib.ExitStack() as stack:
            source = sys.stdin.buffer if str(path) == "-" else stack.enter_context(path.open("rb"))
            copy, size = stack.enter_context(kept.open("wb")), 0
            while block := source.read(1 << 20):
                copy.write(block)
                size += len(block)
                if size > limits.PIPE_BYTES:
                    why = f"more than {limits.PIPE_BYTES / 1e6:g} MB came out of it"
                    raise BadInputError(f"cannot read {name}", why=why)
    except OSError as error:
        raise machine_error(error) or BadInputError(f"cannot read {name}", why=reason(error)) from error
    if not size:
        raise BadInputError(f"cannot read {name}", why="nothing came out of it")
    return kept


def sha256(path: Path) -> str:
    """Hash of a file's bytes; BadInputError if it cannot be read."""
    try:
        with path.open("rb") as file:
            digest = hashlib.sha256()
            while block := file.read(1 << 20):
                digest.update(block)
        return digest.hexdigest()
    except FileNotFoundError as error:
        raise BadInputError(f"there is no picture {path}") from error
    except (OSError, ValueError) as error:  # ValueError: a null character in the name
        raise BadInputError(f"cannot read {path}", why=reason(error)) from error


def name_in_record(path: Path) -> str:
    """An input as a record names it: no absolute path, which would differ by machine."""
    return path.name if path.is_absolute() else path.as_posix()


def find_beside(name: str, file: Path) -> Path | None:
    """A recorded input by its name: from the current folder, or beside the output ``file`` that carries the record."""
    places = (Path(name), file.parent / name, file.parent / Path(name).name)
    return next((path for path in places if _is_file(path)), None)


def _is_file(path: Path) -> bool:
    """Whether a name of a stranger's record is a file: it may be too long for one, or hold what none does."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def named(name: Any, digest: Any) -> dict[str, Any]:
    """An input of a record, as JSON: where it lies now is not known yet."""
    return {"name": name, "path": name, "sha256": digest}
