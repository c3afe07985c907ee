"""`laser bench`: what was promised, measured on this machine; the exit code is 0 whether or not it holds."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from laser_cli.cli.console import Console
from laser_cli.cli.options import Machine, Shown, expand
from laser_cli.jobs.planning import PlannerChoice
from laser_cli.jobs.settings import ModelChoice, Placement

if TYPE_CHECKING:
    from laser_cli.measure.figures import Figure
    from laser_cli.models.model import Model


class OnModel(Shown, Machine, Placement):
    """What a bench of a model is run on."""

    def console(self) -> Console:
        """Where it is told."""
        return Console(quiet=self.quiet, json=self.json_)

    def load(self, console: Console) -> Model:
        """The model, and what it runs on is said."""
        from laser_cli.jobs.run import load

        return load(ModelChoice(model=self.model, device=self.device, dtype=self.dtype), console, self.threads)


Steps = Annotated[int, typer.Option(min=1, help="Denoising steps.")]
Whole = Annotated[bool, typer.Option("--whole/--no-whole", help="Also measure peak memory at 50 and 1,000 frames.")]

benches = typer.Typer(
    no_args_is_help=True,
    help="Print measured figures beside their targets and baselines; the exit code is 0 whether or not they hold.",
)


@benches.command()
@expand
def speed(
    on: OnModel,
    frames: Annotated[int, typer.Option(min=2, help="Frames of the animation.")] = 24,
    steps: Steps = 25,
    chunk: Annotated[int, typer.Option(min=1, help="Frames in one U-Net call.")] = 12,
    whole: Annotated[
        bool,
        typer.Option("--whole/--no-whole", help="Also measure whole commands, and peak memory at 50 and 1,000 frames."),
    ] = True,
) -> None:
    """Time and memory of an animation, beside plain sampling."""
    from laser_cli.measure import speed as measured
    from laser_cli.measure.cores import cores

    console = on.console()
    model = on.load(console)
    figures = measured.speed(model, frames, steps, chunk=chunk, say=console.note)
    if whole:
        console.note("whole commands")
        figures += measured.commands(on.model) + measured.memory(on.model, console.note)
        figures += cores(model, frames, say=console.note)
    _show(console, "speed", figures)


@benches.command()
@expand
def plan(
    choice: PlannerChoice,
    shown: Shown,
    items: Annotated[int, typer.Option(min=1, help="Held-out descriptions.")] = 1000,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the descriptions.")] = 1,
) -> None:
    """A planner beside the rules, on the storybook grammar and on sentences of the open world."""
    from laser_cli.jobs.planning import planners_beside
    from laser_cli.measure.planners import bench_plans, count

    console = Console(quiet=shown.quiet, json=shown.json_)
    planners = planners_beside(choice)
    with console.progress(count(planners, items), "planning") as bar:
        figures = bench_plans(planners, items, seed, bar.advance)
    _show(console, "plan", figures)


@benches.command()
@expand
def storybook(
    on: OnModel,
    items: Annotated[int, typer.Option(min=1, help="Held-out pictures.")] = 1000,
    steps: Steps = 25,
    guidance: Annotated[
        float | None,
        typer.Option(
            min=1, max=30, help="How strongly captions lead. (default: the model's own, or 3)", show_default=False
        ),
    ] = None,
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
    _show(console, "storybook", figures)


@benches.command()
@expand
def interpolate(
    on: OnModel,
    items: Annotated[int, typer.Option(min=1, help="Pairs of storybook items.")] = 100,
    frames: Annotated[int, typer.Option(min=3, help="Pictures from stop to stop.")] = 7,
    steps: Steps = 10,
    methods: Annotated[
        str | None,
        typer.Option(
            help="Some methods, with commas: outer, outer-unfused, inner, inner-unfused, text, denoise. (default: all)",
            show_default=False,
        ),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the pairs.")] = 1,
    whole: Whole = True,
) -> None:
    """Every method and spacing of interpolation, on pairs whose true in-betweens are known."""
    from laser_cli.measure.interpolations import bench
    from laser_cli.measure.interpolations.cost import memory

    console = on.console()
    wanted, classifier = bench.read_methods(methods), bench.needed_classifier()
    model = on.load(console)
    rows, figures = bench.bench_interpolations(model, classifier, items, frames, steps, wanted, seed, say=console.note)
    if whole:
        figures += memory(on.model, console.note)
    if on.json_:
        figures += bench.as_figures(rows)
    else:
        typer.echo(bench.table(rows) + "\n")
    _show(console, "interpolate", figures)


@benches.command()
@expand
def batch(
    shown: Shown,
    items: Annotated[int, typer.Option(min=0, help="Storybook jobs beside a shell's loop; 0 leaves it out.")] = 20,
    jobs: Annotated[int, typer.Option(min=0, help="Mock jobs on Ray's local cluster; 0 leaves it out.")] = 10_000,
    kills: Annotated[int, typer.Option(min=0, help="Workers and nodes that are killed while they run.")] = 20,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the moments at which they are.")] = 1,
) -> None:
    """A batch beside a shell's loop; on Ray what a job costs, what kills lose, and how it scales."""
    from laser_cli.measure import batch as measured

    console = Console(quiet=shown.quiet, json=shown.json_)
    figures = measured.shell_loop(items, console.note) if items else []
    if jobs:
        figures += measured.driver_memory(jobs, console.note)
        figures += measured.on_ray(jobs, kills, seed, console.note)
    _show(console, "batch", figures)


def _show(console: Console, name: str, figures: Sequence[Figure]) -> None:
    from laser_cli.measure.figures import as_json, as_text

    if console.json:
        console.json_object(as_json(name, figures))
    else:
        typer.echo(as_text(figures))


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    app.add_typer(benches, name="bench")
