"""`laser animate`: a picture and a sentence (or a plan) to a video."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from laser_cli.cli.options import RunOptions, expand
from laser_cli.cli.produce import Production
from laser_cli.errors import UsageError
from laser_cli.jobs.merge import Layer
from laser_cli.jobs.outputs import Outputs
from laser_cli.jobs.planning import Planning
from laser_cli.jobs.settings import AnimateSettings
from laser_cli.jobs.sources import AnimateSources


def animate(
    settings: Annotated[Layer, AnimateSettings],
    sources: AnimateSources,
    outputs: Outputs,
    planning: Planning,
    options: RunOptions,
    arguments: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[IMAGE] [DESCRIPTION]",
            help="The picture, and what happens to it (@FILE reads it from a file).",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Animate a picture from a sentence.

    Frame 0 is the picture; the rest move smoothly to what was asked. Without IMAGE the first picture is drawn from the
    source prompt. Example: laser animate cottage.png "summer turns to a snowy night" -o cottage.mp4

    A portrait's face follows a sentence ("she smiles and turns left"), or a video or track: laser animate portrait.png
    --drive clip.mp4 -o out.mp4
    """
    from laser_cli.jobs.build_animate import build_animation
    from laser_cli.jobs.stops import words_of

    production = Production(AnimateSettings, settings, outputs, options, sources.rerun)
    image, description = _positionals(arguments or [], sources.plan_file or sources.drive)
    description, words = words_of(description)
    production.guard(image, words, sources.plan_file, sources.inversion, *sources.files)
    console, verbose = production.console, options.verbose
    built = build_animation(
        settings, image, description, sources, planning, console, verbose=verbose, ready=production.name
    )
    production.carry_out(built._replace(read=(*built.read, words)) if words else built, _lines)


def _positionals(arguments: list[str], other: Path | None) -> tuple[Path | None, str | None]:
    """[IMAGE] [DESCRIPTION]: of one word alone, a file (or what is named like one) is the picture.

    `other`: the plan or the drive, beside which one word is the picture too.
    """
    from laser_cli.jobs.stops import is_picture

    if len(arguments) > 2:
        raise UsageError(
            "too many arguments",
            why=f"{len(arguments)} were given; a picture and a description are expected",
            hint="put the description in quotes",
        )
    if not arguments:
        return None, None
    first = Path(arguments[0])
    pictured = len(arguments) == 2 or other is not None or is_picture(arguments[0])
    return (first, arguments[1] if len(arguments) == 2 else None) if pictured else (None, arguments[0])


def _lines(costs: Mapping[str, Any]) -> Iterator[str]:
    """The plan and the model for people, of a dry run."""
    plan, settings = costs["plan"], costs["settings"]
    yield f"from: {plan['source']}"
    for s in plan["segments"]:
        yield f"to: {s['prompt']} ({s['control']} {s['strength']:g}, {s['easing']}, {s['frames']} frames)"
    yield from led_lines(costs)
    yield f"model: {settings['model']} on {settings['device']}, {settings['dtype']}"


def led_lines(costs: Mapping[str, Any]) -> Iterator[str]:
    """What leads the keyframes beside their prompts, of a dry run."""
    if adapter := costs.get("adapter"):
        shown = ", ".join(image["picture"] if image else "none" for image in adapter["images"])
        yield f"image prompts: {shown} (by {adapter['name']}, scale {adapter['scale']:g})"
    for control in costs.get("controls") or ():
        shown = ", ".join(c["picture"] if isinstance(c, Mapping) else c or "none" for c in control["conditions"])
        share = f", steps {control['start']:g}-{control['end']:g}" if "start" in control else ""
        yield f"conditions: {shown} (by {control['name']}, weight {control['weight']:g}{share})"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("animate")(expand(animate))
