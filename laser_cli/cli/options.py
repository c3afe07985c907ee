"""Options made of fields: a command's parameter that is a settings model becomes one option for each of its fields."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Mapping
from functools import wraps
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import typer

from laser_cli.cli.after import Afterwards
from laser_cli.cli.console import Console
from laser_cli.cli.parameters import choice, option, panel_of, plain, with_variable
from laser_cli.cli.parameters import parameter as as_parameter
from laser_cli.jobs.config import config_for, read_config
from laser_cli.jobs.fields import Frozen, lines_of, setting, variable_of
from laser_cli.jobs.merge import Layer, flags, merge
from laser_cli.jobs.outputs import Outputs
from laser_cli.jobs.planning import Planning

__all__ = ["Force", "Machine", "RunOptions", "Shown", "choice", "expand", "layers_of", "option"]

Models = Mapping[str, tuple[type[Frozen], bool]]
"""A command's parameters that are settings models, and whether an instance is wanted or what was given alone."""
CONSOLE = "Console"
CONTEXT = "laser_context"
"""The parameter that Typer's context is passed as, where a command asks for none itself."""


class Machine(Frozen):
    """What of this machine a run may use; it decides no picture."""

    threads: int | None = setting(
        None,
        "Model",
        "CPU threads to draw and plan with. (default: all that this process may use; a planner measures)",
        ge=1,
        le=1024,
    )


class Shown(Frozen):
    """What is printed, and which settings file every option begins with."""

    quiet: bool = setting(False, CONSOLE, "No progress, hints or warnings.", "--quiet", "-q")
    json_: bool = setting(False, CONSOLE, "One JSON object on stdout instead of paths.", "--json")
    progress: Literal["auto", "plain", "json"] = setting(
        "auto", CONSOLE, "auto: a bar on a terminal, else lines (plain); json: events on stderr.", "--progress"
    )
    color: Literal["auto", "always", "never"] = setting(
        "auto", CONSOLE, "When to colour. (default: {default}, on terminals; NO_COLOR counts)", "--color"
    )
    config: Path | None = setting(None, CONSOLE, "Settings file. (default: config.yaml; laser config tells where)")
    no_config: bool = setting(False, CONSOLE, "Read no settings file.", "--no-config")

    def settings_file(self) -> Layer | None:
        """What the settings file says, for commands that pass it on; errors as of `read_config`."""
        return None if self.no_config else read_config(self.config, CONFIGURABLE)

    def console(self, *, verbose: bool = False) -> Console:
        """Where a command tells what it does, and what came of it."""
        return Console(quiet=self.quiet, json=self.json_, verbose=verbose, progress=self.progress)


class RunOptions(Shown, Machine, Afterwards):
    """How a run that writes frames goes."""

    dry_run: bool = setting(
        False, None, "Tell what would be drawn, work, memory and time; load no weights, write nothing.", "--dry-run"
    )
    verbose: bool = setting(
        False,
        CONSOLE,
        "Tell versions, seconds of each stage and evaluations a second; overrides --quiet.",
        "--verbose",
        "-v",
    )


CONFIGURABLE: dict[str, type[Frozen]] = {
    **dict.fromkeys(Planning.model_fields, Planning),
    **dict.fromkeys(("no_clobber", "skip_existing", "resume"), Outputs),
    **dict.fromkeys(("threads", "quiet"), RunOptions),
}
"""What the settings file can say beside the settings of presets, and the model that knows its values."""

Force = Annotated[
    bool,
    typer.Option("--force", help="Replace a file that is read-only or that laser did not make; never one it reads."),
]


def expand(function: Callable[..., None]) -> Callable[..., None]:
    """The command with its settings models spread into options; Typer reads its signature.

    A parameter annotated with a model gets an instance of it, where options that were not given have their defaults or
    what the settings file says; one annotated ``Annotated[Layer, model]`` gets the given ones as a layer on that file.
    Every option has a variable: LASER_ and its first long name.
    """
    models: dict[str, tuple[type[Frozen], bool]] = {}
    own: list[inspect.Parameter] = []
    made: list[inspect.Parameter] = []
    kept = inspect.signature(function, eval_str=True).parameters
    for parameter in kept.values():
        model = _model_of(parameter.annotation)
        if model is None:
            own.append(with_variable(parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY)))
            continue
        models[parameter.name] = (model, model is parameter.annotation)
        made += [as_parameter(name, field) for name, field in model.model_fields.items()]
    context = next((parameter.name for parameter in own if parameter.annotation is typer.Context), CONTEXT)
    if context == CONTEXT:
        made.append(inspect.Parameter(CONTEXT, inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context))

    @wraps(function)
    def command(**said: Any) -> None:
        for parameter, layer in layers_of(models, said, said[context]).items():
            model, whole = models[parameter]
            said[parameter] = merge(model, layer) if whole else layer
            if isinstance(said[parameter], Machine) and said[parameter].threads:
                # for planners too, and for the processes that this one starts
                os.environ["LASER_THREADS"] = str(said[parameter].threads)
        function(**{name: value for name, value in said.items() if name in kept})

    command.__signature__ = inspect.Signature(sorted((*own, *made), key=panel_of))  # type: ignore[attr-defined]
    command.__annotations__ = {}
    command.models = models  # type: ignore[attr-defined]
    return command


def layers_of(models: Models, said: Mapping[str, Any], context: typer.Context) -> dict[str, Layer]:
    """What the command line says to each of a command's models, on the settings file; by the models' parameters."""
    config = None
    if not said.get("no_config", True):
        config = read_config(said["config"], CONFIGURABLE)
    told = {}
    for parameter, (model, _) in models.items():
        values: dict[str, Any] = {}
        variables: dict[str, str] = {}
        for name, field in model.model_fields.items():
            source = context.get_parameter_source(name)
            value, variable = plain(said[name]), source is not None and source.name == "ENVIRONMENT"
            if value in (None, ()):
                value, variable = lines_of(name, field), True
            if value not in (None, ()):
                values[name] = value
                variables |= {name: variable_of(name, field)} if variable else {}
        told[parameter] = flags(values, variables=variables, beneath=config_for(config, model, CONFIGURABLE))
    return told


def _model_of(annotation: Any) -> type[Frozen] | None:
    """The settings model that a parameter stands for, if it does."""
    for kind in (annotation, *get_args(annotation)[1:]):
        if inspect.isclass(kind) and issubclass(kind, Frozen):
            return kind
    return None
