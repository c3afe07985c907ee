"""Events of --progress json: one JSON object a line on stderr, for programs that drive laser (output/README.md)."""

from __future__ import annotations

import json
import sys
import warnings
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, TextIO

from laser_cli.cli.early import PROGRESS, asked

VERSION = 1
MOST_OFTEN = 0.1
"""Seconds between two progress events of one task."""


def wanted() -> bool:
    """Whether stderr holds events, as the command line or LASER_PROGRESS says."""
    return asked("progress", PROGRESS) == "json"


def event(kind: str, /, **told: Any) -> dict[str, Any]:
    """An event of the schema's present version."""
    return {"version": VERSION, "event": kind, **told}


def send(told: Mapping[str, Any], stream: TextIO | None = None) -> None:
    """Write an event at once; that nobody can read it stops no work."""
    with suppress(OSError, ValueError):
        print(json.dumps(told, default=str), file=stream or sys.stderr, flush=True)


def take_warnings() -> None:
    """Have what libraries warn of told as events too, so that every line of stderr is one."""

    def show(message: Any, category: type[Warning], *place: Any, **more: Any) -> None:
        send(event("warning", message=f"{category.__name__}: {message}"))

    warnings.showwarning = show
