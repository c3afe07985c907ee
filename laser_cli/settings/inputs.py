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
