"""`laser interpolate`: what lies between prompts and pictures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from laser_cli.cli.animate import led_lines
from laser_cli.cli.options import RunOptions, expand
from laser_cli.cli.produce import Production
from laser_cli.errors import UsageError
from laser_cli.jobs.merge import Layer
from laser_cli.jobs.outputs import Outputs
from laser_cli.jobs.planning import Guiding
from laser_cli.jobs.settings import InterpolateSettings
from laser_cli.jobs.sources import InterpolateSources


def interpolate(
    settings: Annotated[Layer, InterpolateSettings],
    sources: InterpolateSources,
    outputs: Outputs,
    planning: Guiding,
    options: RunOptions,
    stops: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="A B [C ...]",
            help="Two stops or more, each a prompt or a picture file (@FILE reads a prompt from a file).",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Draw what lies between prompts and pictures.

    A chain of stops is one animation without a cut. Example:
    laser interpolate "a red ball in a meadow" "a blue cube in a meadow" cottage.png -o out.mp4
    """
    from laser_cli.jobs.build_interpolate import build_interpolation
    from laser_cli.jobs.stops import is_picture

    production = Production(InterpolateSettings, settings, outputs, options, sources.rerun)
    if "at" in settings.values and outputs.out is not None and outputs.ending != ".png":
        raise UsageError("--at draws one picture", why=f"{outputs.out} is none", hint="-o OUT.png")
    named = [Path(text.removeprefix("@")) for text in stops or () if text.startswith("@") or is_picture(text)]
    production.guard(*named, *sources.files)
    console, verbose = production.console, options.verbose
    built = build_interpolation(
        settings, stops or (), sources, planning, console, verbose=verbose, ready=production.name
    )
    production.carry_out(built, _lines)


def _lines(costs: Mapping[str, Any]) -> Iterator[str]:
    """The stops and what leads between them for people, of a dry run."""
    for stop in costs["stops"]:
        yield f"stop: {stop['prompt']}" + (f" ({stop['picture']})" if "picture" in stop else "")
    yield from led_lines(costs)
    for guide in costs["guides"]:
        yield f"guide: {guide['prompt']} (by {guide['by']['name']})"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("interpolate")(expand(interpolate))
