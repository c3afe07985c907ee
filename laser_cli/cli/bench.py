"""`laser bench`: what was promised, measured on this machine; the exit code is 0 whether or not it holds."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from laser_cli.cli import early
from laser_cli.cli.console import Console
from laser_cli.cli.options import Machine, Shown, expand
from laser_cli.errors import UsageError
from laser_cli.jobs.planning import PlannerChoice
from laser_cli.jobs.settings import ModelChoice, Placement

if TYPE_CHECKING:
    from laser_cli.cli.console import Console
    from laser_cli.measure.figures import Figure
    from laser_cli.models.model import Model


class Half(str, Enum):
    """The halves of an animation bench's edits."""

    development = "development"
    report = "report"


class OnModel(Shown, Machine, Placement):
    """What a bench of a model is run on."""

    def load(self, console: Console) -> Model:
        """The model, and what it runs on is said."""
        from laser_cli.jobs.run import load

        return load(ModelChoice(model=self.model, device=self.device, dtype=self.dtype), console, self.threads)


Steps = Annotated[int, typer.Option(min=1, help="Denoising steps.")]
Whole = Annotated[bool, typer.Option("--whole/--no-whole", help="Also measure peak memory at 50 and 1,000 frames.")]

HELP = "Print measured figures beside their targets and baselines; the exit code is 0 whether or not they hold."
benches = typer.Typer(help=HELP)


@benches.callback(invoke_without_command=True, help=HELP)
def every(
    context: typer.Context,
    all_: Annotated[bool, typer.Option("--all", help="Run every benchmark, one after the other.")] = False,
    json: Annotated[
        Path | None, typer.Option(help="With --all: write all figures here.", metavar="FILE", show_default=False)
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="With --all: the model that draws.", envvar="LASER_MODEL", show_default=False)
    ] = None,
    items: Annotated[
        int | None, typer.Option(min=1, help="With --all: items of each benchmark that has some.", show_default=False)
    ] = None,
) -> None:
    """Every benchmark at once, or the one that is named."""
    if not all_ or context.invoked_subcommand:
        if all_ or json or items:
            why = f"{context.invoked_subcommand} is one of them" if all_ else "they go with --all"
            raise UsageError("--all, --json FILE and --items before the name of a benchmark do nothing", why=why)
        if not context.invoked_subcommand:
            typer.echo(context.get_help())
            raise typer.Exit(2)
        return
    if json is None:
        raise UsageError("--all needs a file for its figures", hint="laser bench --all --json FILE")
    _run_all(json, {"--model": model, "--items": str(items) if items else None})


def _run_all(file: Path, options: dict[str, str | None]) -> None:
    """Writes what all benchmarks print into one file; the exit code is 6 if some of them failed."""
    from json import dumps

    from laser_cli.measure.every import run_all
    from laser_cli.output.atomic import check_target, staged

    console = Console(progress=early.asked("progress", early.PROGRESS))
    check_target(file)
    told, failed = run_all(options, console.note)
    with staged(file) as made:
        made.write_text(dumps({"version": 1, **told}, indent=1) + "\n", encoding="utf-8", newline="\n")
    console.result([file])
    if failed:
        console.warn(f"not measured: {', '.join(failed)}")
        raise typer.Exit(6)


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
    _show(console, "speed", figures)


