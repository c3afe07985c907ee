"""The `laser` command: its sub-commands, each loaded only when it is called."""

from __future__ import annotations

import os
from collections.abc import Callable
from enum import Enum
from functools import partial
from importlib import import_module
from typing import Annotated, Any, NoReturn

import typer
from typer.core import TyperGroup

from laser_cli.cli.exits import end_with, exit_code
from laser_cli.errors import UsageError

COMMANDS: dict[str, str] = {
    "animate": "Animate a picture from a sentence.",
    "interpolate": "Draw what lies between prompts and pictures.",
    "batch": "Draw many jobs of a file, on this machine or on a Ray cluster.",
    "plan": "Turn a description of change into a plan: keyframe prompts, and how each segment between them is drawn.",
    "invert": "Invert a picture, and say how well it can be drawn again.",
    "track": "Turn a video of a face, a capture or a plan into a face track: blendshapes and head pose by frame.",
    "show": "Show how a file was made: prompts, segments, seed, model, sizes. With --json: the whole record.",
    "config": "Show the settings in force, and where each comes from: default, config, variable, preset, plan or flag.",
    "presets": "List the presets, laser's and your own, or print one.",
    "models": "List the models on this machine, say what one is or where it lies, or check it.",
    "doctor": "Say what this machine has for laser: versions, device, memory, encoders, models; and what to install.",
    "bench": "Print measured figures beside their targets and baselines; the exit code is 0 whether or not they hold.",
}
"""Modules of laser_cli.cli in the order of `laser --help`, and what that says of them: their first lines, which a test
compares. Each defines `register(app: typer.Typer) -> None`; what they import is too much for a bare --help."""


EPILOG = (
    "Every option has a variable: --frames-dir is LASER_FRAMES_DIR. Where an option may be given several times, its "
    "variable holds a value a line. `laser config` shows what is in force, and where it comes from."
)


class Colors(str, Enum):
    """The values of --color."""

    auto = "auto"
    always = "always"
    never = "never"


class LazyGroup(TyperGroup):
    """A group whose commands are stand-ins with a help line until one of them is called."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The command that is called, loaded now."""
        if args[0] in COMMANDS:
            loaded = typer.Typer(pretty_exceptions_enable=False)
            loaded.callback()(lambda: None)  # keeps it a group where it has one command
            import_module(f"laser_cli.cli.{args[0]}").register(loaded)
            self.commands[args[0]] = typer.main.get_group(loaded).commands[args[0]]
        return super().resolve_command(ctx, args)


app = typer.Typer(
    name="laser",
    cls=LazyGroup,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback(invoke_without_command=True, epilog=EPILOG)
def _laser(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Show the version and exit.")] = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="With --version: libraries, devices and encoders too.")
    ] = False,
    color: Annotated[
        Colors,
        typer.Option("--color", envvar="LASER_COLOR", show_envvar=False, help="When to colour; NO_COLOR counts."),
    ] = Colors.auto,
) -> None:
    """Animate a still image from a sentence, on your own machine."""
    if version:
        import laser_cli

        typer.echo(f"laser {laser_cli.__version__}")
        if verbose:
            from laser_cli.cli.doctor import this_machine

            for line in this_machine():
                typer.echo(line)
        raise typer.Exit()
    if context.invoked_subcommand is None:
        raise UsageError("no command is named", hint="laser --help lists them")


for _name, _help in COMMANDS.items():
    app.command(_name, help=_help)(lambda: None)


def run(application: Callable[..., object] = app) -> NoReturn:
    """Run the command line and exit."""
    from laser_cli.engine.workers import wait_quietly

    wait_quietly()  # before torch is loaded: its threads read it once
    if os.environ.get("_LASER_COMPLETE") == "complete_bash":
        from laser_cli.cli.complete import in_bash

        application = partial(in_bash, application)
    end_with(application)


__all__ = ["app", "exit_code", "run"]
