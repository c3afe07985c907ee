"""`laser track`: a video of a face, a capture or a plan becomes a face track, which drives a portrait."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from laser_cli.cli.after import Afterwards
from laser_cli.cli.options import Force, Shown, expand
from laser_cli.jobs import names
from laser_cli.jobs.names import HELP

PLOT = {"version": 1, "program": "laser", "command": "track"}
"""The record of a plot: it tells that laser made the file, and cannot be run again."""


def track(
    source: Annotated[
        Path,
        typer.Argument(
            help="A video or picture of a face, a Live Link Face CSV, MediaPipe's results as JSON, a plan, or a track."
        ),
    ],
    shown: Shown,
    after: Afterwards,
    output: Annotated[
        str, typer.Option("--output", "-o", help=f"A .yaml, .json or .csv file; - is stdout, as YAML. {HELP}")
    ] = "-",
    fps: Annotated[
        float | None,
        typer.Option("--fps", min=1, max=240, help="Frames a second of the track. (default: the source's)"),
    ] = None,
    start: Annotated[
        float | None,
        typer.Option("--from", min=0, envvar="LASER_TRACK_FROM", help="Seconds into the source to begin at."),
    ] = None,
    end: Annotated[
        float | None, typer.Option("--to", min=0, envvar="LASER_TRACK_TO", help="Seconds into the source to end at.")
    ] = None,
    smooth: Annotated[
        float | None,
        typer.Option(min=0, help="Hz: lower is smoother, 0 is off. (default: 1.5 for videos and captures, else off)"),
    ] = None,
    ratio: Annotated[float, typer.Option(min=0, max=3, help="How much of the movement is taken.")] = 1.0,
    relative: Annotated[
        bool,
        typer.Option("--relative", help="Count the movement from the neutral frame, which becomes a face at rest."),
    ] = False,
    neutral: Annotated[int, typer.Option(min=0, help="The frame with the face at rest, for --relative.")] = 0,
    face_model: Annotated[
        Path | None, typer.Option(help="MediaPipe's face_landmarker.task. (default: an installed package's)")
    ] = None,
    puppet: Annotated[bool, typer.Option("--puppet", help="The video shows a storybook puppet, not a person.")] = False,
    plot: Annotated[Path | None, typer.Option(help="Also draw the track over time, as a .png.")] = None,
    force: Force = False,
) -> None:
    """Turn a video of a face, a capture or a plan into a face track: blendshapes and head pose by frame."""
    import numpy as np

    from laser_cli.errors import UsageError, parsing
    from laser_cli.output.atomic import check_target, staged
    from laser_cli.output.frames import write_png
    from laser_cli.output.guard import check_outputs
    from laser_cli.text import write_stdout
    from laser_cli.tracks.files import is_track, track_text, write_track
    from laser_cli.tracks.read import Reading, read_track
    from laser_cli.tracks.retarget import retarget

    console = shown.console()
    after.check_exec(files=output != "-")
    if output != "-":
        output = names.fill(output, names.values_of(None, "track", source))
    if output != "-" and Path(output).suffix.lower() not in (".yaml", ".yml", ".json", ".csv"):
        raise UsageError(f"{output} is not a track's name", why="it ends in none of .yaml, .json, .csv")
    if plot is not None and plot.suffix.lower() != ".png":
        raise UsageError(f"cannot draw {plot}", why="plots are .png files")
    if neutral and not relative:
        raise UsageError("--neutral goes with --relative")
    if output == "-" and console.json:
        raise UsageError("--json tells of written files", hint="name one with --output")
    target = Path(output) if output != "-" else None
    written = [path for path in (target, plot) if path]
    read = [path for path in (source, face_model) if path]
    check_outputs(written, read, force=force, ours={target: is_track} if target else None)
    for path in written:
        check_target(path, force=force)
    model = str(face_model) if face_model else None
    with parsing(f"cannot read the track {source}"):
        found, notes = read_track(source, Reading(start, end, fps, smooth, model, puppet), console.progress)
    found = retarget(found, "relative" if relative else "absolute", ratio=ratio, neutral=neutral)
    for note in notes:
        console.note(note)
    if plot is not None:
        from laser_cli.tracks.plot import plot_track

        with staged(plot, force=force) as made:
            write_png(made, np.asarray(plot_track(found).convert("RGB")), PLOT)
    if output == "-":
        write_stdout(track_text(found, ".yaml"))
        return
    write_track(found, output, force=force)
    told = {"frames": len(found.frames), "fps": found.fps, "columns": list(found.columns), "notes": notes}
    written = [Path(output), *([plot] if plot else [])]
    console.result(written, told)
    after.run_exec(written, console)


def register(app: typer.Typer) -> None:
    """Add `laser track`."""
    app.command("track")(expand(track))
