"""`laser show`: the record of the run inside any file that laser wrote."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from laser_cli.cli.options import Shown, expand
from laser_cli.terminal import printable


def show(
    file: Annotated[
        Path, typer.Argument(help="A video, animation, picture or report by laser, or a folder of frames.")
    ],
    shown: Shown,
) -> None:
    """Show how a file was made: prompts, segments, seed, model, sizes. With --json: the whole record."""
    from laser_cli.output.frames import frame_name
    from laser_cli.output.record import read_record

    record = read_record(file / frame_name(0) if file.is_dir() else file)
    if shown.json_:
        shown.console().json_object(record)
    else:
        typer.echo("\n".join(lines(record)))


def lines(record: Mapping[str, Any]) -> list[str]:
    """A record for people, one fact a line; what is not known is left out."""
    settings = dict(_mapping(record.get("settings")))
    plan = _mapping(settings.pop("plan", None))
    model = _mapping(record.get("model"))
    size = settings.pop("size", None)
    segments = [segment for segment in plan.get("segments") or [] if isinstance(segment, Mapping)]
    facts = {
        "made by": f"laser {record.get('command')} {record.get('program_version')}",
        "description": plan.get("description"),
        "prompt": None if segments else record.get("prompt"),
        "source": plan.get("source"),
    }
    told = [f"{name:<13}{_plain(value)}" for name, value in facts.items() if value]
    first = 0
    for segment in segments:
        frames = segment.get("frames")
        last = first + (frames if isinstance(frames, int) else 2) - 1
        manner = ", ".join(_plain(value) for key, value in segment.items() if key not in ("prompt", "frames"))
        told.append(f"{f'{first} to {last}':<13}{_plain(segment.get('prompt'))} ({manner})")
        first = last
    told += [f"{_plain(name):<12} {_plain(value)}" for name, value in face_lines(plan.get("face"))]
    more = {
        "size": " x ".join(str(side) for side in size) if isinstance(size, list) else size,
        "seed": record.get("seed"),
        "model": " ".join(str(model[key]) for key in ("id", "revision") if model.get(key)),
        "run on": ", ".join(str(record[key]) for key in ("device", "dtype") if record.get(key)),
        "input sha256": record.get("input_sha256"),
        "fingerprint": record.get("fingerprint"),
        **settings,
        "libraries": ", ".join(f"{name} {version}" for name, version in _mapping(record.get("libraries")).items()),
    }
    return told + [f"{name:<13}{_plain(value)}" for name, value in more.items() if value not in (None, "")]


def face_lines(track: Any) -> list[tuple[str, str]]:
    """The points of a plan's face track: when, and what the face does."""
    points = [_mapping(point) for point in track] if isinstance(track, list) else []
    told = []
    for point in points:
        done = {**_mapping(point.get("expression")), **{key: point.get(key) for key in ("yaw", "pitch", "roll")}}
        shown = ", ".join(f"{name} {value}" for name, value in done.items() if value)
        told.append((f"face {point.get('at')}%", shown or "at rest"))
    return told


def _mapping(value: Any) -> Mapping[str, Any]:
    """A record comes from a file: what is not as expected counts as not known."""
    return value if isinstance(value, Mapping) else {}


def _plain(value: Any) -> str:
    """One printable line: a record comes from a file, and may hold what would steer a terminal."""
    return printable(value if isinstance(value, str) else str(value))


def register(app: typer.Typer) -> None:
    """Add `laser show`."""
    app.command("show")(expand(show))
