"""`laser plan`: a sentence becomes a plan, to read and edit before anything is drawn."""

from typing import Annotated

import typer

from laser_cli.cli.console import Console
from laser_cli.cli.options import Easing, Json, Quiet, words_of


def plan(
    description: Annotated[str, typer.Argument(help="What happens, for example 'summer turns to a snowy night'.")],
    source_prompt: Annotated[
        str | None,
        typer.Option("--source-prompt", "-p", help="What the picture shows, if the description does not say."),
    ] = None,
    planner: Annotated[str, typer.Option("--planner", help="Who plans: rules.")] = "rules",
    frames: Annotated[int, typer.Option("--frames", "-n", min=2, help="Pictures in all.")] = 24,
    easing: Annotated[Easing, typer.Option("--easing", help="Course of time within segments.")] = Easing.ease,
    waypoints: Annotated[
        bool,
        typer.Option(help="Cut far ways into near ones: day to night by way of sunset, left to right by the middle."),
    ] = True,
    output: Annotated[str, typer.Option("--output", "-o", help="A .yaml or .json file; - is stdout.")] = "-",
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Turn a description of change into a plan: keyframe prompts, and how each segment between them is drawn."""
    from pathlib import Path

    from laser_cli.errors import NotFoundError
    from laser_cli.plan.files import write_plan
    from laser_cli.plan.rules import plan_by_rules
    from laser_cli.plan.waypoints import with_waypoints

    if planner != "rules":
        raise NotFoundError(f"there is no planner {planner!r}", hint="--planner rules")
    console = Console(quiet=quiet, json=json)
    made, notes = plan_by_rules(words_of(description)[0] or "", source_prompt, frames, easing.value)
    made = with_waypoints(made) if waypoints else made
    for note in notes:
        console.warn(note)
    told = {"plan": made.model_dump(mode="json"), "notes": notes}
    if output == "-" and json:
        console.json_object({"paths": [], **told})
        return
    write_plan(made, output)
    if output != "-":
        console.result([Path(output)], told)


def register(app: typer.Typer) -> None:
    """Add `laser plan`."""
    app.command("plan")(plan)