PARTS = ("own", "library", "memory", "variants")


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
def plan(
    choice: PlannerChoice,
    shown: Shown,
    machine: Machine,
    items: Annotated[int, typer.Option(min=1, help="Held-out descriptions.")] = 1000,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the descriptions.")] = 1,
) -> None:
    """A planner beside the rules, on the storybook grammar and on sentences of the open world."""
    from laser_cli.jobs.planning import planners_beside
    from laser_cli.measure.planners import bench_plans, count

    console = shown.console()
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
            min=0, max=30, help="How strongly captions lead. (default: the model's own, or 3)", show_default=False
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
def portraits(
    on: OnModel,
    items: Annotated[int, typer.Option(min=1, help="Self-reenactments, and as many cross-reenactments.")] = 200,
    steps: Steps = 25,
    portrait_adapter: Annotated[
        str | None, typer.Option(help="Portrait adapters. (default: the model's own)", show_default=False)
    ] = None,
    compare: Annotated[
        str | None, typer.Option(help="Other adapters as one more row, such as plain attention's.", show_default=False)
    ] = None,
    sheet: Annotated[
        Path | None, typer.Option(help="Write reference, truth and every row of a few here.", show_default=False)
    ] = None,
    whole: Whole = True,
) -> None:
    """Driven portraits of puppets, against their true pictures, beside words, attention and copies."""
    from laser_cli.controls.knit.find import needed_adapters
    from laser_cli.measure.portraits.bench import bench_portraits, memory
    from laser_cli.storybook.classifier import load_classifier
    from laser_cli.storybook.train.common import save_grid

    console = on.console()
    for asked in (portrait_adapter, compare) if compare else (portrait_adapter,):
        needed_adapters(asked, on.model)
    classifier = load_classifier()
    model = on.load(console)
    figures, pictures = bench_portraits(model, classifier, items, steps, portrait_adapter, compare, console.note)
    if whole and portrait_adapter is None:
        figures += memory(on.model, console.note)
    if sheet:
        save_grid(pictures.flatten(0, 1), pictures.shape[1], sheet)
    _show(console, "portraits", figures)


@benches.command()
@expand
def animate(
    on: OnModel,
    items: Annotated[int, typer.Option(min=1, help="Edits and stories of the storybook world.")] = 200,
    frames: Annotated[int, typer.Option(min=3, help="Frames of an animation.")] = 25,
    every: Annotated[
        int, typer.Option(min=1, help="Draw every so many of them only: the same pictures, for a fraction of the time.")
    ] = 4,
    steps: Steps = 8,
    method: Annotated[
        list[str] | None,
        typer.Option(
            help="A method, by its name in the table; may be given several times. (default: all)", show_default=False
        ),
    ] = None,
    half: Annotated[
        Half, typer.Option(help="Edits to tune methods on, or those that figures are reported on.")
    ] = Half.report,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the edits.")] = 1,
    out: Annotated[
        Path | None,
        typer.Option(help="A folder for sheets, a table and a page with the worst edits.", show_default=False),
    ] = None,
    whole: Annotated[
        bool, typer.Option("--whole/--no-whole", help="Also measure cost and peak memory of whole animations.")
    ] = False,
) -> None:
    """Animations beside the methods they are built on, on edits whose true course is known."""
    from laser_cli.jobs.distance import choose_distance
    from laser_cli.jobs.merge import flags
    from laser_cli.jobs.model import settle
    from laser_cli.jobs.settings import AnimateSettings
    from laser_cli.measure.animation.asked import Amount, check_methods
    from laser_cli.output.atomic import check_frames_dir

    console = on.console()
    amount, methods = Amount(items, frames, every, half.value, seed), check_methods(method or ())
    amount.check()
    if out:
        check_frames_dir(out)
    settings = settle(AnimateSettings, flags({"model": on.model, "steps": steps}))
    named = choose_distance(settings.distance, settings.model)
    from laser_cli.measure.animation import bench, cost, table
    from laser_cli.measure.animation.page import Folder
    from laser_cli.stages.distances import at_first_use

    classifier = bench.needed_classifier()
    model = on.load(console)
    folder = Folder(out) if out else None
    drawn = bench.animations(model, classifier.to(model.device), at_first_use(named, model), settings, amount, methods)
    rows, figures = bench.bench_animations(drawn, items, console.note, folder.add if folder else lambda one: None)
    if folder:
        for path in folder.close(rows, figures, f"{items} edits, {model.name}, {steps} steps, {half.value} half"):
            console.note(str(path))
    if whole:
        figures += cost.whole(on.model, methods, frames, steps, console.note)
    if on.json_:
        figures += table.as_figures(rows)
    else:
        typer.echo(table.table(rows) + "\n")
    _show(console, "animate", figures)


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
    guidance: Annotated[
        float | None,
        typer.Option(
            min=1, max=30, help="How strongly captions lead. (default: the model's own, or 3)", show_default=False
        ),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the scenes.")] = 1,
) -> None:
    """Whether told outlines are followed, beside plain redrawing, and which way between two is the smoothest."""
    from laser_cli.errors import UsageError
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
    _show(console, "conditions", bench_conditions(model, net, classifier, *many, say=console.note))


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
