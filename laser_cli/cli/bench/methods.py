"""Benchmarks of methods: planners, interpolations, animations, portraits and batches, beside their baselines."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from laser_cli.cli.bench.common import OnModel, OwnSteps, Whole, benches, show
from laser_cli.cli.options import Machine, Shown, expand
from laser_cli.jobs.planning import PlannerChoice


class Half(str, Enum):
    """The halves of an animation bench's edits."""

    development = "development"
    report = "report"


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
    show(console, "plan", figures)


@benches.command()
@expand
def interpolate(
    on: OnModel,
    items: Annotated[int, typer.Option(min=1, help="Pairs of storybook items.")] = 100,
    frames: Annotated[int, typer.Option(min=3, help="Pictures from stop to stop.")] = 7,
    steps: OwnSteps = None,
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
    from laser_cli.jobs.merge import flags
    from laser_cli.jobs.model import settle
    from laser_cli.jobs.settings import InterpolateSettings
    from laser_cli.measure.interpolations import bench
    from laser_cli.measure.interpolations.cost import memory

    console = on.console()
    wanted, classifier = bench.read_methods(methods), bench.needed_classifier()
    own = settle(InterpolateSettings, flags({"model": on.model, "steps": steps}))
    model = on.load(console)
    how = (items, frames, own.steps, wanted, seed)
    guidance = model.cfg_scale(own.guidance)
    rows, figures = bench.bench_interpolations(model, classifier, *how, say=console.note, guidance=guidance)
    if whole:
        figures += memory(on.model, console.note)
    if on.json_:
        figures += bench.as_figures(rows)
    else:
        typer.echo(bench.table(rows) + "\n")
    show(console, "interpolate", figures)


@benches.command()
@expand
def animate(
    on: OnModel,
    items: Annotated[int, typer.Option(min=1, help="Edits and stories of the storybook world.")] = 200,
    frames: Annotated[int, typer.Option(min=3, help="Frames of an animation.")] = 25,
    every: Annotated[
        int, typer.Option(min=1, help="Draw every so many of them only: the same pictures, for a fraction of the time.")
    ] = 4,
    steps: OwnSteps = None,
    method: Annotated[
        list[str] | None,
        typer.Option(
            help="A method, by its name in the table; may be given several times. (default: all)", show_default=False
        ),
    ] = None,
    kind: Annotated[
        list[str] | None,
        typer.Option(help="A kind of edits; may be given several times. (default: all)", show_default=False),
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
    from laser_cli.jobs.settings import AnimateSettings, ModelChoice
    from laser_cli.measure.animation.asked import Amount, check_kinds, check_methods
    from laser_cli.output.atomic import check_frames_dir

    console = on.console()
    amount, methods = Amount(items, frames, every, half.value, seed), check_methods(method or ())
    kinds = check_kinds(kind or ())
    amount.check(kinds[:items])
    if out:
        check_frames_dir(out)
    settings = settle(AnimateSettings, flags({"model": on.model, "steps": steps}))
    named = choose_distance(settings.distance, settings.model)
    from laser_cli.measure.animation import bench, cost, table
    from laser_cli.measure.animation.edits import sample_edits
    from laser_cli.measure.animation.page import Folder
    from laser_cli.measure.animation.processes import side_by_side
    from laser_cli.stages.distances import at_first_use

    classifier = bench.needed_classifier()
    model = on.load(console)
    folder, how = Folder(out) if out else None, bench.Measure.of(settings, amount, methods)
    edits = sample_edits(amount.items, amount.half, amount.seed, kinds)
    if model.workers.count > 1 and len(edits) > 1:
        console.note(f"{model.workers.count} edits at a time, each on a core of its own")
        choice = ModelChoice(model=on.model, device="cpu", dtype=on.dtype)
        done = side_by_side(choice, named, how, edits, model.workers.count, pictures=folder is not None)
    else:
        judge, distance = classifier.to(model.device), at_first_use(named, model)
        done = (bench.drawn(model, judge, distance, how, edit) for edit in edits)
    rows, figures = bench.bench_animations(done, items, console.note, folder.add if folder else lambda one: None)
    if folder:
        about = f"{items} edits, {model.name}, {settings.steps} steps, {half.value} half"
        for path in folder.close(rows, figures, about):
            console.note(str(path))
    if whole:
        figures += cost.whole(on.model, methods, frames, settings.steps, console.note)
    if on.json_:
        figures += table.as_figures(rows)
    else:
        typer.echo(table.table(rows) + "\n")
    show(console, "animate", figures)


@benches.command()
@expand
def portraits(
    on: OnModel,
    items: Annotated[int, typer.Option(min=1, help="Self-reenactments, and as many cross-reenactments.")] = 200,
    steps: OwnSteps = None,
    portrait_adapter: Annotated[
        str | None, typer.Option(help="Portrait adapters. (default: the model's own)", show_default=False)
    ] = None,
    compare: Annotated[
        str | None, typer.Option(help="Other adapters as one more row, such as plain attention's.", show_default=False)
    ] = None,
    baselines: Annotated[
        int, typer.Option(min=1, help="Reenactments of each kind that words and attention are drawn for.")
    ] = 40,
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
    figures, pictures = bench_portraits(
        model, classifier, items, steps, portrait_adapter, compare, baselines, console.note
    )
    if whole and portrait_adapter is None:
        figures += memory(on.model, console.note)
    if sheet:
        save_grid(pictures.flatten(0, 1), pictures.shape[1], sheet)
    show(console, "portraits", figures)


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

    console = shown.console()
    figures = measured.shell_loop(items, console.note) if items else []
    if jobs:
        figures += measured.driver_memory(jobs, console.note)
        figures += measured.on_ray(jobs, kills, seed, console.note)
    show(console, "batch", figures)
