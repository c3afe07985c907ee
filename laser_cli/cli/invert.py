"""`laser invert`: a picture back to the noise it would have come from, kept in a file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from laser_cli.cli.console import Console
from laser_cli.cli.options import (
    Device,
    Dtype,
    Json,
    Method,
    ModelName,
    Offload,
    Quiet,
    Size,
    open_model,
    sha256,
    source_prompt,
    warn_picture,
    warn_prompts,
)
from laser_cli.errors import UsageError


def invert(
    image: Annotated[Path, typer.Argument(help="The picture.", show_default=False)],
    out: Annotated[Path, typer.Option("--output", "-o", help="Inversion to write (.safetensors).", show_default=False)],
    prompt: Annotated[
        str | None,
        typer.Option(
            "--prompt",
            "--source-prompt",
            "-p",
            help="What the picture shows; else its metadata tells.",
            show_default=False,
        ),
    ] = None,
    method: Annotated[
        Method, typer.Option(help="ddim: plain; direct: frames are pinned to it; fixed-point: refined and pinned.")
    ] = Method.direct,
    steps: Annotated[int, typer.Option(min=1, max=1000, help="Steps; an animation from this file takes as many.")] = 50,
    size: Size = None,
    model_name: ModelName = "storybook",
    device: Device = "auto",
    dtype: Dtype = "auto",
    offload: Offload = False,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Invert a picture, and say how well it can be drawn again.

    Example: laser invert cottage.png --prompt "a red house in a meadow" --steps 25 -o cottage.safetensors
    """
    if out.suffix != ".safetensors":
        raise UsageError(
            f"cannot write {out.name}",
            why="an inversion is a safetensors file",
            hint="a name that ends in .safetensors",
        )
    from laser_cli.output.atomic import staged
    from laser_cli.output.frames import fit, read_picture

    console = Console(quiet=quiet, json=json)
    read = read_picture(image)
    words = source_prompt(console, prompt, image, read, model_name)
    with staged(out) as part:
        model = open_model(console, model_name, device, dtype, offload)
        warn_prompts(console, model, (words,))

        from laser_cli.engine.invert import nfe
        from laser_cli.measure.pictures import psnr
        from laser_cli.stages.invert import invert_picture, regenerate, save_inversion, to_tensor

        picture = fit(read, size or model.size, model.scale)
        with console.progress(nfe(steps, method.value) + steps, "inverting") as bar:
            inversion = invert_picture(model, picture, words, steps, method.value, sha256(image), bar.advance)
            again = regenerate(model, inversion, bar.advance)
        warn_picture(console, model, inversion, picture)
        trip, original = model.decode(inversion.trajectory.latents[:1]), to_tensor(picture)
        figures = {
            "round_trip_to_picture": psnr(trip, original),
            "redrawn_to_round_trip": psnr(again, trip),
            "redrawn_to_picture": psnr(again, original),
        }
        save_inversion(inversion, part)
    console.note(f"VAE round trip to the picture: {figures['round_trip_to_picture']:.2f} dB PSNR")
    console.note(f"drawn again from its noise, to the round trip: {figures['redrawn_to_round_trip']:.2f} dB")
    console.note(f"drawn again from its noise, to the picture: {figures['redrawn_to_picture']:.2f} dB")
    if inversion.trajectory.pinned:
        console.note("animate pins its first frame to the stored trajectory: it equals the round trip")
    console.result([out], {"psnr": figures, "method": inversion.method, "steps": steps, "prompt": words})


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("invert")(invert)
