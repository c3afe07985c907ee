"""`laser interpolate`: what lies between prompts and pictures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import Enum
from pathlib import Path
from typing import Annotated, Any

import typer

from laser_cli.cli.options import From, Preset, RunOptions, expand, option
from laser_cli.cli.produce import Production
from laser_cli.jobs.outputs import Outputs
from laser_cli.jobs.planning import PlannerChoice
from laser_cli.jobs.settings import InterpolateSettings

IMAGES = "Image prompts"


class Latents(str, Enum):
    """Where the prompts' noise comes from."""

    same = "same"
    slerp = "slerp"


def interpolate(
    settings: Annotated[dict[str, Any], InterpolateSettings],
    outputs: Outputs,
    planning: PlannerChoice,
    options: RunOptions,
    stops: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="A B [C ...]",
            help="Two stops or more, each a prompt or a picture file (@FILE reads a prompt from a file).",
            show_default=False,
        ),
    ] = None,
    rerun: From = None,
    preset: Preset = None,
    prompts: Annotated[
        list[str] | None,
        option(
            None,
            "What a picture shows, once for each picture in their order; else their metadata tell.",
            "--prompt",
            "--source-prompt",
            "-p",
        ),
    ] = None,
    guides: Annotated[
        list[str] | None,
        option(
            "Method",
            "What the pictures between show (PAID); once, or once for each segment. auto: the planner says it.",
            "--guide",
            metavar="PROMPT|auto",
        ),
    ] = None,
    latents: Annotated[
        Latents | None,
        option(
            "Method",
            "Noise of the prompts: the same for all (default; that of the first picture, if there is one), or each its "
            "own and an arc between them.",
        ),
    ] = None,
    ip_adapter: Annotated[
        Path | None,
        option(
            IMAGES,
            "An IP-Adapter for the model (folder, or file beside its image_encoder): stops are drawn by pictures too.",
        ),
    ] = None,
    ip_scale: Annotated[
        float | None, option(IMAGES, "How strongly image prompts lead. (default: 0.6)", min=0, max=2)
    ] = None,
    image_prompt: Annotated[
        list[Path] | None,
        option(IMAGES, "A stop's picture to draw by, once for each stop; else stops that are pictures are their own."),
    ] = None,
) -> None:
    """Draw what lies between prompts and pictures.

    A chain of stops is one animation without a cut. Example:
    laser interpolate "a red ball in a meadow" "a blue cube in a meadow" cottage.png -o out.mp4
    """
    from laser_cli.errors import UsageError
    from laser_cli.jobs.build_interpolate import build_interpolation
    from laser_cli.jobs.merge import flags
    from laser_cli.jobs.stops import Images

    production = Production(settings, outputs, options, rerun)
    if "at" in settings and outputs.out is not None and outputs.out.suffix.lower() != ".png":
        raise UsageError("--at draws one picture", why=f"{outputs.out} is none", hint="-o OUT.png")
    built = build_interpolation(
        flags(settings),
        stops or (),
        prompts=prompts or (),
        guides=guides or (),
        latents=latents.value if latents else None,
        images=Images(ip_adapter, ip_scale, image_prompt or ()),
        rerun=rerun,
        preset=preset,
        planning=planning,
        progress=production.console,
        verbose=options.verbose,
    )
    production.carry_out(built, _lines)


def _lines(costs: Mapping[str, Any]) -> Iterator[str]:
    """The stops and what leads between them for people, of a dry run."""
    for stop in costs["stops"]:
        yield f"stop: {stop['prompt']}" + (f" ({stop['picture']})" if "picture" in stop else "")
    if adapter := costs["adapter"]:
        shown = ", ".join(image["picture"] if image else "none" for image in adapter["images"])
        yield f"image prompts: {shown} (by {adapter['name']}, scale {adapter['scale']:g})"
    for guide in costs["guides"]:
        yield f"guide: {guide['prompt']} (by {guide['by']['name']})"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("interpolate")(expand(interpolate))
