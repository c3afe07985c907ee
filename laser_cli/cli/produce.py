"""What all commands that write pictures do, in one order: check, tell, skip, and only then the work."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from laser_cli.cli.animate_outputs import Outputs
    from laser_cli.cli.console import Console


def produce(console: Console, request: Any, outputs: Outputs, verb: Any, params: Mapping[str, Any]) -> None:
    """Carries out a request: ``verb`` is the module with its tell, place and perform."""
    from laser_cli.output.make import refuse_clobber

    dry_run, no_clobber, skip_existing = (params[key] for key in ("dry_run", "no_clobber", "skip_existing"))
    outputs.check(request.settings, request.count, needed=not dry_run)
    if no_clobber and not skip_existing:
        refuse_clobber(outputs.paths)
    for note in request.notes:
        console.note(note)
    if dry_run:
        verb.tell(console, request)
        return
    job = verb.place(request)
    if skip_existing and outputs.are_current(job.fingerprint):
        skip(console, job.fingerprint, request.read, outputs)
        return
    if no_clobber:
        refuse_clobber(outputs.paths)
    verb.perform(console, job, outputs, params["verbose"])


def skip(console: Console, fingerprint: str, read: Sequence[Path], outputs: Outputs) -> None:
    """Reports outputs that are there already; they count as made now, so that Make is content."""
    for path in outputs.paths:
        os.utime(path)
    outputs.note_dependencies(read)
    console.note("up to date: made of the same inputs and settings")
    console.result(outputs.paths, {"skipped": True, "fingerprint": fingerprint})
