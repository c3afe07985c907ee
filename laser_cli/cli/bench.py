"""`laser bench`: what was promised, measured on this machine."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from laser_cli.cli import planning as p
from laser_cli.cli.console import Console
from laser_cli.cli.options import Device, Dtype, Json, ModelName, Quiet, open_model


class Bench(str, Enum):
    """The benchmarks there are."""

    speed = "speed"
    plan = "plan"
    storybook = "storybook"
    interpolate = "interpolate"


def bench(
    name: Annotated[
        Bench,
        typer.Argument(
            help="speed: time and memory of an animation; plan: the rules beside a planner, on the storybook grammar "
            "and the open world; storybook: what the embedded models keep, know and draw; interpolate: every method "
            "and spacing, on storybook pairs.",
            show_default=False,
        ),
    ],
    frames: Annotated[
        int | None, typer.Option(min=2, help="Frames (speed: 24; interpolate: 7, stops included).", show_default=False)
    ] = None,
    steps: Annotated[
        int | None, typer.Option(min=1, help="Denoising steps. (25; interpolate: 10)", show_default=False)
    ] = None,
    chunk: Annotated[int, typer.Option(min=1, help="Frames in one U-Net call (speed).")] = 12,
    whole: Annotated[
        bool,
        typer.Option(
            "--whole/--no-whole",
            help="Also measure whole commands (speed) and peak memory at 50 and 1,000 frames (speed, interpolate).",
        ),
    ] = True,
    items: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Held-out descriptions (plan: 1000), pictures (storybook: 1000) or pairs (interpolate: 100).",
            show_default=False,
        ),
    ] = None,
    methods: Annotated[
        str | None,
        typer.Option(
            help="Methods, with commas; all of them else: outer, outer-unfused, inner, inner-unfused, text, denoise "
            "(interpolate).",
            show_default=False,
        ),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the descriptions (plan) or pairs (interpolate).")] = 1,
    sheet: Annotated[
        Path | None, typer.Option(help="Write the first 64 generated pictures here (storybook).", show_default=False)
    ] = None,
    planner: p.PlannerName = None,
    planner_timeout: p.PlannerTimeout = None,
    planner_gpu_layers: p.GpuLayers = None,
    model_name: ModelName = "storybook",
    device: Device = "auto",
    dtype: Dtype = "auto",
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Print measured figures beside their targets and baselines; the exit code is 0 whether or not they hold."""
    from laser_cli.measure.figures import as_json, as_text

    console = Console(quiet=quiet, json=json)
    beside, above = [], ""  # figures and a table of their own
    if name is Bench.speed:
        from laser_cli.measure import speed

        figures = speed.speed(
            open_model(console, model_name, device, dtype), frames or 24, steps or 25, chunk=chunk, say=console.note
        )
        if whole:
            console.note("whole commands")
            figures += speed.commands(model_name) + speed.memory(model_name, console.note)
    elif name is Bench.storybook:
        from laser_cli.measure.storybook import bench_storybook
        from laser_cli.storybook.train.common import save_grid

        model = open_model(console, model_name, device, dtype)
        figures, pictures = bench_storybook(model, items or 1000, steps or 25, say=console.note)
        if sheet:
            save_grid(pictures, 8, sheet)
    elif name is Bench.interpolate:
        from laser_cli.measure import interpolations as i
        from laser_cli.measure.interpolations_cost import memory

        wanted, critic = i.read_methods(methods), i.needed_critic(frames or 7)
        model = open_model(console, model_name, device, dtype)
        rows, figures = i.bench_interpolations(
            model, critic, items or 100, frames or 7, steps or 10, wanted, seed, say=console.note
        )
        if whole:
            figures += memory(model_name, console.note)
        beside, above = i.as_figures(rows), i.table(rows) + "\n\n"
    else:
        from laser_cli.measure.planners import bench_plans, count

        planners = p.planners_beside(planner, timeout=planner_timeout, layers=planner_gpu_layers)
        with console.progress(count(planners, items or 1000), "planning") as bar:
            figures = bench_plans(planners, items or 1000, seed, bar.advance)
    if json:
        console.json_object(as_json(name.value, [*figures, *beside]))
    else:
        typer.echo(above + as_text(figures))


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("bench")(bench)
