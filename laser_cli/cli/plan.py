"""`laser plan`: a sentence becomes a plan, to read and edit before anything is drawn."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from laser_cli.cli.after import Afterwards
from laser_cli.cli.options import Force, Machine, Shown, expand, option
from laser_cli.jobs import names
from laser_cli.jobs.names import HELP
from laser_cli.jobs.planning import PlanningAlone, PlanSettings


def plan(
    planning: PlanningAlone,
    layout: PlanSettings,
    shown: Shown,
    machine: Machine,
    after: Afterwards,
    description: Annotated[str, typer.Argument(help="What happens, for example 'summer turns to a snowy night'.")],
    image: Annotated[
        Path | None, option(None, "The picture; its metadata, or a model that sees, tells what it shows.")
    ] = None,
    source_prompt: Annotated[
        str | None,
        option(
            None, "What the picture shows, if picture and description do not say.", "--prompt", "--source-prompt", "-p"
        ),
    ] = None,
    output: Annotated[str, typer.Option("--output", "-o", help=f"A .yaml or .json file; - is stdout. {HELP}")] = "-",
    force: Force = False,
    explain: Annotated[
        bool, typer.Option("--explain", help="Show the exchange with the model, or how the rules read the description.")
    ] = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Tell a model's tokens a second.", rich_help_panel="Console")
    ] = False,
) -> None:
    """Turn a description of change into a plan: keyframe prompts, and how each segment between them is drawn."""
    from laser_cli.jobs.inputs import read_once
    from laser_cli.jobs.planning import callbacks_of, request_for, shown_words
    from laser_cli.jobs.stops import words_of
    from laser_cli.output.atomic import check_target
    from laser_cli.output.guard import check_outputs
    from laser_cli.plan.files import is_plan, write_plan
    from laser_cli.plan.planners import make_plan

    console = shown.console(verbose=verbose or explain)
    after.check_exec(files=output != "-")
    described, words_file = words_of(description)
    if output != "-":
        output = names.fill(output, names.values_of(layout, "plan", image, described))
        target = Path(output)
        read = [path for path in (image, words_file) if path is not None]
        check_outputs([target], read, force=force, ours={target: is_plan})
        check_target(target, force=force)
    shown_in = read_once(image) if image is not None else None
    source_prompt = shown_words(planning, source_prompt, shown_in, console, verbose)
    words = described or ""
    request = request_for(planning, words, source_prompt, frames=layout.frames, easing=layout.easing)
    callbacks = callbacks_of(console, verbose, explain)
    made, notes = make_plan(planning.planner, request, callbacks, intermediate=layout.waypoints)
    unheard = _unheard(planning)
    if unheard and made.planner.name == "rules" and not made.planner.instead_of:
        console.warn(f"{', '.join(unheard)}: for models, the rules need none")
    for note in notes:
        console.warn(note)
    told = {"plan": made.model_dump(mode="json"), "notes": notes}
    if output == "-" and console.json:
        console.json_object({"paths": [], **told})
        return
    write_plan(made, output, force=force)
    if output != "-":
        console.result([Path(output)], told)
        after.run_exec([Path(output)], console)


def _unheard(planning: PlanningAlone) -> list[str]:
    """The options given that only models heed."""
    options = {
        "--seed": planning.seed,
        "--temperature": planning.temperature,
        "--timeout": planning.planner_timeout,
        "--retries": planning.retries,
        "--planner-gpu-layers": planning.planner_gpu_layers,
    }
    return [name for name, value in options.items() if value is not None]


def register(app: typer.Typer) -> None:
    """Add `laser plan`."""
    app.command("plan")(expand(plan))
