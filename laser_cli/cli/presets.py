"""`laser presets`: the presets there are, and what is in them."""

from __future__ import annotations

from typing import Annotated

import typer

from laser_cli.cli.complete import completer
from laser_cli.cli.options import Shown, expand


def presets(
    shown: Shown,
    name: Annotated[
        str | None,
        typer.Argument(
            help="Print this preset, a name or a file.", show_default=False, autocompletion=completer("presets")
        ),
    ] = None,
) -> None:
    """List the presets, laser's and your own, or print one.

    Your own are YAML files in the folder that the list names last. Example: laser presets default > mine.yaml
    """
    from laser_cli.jobs.presets import all_presets, find_preset, user_folder

    console, found = shown.console(), [find_preset(name)] if name else all_presets()
    if console.json:
        told = [
            {"name": p.name, "description": p.description, "own": p.own, "settings": dict(p.layer.values)}
            for p in found
        ]
        console.json_object({"preset": told[0]} if name else {"presets": told, "folder": str(user_folder())})
    elif name:
        typer.echo(found[0].path.read_text("utf-8-sig"), nl=False)
    else:
        for preset in found:
            typer.echo(f"{preset.name:<10} {preset.description}{' (yours)' if preset.own else ''}")
        where = user_folder() or "a folder that needs a home (HOME)"
        console.note(f"your own go into {where}")


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("presets")(expand(presets))
