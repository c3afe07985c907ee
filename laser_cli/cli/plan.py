"""`laser plan`: a sentence becomes a plan, to read and edit before anything is drawn."""

from pathlib import Path
from typing import Annotated

import typer

from laser_cli.cli import planning as p
from laser_cli.cli.console import Console
from laser_cli.cli.options import Easing, Json, Quiet, words_of


def plan(
    description: Annotated[str, typer.Argument(help="What happens, for example 'summer turns to a snowy night'.")],
    image: Annotated[
        Path | None, typer.Option("--image", help="The picture; its metadata may tell what it shows.")
    ] = None,
    source_prompt: Annotated[
        str | None,
        typer.Option("--source-prompt", "-p", help="What the picture shows, if picture and description do not say."),
    ] = None,
    frames: Annotated[int, typer.Option("--frames", "-n", min=2, help="Pictures in all.")] = 24,
    easing: Annotated[
        Easing | None,
        typer.Option("--easing", help="Course of time within segments. (default: ease, or the model's choice)"),
    ] = None,
    waypoints: Annotated[
        bool,
        typer.Option(help="Cut far ways into near ones: day to night by way of sunset, left to right by the middle."),
    ] = True,
    output: Annotated[str, typer.Option("--output", "-o", help="A .yaml or .json file; - is stdout.")] = "-",
    planner: p.PlannerName = None,
    keyframes: p.Keyframes = None,
    seed: Annotated[
        int | None, typer.Option(min=0, help="Of a model's choice of words. (default: 0)", rich_help_panel=p.PANEL)
    ] = None,
    temperature: p.Temperature = None,
    timeout: p.Timeout = None,
    retries: p.Retries = None,
    gpu_layers: p.GpuLayers = None,
    explain: Annotated[
        bool,
        typer.Option("--explain", help="Show the exchange with the model, or how the rules read the description."),
    ] = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Tell a model's tokens a second.", rich_help_panel="Console")
    ] = False,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Turn a description of change into a plan: keyframe prompts, and how each segment between them is drawn."""
    from laser_cli.plan.files import write_plan

    console = Console(quiet=quiet and not (verbose or explain), json=json)
    for_models = {"--seed": seed, "--temperature": temperature, "--timeout": timeout, "--retries": retries}
    unheard = [name for name, value in {**for_models, "--planner-gpu-layers": gpu_layers}.items() if value is not None]
    if image is not None:
        from laser_cli.output.frames import picture_prompt

        source_prompt = source_prompt or picture_prompt(image)
    asked = p.asked_for(
        words_of(description)[0] or "",
        source_prompt,
        frames=frames,
        easing=easing.value if easing else None,
        keyframes=keyframes,
        seed=seed,
        temperature=temperature,
        timeout=timeout,
        retries=retries,
        layers=gpu_layers,
    )
    made, notes = p.make_plan(console, planner, asked, waypoints=waypoints, verbose=verbose, explain=explain)
    if unheard and made.planner.name == "rules" and not made.planner.instead_of:
        console.warn(f"{', '.join(unheard)}: for models, the rules need none")
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
