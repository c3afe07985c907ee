"""`laser bench`: what was promised, measured on this machine."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from laser_cli.cli.console import Console
from laser_cli.cli.options import Device, Dtype, Json, ModelName, Quiet, open_model


class Bench(str, Enum):
    """The benchmarks there are."""

    speed = "speed"
    plan = "plan"
    storybook = "storybook"


def bench(
    name: Annotated[
        Bench,
        typer.Argument(
            help="speed: time and memory of an animation; plan: the planners on the storybook grammar; "
            "storybook: what the embedded models keep, know and draw.",
            show_default=False,
        ),
    ],
    frames: Annotated[int, typer.Option(min=2, help="Frames of the animation (speed).")] = 24,
    steps: Annotated[int, typer.Option(min=1, help="Denoising steps (speed, storybook).")] = 25,
    chunk: Annotated[int, typer.Option(min=1, help="Frames in one U-Net call (speed).")] = 12,
    whole: Annotated[
        bool,
        typer.Option("--whole/--no-whole", help="Also measure whole commands, and peak memory at 50 and 1,000 frames."),
    ] = True,
    items: Annotated[int, typer.Option(min=1, help="Held-out descriptions (plan) or pictures (storybook).")] = 1000,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the descriptions (plan).")] = 1,
    sheet: Annotated[
        Path | None, typer.Option(help="Write the first 64 generated pictures here (storybook).", show_default=False)
    ] = None,
    model_name: ModelName = "storybook",
    device: Device = "auto",
    dtype: Dtype = "auto",
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Print measured figures beside their targets and baselines; the exit code is 0 whether or not they hold."""
    from laser_cli.measure.figures import as_json, as_text

    console = Console(quiet=quiet, json=json)
    if name is Bench.speed:
        from laser_cli.measure import speed

        figures = speed.speed(
            open_model(console, model_name, device, dtype), frames, steps, chunk=chunk, say=console.note
        )
        if whole:
            console.note("whole commands")
            figures += speed.commands(model_name) + speed.memory(model_name, console.note)
    elif name is Bench.storybook:
        from laser_cli.measure.storybook import bench_storybook
        from laser_cli.storybook.train.common import save_grid

        model = open_model(console, model_name, device, dtype)
        figures, pictures = bench_storybook(model, items, steps, say=console.note)
        if sheet:
            save_grid(pictures, 8, sheet)
    else:
        from laser_cli.measure.planners import bench_plans

        figures = bench_plans(items, seed, console.note)
    if json:
        console.json_object(as_json(name.value, figures))
    else:
        typer.echo(as_text(figures))


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("bench")(bench)
