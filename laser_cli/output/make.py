"""What Make and batch scripts need: fingerprints of runs, and outputs that are left alone."""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from laser_cli.errors import BadInputError, LaserError, UsageError
from laser_cli.output.atomic import FRAME_NAME
from laser_cli.output.depfile import write_depfile as write_depfile
from laser_cli.output.frames import frame_name
from laser_cli.output.record import portable, read_record


def fingerprint(settings: Mapping[str, Any], inputs: Sequence[Path]) -> str:
    """SHA-256 of the settings, whatever the order of their keys, and of what the input files hold, in their order."""
    digests = []
    for path in inputs:
        try:
            digests.append(_sha256(path))
        except OSError as error:
            raise BadInputError(f"cannot read {path}", why=error.strerror or str(error)) from error
    told = {"settings": portable(settings), "inputs": digests}
    return hashlib.sha256(json.dumps(told, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def is_current(out: Path, fingerprint: str) -> bool:
    """Whether `out`, a file or a folder of frames, carries a record with this fingerprint."""
    if out.is_dir():
        names = {path.name for path in out.iterdir() if FRAME_NAME.fullmatch(path.name)}
        # frames move into place in their order, so that the last one speaks for those before it
        if not names or names != {frame_name(index) for index in range(len(names))}:
            return False
        out = out / frame_name(len(names) - 1)
    try:
        return read_record(out).get("fingerprint") == fingerprint
    except LaserError:
        return False


def refuse_clobber(paths: Iterable[Path | None]) -> None:
    """Raise UsageError naming the first of `paths` that exists, even as a dangling link; an empty folder may."""
    for path in paths:
        if path is None or (path.is_dir() and not any(path.iterdir())):
            continue
        if path.exists() or path.is_symlink():
            raise UsageError(
                f"{path} exists", why="--no-clobber keeps what is there", hint="another name, or remove it"
            )


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
