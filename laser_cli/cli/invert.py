"""`laser invert`: a picture back to the noise it would have come from, kept in a file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from laser_cli.cli.after import Afterwards
from laser_cli.cli.options import Force, Machine, Shown, expand, option
from laser_cli.errors import UsageError
from laser_cli.jobs.merge import Layer
from laser_cli.jobs.names import HELP
from laser_cli.jobs.planning import Captioning
from laser_cli.jobs.settings import InvertSettings


def invert(
    settings: Annotated[Layer, InvertSettings],
    captioning: Captioning,
    machine: Machine,
    shown: Shown,
    after: Afterwards,
    image: Annotated[Path, typer.Argument(help="The picture.", show_default=False)],
    out: Annotated[Path, option(None, f"Inversion to write (.safetensors). {HELP}", "--output", "-o")],
    prompt: Annotated[
        str | None,
        option(None, "What the picture shows; else its metadata tells.", "--prompt", "--source-prompt", "-p"),
    ] = None,
    force: Force = False,
) -> None:
    """Invert a picture, and say how well it can be drawn again.

    Example: laser invert cottage.png --prompt "a red house in a meadow" --steps 25 -o cottage.safetensors
    """
    from laser_cli.jobs import names
    from laser_cli.jobs.merge import merge

    chosen = merge(InvertSettings, settings)
    out = Path(names.fill(out, names.values_of(chosen, "invert", image, prompt)))
    if out.suffix != ".safetensors":
        raise UsageError(
            f"cannot write {out.name}",
            why="an inversion is a safetensors file",
            hint="a name that ends in .safetensors",
        )
    from laser_cli.jobs.inputs import Input
    from laser_cli.jobs.invert import InvertJob
    from laser_cli.jobs.prompts import source_prompt
    from laser_cli.jobs.run import load, run
    from laser_cli.jobs.sinks import InversionFile
    from laser_cli.output.atomic import check_target, staged
    from laser_cli.output.guard import check_outputs

    after.check_exec(files=True)
    console = shown.console()
    source = Input.of(image)
    check_outputs([out], [source.path], force=force)
    check_target(out, force=force)
    picture = source.picture(console.warn)
    words = source_prompt(console, prompt, source.path, picture, chosen.model, source.name, captioning)
    job = InvertJob(settings=chosen, image=source, prompt=words)
    with staged(out, force=force) as part:
        told = run(job, load(chosen, console, machine.threads), InversionFile(part), console).told
    figures = told["psnr"]
    console.note(f"VAE round trip to the picture: {figures['round_trip_to_picture']:.2f} dB PSNR")
    console.note(f"drawn again from its noise, to the round trip: {figures['redrawn_to_round_trip']:.2f} dB")
    console.note(f"drawn again from its noise, to the picture: {figures['redrawn_to_picture']:.2f} dB")
    if chosen.method != "ddim":
        console.note("animate pins its first frame to the stored trajectory: it equals the round trip")
    console.result([out], told)
    after.run_exec([out], console)


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("invert")(expand(invert))
