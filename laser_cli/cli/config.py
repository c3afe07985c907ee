"""`laser config`: the settings in force, and where each comes from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from laser_cli.cli.complete import completer
from laser_cli.cli.console import Console
from laser_cli.cli.options import CONFIGURABLE, layers_of
from laser_cli.cli.parameters import plain
from laser_cli.errors import UsageError
from laser_cli.terminal import printable

if TYPE_CHECKING:
    from laser_cli.jobs.origins import Origin

USUAL = "animate"


def config(
    context: typer.Context,
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[COMMAND] [ITS OPTIONS]",
            help="What is going to be run.",
            show_default=False,
            autocompletion=completer("commands"),
        ),
    ] = None,
) -> None:
    """Show the settings in force, and where each comes from: default, config, variable, preset, plan or flag.

    Give a command with its options, or none for animate. Your own settings go into config.yaml, written like a preset;
    the first line says where it is. Example: laser config animate --preset draft --steps 8
    """
    from laser_cli.jobs.config import config_file

    name, command, said, inner = _parsed(context, words or [])
    origins = _origins(command.callback.models, said, inner)
    console = Console(quiet=bool(said["quiet"]), json=bool(said["json_"]), progress=plain(said["progress"]) or "auto")
    file = None if said["no_config"] else said["config"] or config_file()
    read = file is not None and file.is_file()
    if console.json:
        told = [
            {"key": key, "value": origin.value, "source": origin.source, "at": origin.at} for key, origin in origins
        ]
        return console.json_object(
            {"command": name, "file": str(file) if file else None, "read": read, "settings": told}
        )
    console.note(f"settings file: {file or 'none'}{'' if read or file is None else ' (not there)'}")
    width = max(len(key) for key, _ in origins)
    for key, origin in origins:
        source = f"{origin.source} ({origin.at})" if origin.at else origin.source
        typer.echo(printable(f"{key:<{width}}  {_shown(origin.value):<12}  {source}"))


def _parsed(context: typer.Context, words: list[str]) -> tuple[str, Any, dict[str, Any], Any]:
    """The command that is asked about, its name, what its parser makes of the words, and its context."""
    from laser_cli.cli.main import COMMANDS

    asked = words if words and not words[0].startswith("-") else [USUAL, *words]
    root: Any = context.find_root()
    if asked[0] not in COMMANDS:
        raise UsageError(f"there is no command {asked[0]!r}", hint=f"laser config {USUAL} --steps 8")
    name, command, rest = root.command.resolve_command(root, asked)
    if not hasattr(command.callback, "models"):
        raise UsageError(f"laser {name} has no settings of its own", hint=f"laser config {USUAL}")
    for parameter in command.params:
        parameter.required = False  # nothing is going to be done
    inner = command.make_context(name, rest, parent=root)
    return name, command, inner.params, inner


def _origins(models: Mapping[str, Any], said: Mapping[str, Any], context: Any) -> list[tuple[str, Origin]]:
    """Settings and what else a settings file can say; of other options those that are given."""
    from laser_cli.jobs.fields import Settings
    from laser_cli.jobs.merge import merge
    from laser_cli.jobs.origins import DEFAULT, origins
    from laser_cli.jobs.origins import layers_of as job_layers
    from laser_cli.jobs.settings import FrameSettings
    from laser_cli.jobs.sources import Sources

    layers = layers_of(models, said, context)
    sources = next((merge(m, layers[p]) for p, (m, _) in models.items() if issubclass(m, Sources)), None)
    found: dict[str, Origin] = {}
    for parameter, (model, _) in models.items():
        if sources is not None and issubclass(model, FrameSettings):
            told = origins(model, *job_layers(model, sources, layers[parameter]))
        else:
            told = origins(model, layers[parameter])
        always = issubclass(model, Settings)
        found |= {k: o for k, o in told.items() if always or k in CONFIGURABLE or o.source != DEFAULT}
    return [(key, origin) for key, origin in found.items() if key not in ("config", "no_config", "json_")]


def _shown(value: Any) -> str:
    """A value as a settings file has it; what is unset is a dash."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple):
        return ", ".join(map(_shown, value)) or "-"
    return "-" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def register(app: typer.Typer) -> None:
    """Adds the command."""
    passing = {"ignore_unknown_options": True, "allow_interspersed_args": False}
    app.command("config", context_settings=passing)(config)
