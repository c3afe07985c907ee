"""Input files, told apart by what they hold."""

import hashlib
from pathlib import Path

from laser_cli.errors import BadInputError


def sha256(path: Path) -> str:
    """Hash of a file's bytes; BadInputError if it cannot be read."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
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


def recorded_picture(name: str, digest: str | None, file: Path, given: Path | None = None, *, again: str) -> Path:
    """The picture that the output ``file`` was made from, as ``given`` or as recorded; BadInputError for any other.

    ``again`` is the command that names it anew.
    """
    path = given or find_beside(name, file)
    if path is None:
        raise BadInputError(f"there is no picture {name}", why=f"{file} was made from it", hint=f"name it: {again}")
    if (found := sha256(path)) != digest:
        why = f"its SHA-256 is {found[:12]}…, the record has {str(digest)[:12]}…"
        hint = "the picture as it was, or a run of its own without --from"
        raise BadInputError(f"{path} is not the picture that {file} was made from", why=why, hint=hint)
    return path
