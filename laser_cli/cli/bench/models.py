"""Benchmarks of models: their speed and memory, what the embedded ones draw, and how conditions lead them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from laser_cli.cli.bench.common import Guidance, OnModel, Steps, benches, show
from laser_cli.cli.options import Shown, expand
from laser_cli.errors import UsageError

if TYPE_CHECKING:
    from laser_cli.measure.figures import Figure

PARTS = ("own", "library", "memory", "variants")


@benches.command()
@expand
def speed(
    on: OnModel,
    frames: Annotated[int, typer.Option(min=2, help="Frames of the animation.")] = 24,
    steps: Steps = 25,
    chunk: Annotated[int, typer.Option(min=1, help="Frames in one U-Net call.")] = 12,
    guidance: Annotated[float, typer.Option(min=0, max=30, help="How strongly prompts lead; 0 and 1 are off.")] = 3.0,
    warmup: Annotated[float, typer.Option(min=0, max=1, help="Share of the steps with attention interpolation.")] = 0.5,
    rounds: Annotated[int, typer.Option(min=1, help="The best of so many counts.")] = 3,
    parts: Annotated[
        str,
        typer.Option(
            help="What is measured, with commas: own (beside plain sampling), library (beside the library's pipeline), "
            "memory (by --chunk, --offload, --free-text-encoders), variants (precisions, channels last, --compile)."
        ),
    ] = "own,library",
    whole: Annotated[
        bool,
        typer.Option("--whole/--no-whole", help="Also measure whole commands, and peak memory at 50 and 1,000 frames."),
    ] = True,
) -> None:
    """Time and memory of an animation, beside plain sampling and the library's pipeline.

    Example, without a checkpoint at hand: laser bench layout sd1 sd1; laser bench speed --model ./sd1 --parts library
    --frames 3 --steps 1 --rounds 1 --no-whole
    """
    from laser_cli.engine.spec import SamplingParams
    from laser_cli.measure import speed as measured
    from laser_cli.measure.cores import cores
    from laser_cli.measure.footprint import footprints
    from laser_cli.measure.library import against_library
    from laser_cli.measure.variants import variants

    wanted = _parts(parts)
    console = on.console()
    model = on.load(console)
    params = SamplingParams(model.cfg_scale(max(1.0, guidance)), warmup, chunk)
    figures: list[Figure] = []
    if "own" in wanted:
        figures += measured.speed(model, frames, steps, params, rounds, console.note)
    if "library" in wanted:
        figures += against_library(model, frames, steps, params, rounds, console.note)
    if "variants" in wanted:
        figures += variants(model, min(chunk, frames) * 2, console.note)
    if "memory" in wanted:
        figures += footprints(on.model, on.device, on.dtype, chunk, console.note)
    if whole:
        console.note("whole commands")
        figures += measured.commands(on.model) + measured.memory(on.model, console.note)
        figures += cores(model, frames, say=console.note)
    show(console, "speed", figures)


def _parts(text: str) -> list[str]:
    """What of the bench is wanted; UsageError for a part that there is not."""
    wanted = [part.strip() for part in text.split(",") if part.strip()]
    if not wanted or (strange := [part for part in wanted if part not in PARTS]):
        raise UsageError(f"--parts {text}", why=f"there is no {strange[0]}" if wanted else "", hint=", ".join(PARTS))
    return wanted


@benches.command()
@expand
def layout(
    family: Annotated[str, typer.Argument(help="sd1, sd2 or sdxl.", show_default=False)],
    folder: Annotated[Path, typer.Argument(help="The folder to write; it must not be there.", show_default=False)],
    shown: Shown,
    small: Annotated[bool, typer.Option("--small", help="The same layers, a tenth as wide.")] = False,
    seed: Annotated[int, typer.Option(min=0, help="Of the weights.")] = 0,
) -> None:
    """Write a model of random weights in a family's full-size layout (2 to 7 GB), to measure speed and memory with."""
    from laser_cli.measure.layouts import FAMILIES, write_layout

    if family not in FAMILIES:
        raise UsageError(f"there is no family {family!r}", hint=", ".join(FAMILIES))
    if folder.exists():
        raise UsageError(f"{folder} is there already", hint="another folder")
    write_layout(folder, FAMILIES[family], small=small, seed=seed)
    shown.console().result([folder])


@benches.command()
@expand
def storybook(
    on: OnModel,
    items: Annotated[int, typer.Option(min=1, help="Held-out pictures.")] = 1000,
    steps: Steps = 25,
    guidance: Guidance = None,
    sheet: Annotated[
        Path | None, typer.Option(help="Write the first 64 generated pictures here.", show_default=False)
    ] = None,
) -> None:
    """What the embedded models keep, know and draw."""
    from laser_cli.jobs.merge import flags
    from laser_cli.jobs.model import settle
    from laser_cli.jobs.settings import AnimateSettings
    from laser_cli.measure.storybook import bench_storybook
    from laser_cli.storybook.train.common import save_grid

    console = on.console()
    asked = settle(AnimateSettings, flags({"model": on.model, "guidance": guidance}))
    model = on.load(console)
    figures, pictures = bench_storybook(model, items, steps, asked.guidance, console.note)
    if sheet:
        save_grid(pictures, 8, sheet)
    show(console, "storybook", figures)


@benches.command()
@expand
def conditions(
    on: OnModel,
    controlnet: Annotated[
        str, typer.Option(metavar="MODEL[:WEIGHT[:START-END]]", help="The ControlNet of outlines.")
    ] = "storybook",
    items: Annotated[int, typer.Option(min=0, help="Held-out scenes whose outline is told.")] = 200,
    moves: Annotated[int, typer.Option(min=0, help="Moves by moved outlines.")] = 20,
    pairs: Annotated[int, typer.Option(min=0, help="Pairs of outlines that every way between them is drawn of.")] = 12,
    steps: Steps = 25,
    guidance: Guidance = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the scenes.")] = 1,
) -> None:
    """Whether told outlines are followed, beside plain redrawing, and which way between two is the smoothest."""
    from laser_cli.jobs.merge import flags
    from laser_cli.jobs.model import settle
    from laser_cli.jobs.settings import AnimateSettings
    from laser_cli.measure.conditions import bench_conditions
    from laser_cli.measure.interpolations.bench import needed_classifier
    from laser_cli.models.load_control_net import find_control_net, load_control_net, parse_control_net

    if not items + moves + pairs:
        raise UsageError("there is nothing to measure", why="--items, --moves and --pairs are all 0")
    console, classifier, choice = on.console(), needed_classifier(), parse_control_net(controlnet)
    path = find_control_net(choice.name)
    asked = settle(AnimateSettings, flags({"model": on.model, "guidance": guidance}))
    model = on.load(console)
    net = load_control_net(model, path, *choice[1:])
    many = (items, moves, pairs, steps, asked.guidance, seed)
    show(console, "conditions", bench_conditions(model, net, classifier, *many, say=console.note))
