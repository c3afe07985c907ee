"""Input files, told apart by what they hold."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import SerializationInfo, SerializerFunctionWrapHandler, model_serializer

from laser_cli.errors import BadInputError
from laser_cli.jobs.settings import Frozen

if TYPE_CHECKING:
    import numpy as np

CONTENTS = "contents"
"""The serialization context in which an input is its SHA-256 alone, wherever it lies and whatever it is called."""


class Input(Frozen):
    """A file that a job reads: its name in records, where it lies, and the SHA-256 of what it holds."""

    name: str
    path: Path
    sha256: str

    @classmethod
    def of(cls, path: Path, name: str | None = None) -> Input:
        """The file at `path`, which is read; BadInputError if it cannot be."""
        return cls(name=name or name_in_record(path), path=path, sha256=sha256(path))

    def picture(self) -> np.ndarray:
        """The picture (h, w, 3) uint8; BadInputError if it cannot be read, or is no longer what the job was made of."""
        from laser_cli.output.frames import read_picture

        picture = read_picture(self.path)
        if sha256(self.path) != self.sha256:
            raise BadInputError(f"{self.path} has changed since the job was made", hint="run the command again")
        return picture

    @property
    def recorded(self) -> dict[str, str]:
        """The picture as a record names it."""
        return {"picture": self.name, "sha256": self.sha256}

    @model_serializer(mode="wrap")
    def _said(self, handler: SerializerFunctionWrapHandler, info: SerializationInfo) -> Any:
        return self.sha256 if info.context == CONTENTS else handler(self)


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
    except OSError as error:
        raise BadInputError(f"cannot read {path}", why=error.strerror or str(error)) from error


def name_in_record(path: Path) -> str:
    """An input as a record names it: no absolute path, which would differ by machine."""
    return path.name if path.is_absolute() else path.as_posix()


def find_beside(name: str, file: Path) -> Path | None:
    """A recorded input by its name: from the current folder, or beside the output ``file`` that carries the record."""
    places = (Path(name), file.parent / name, file.parent / Path(name).name)
    return next((path for path in places if path.is_file()), None)


def named(name: Any, digest: Any) -> dict[str, Any]:
    """An input of a record, as JSON: where it lies now is not known yet."""
    return {"name": name, "path": name, "sha256": digest}
