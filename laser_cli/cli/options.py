"""Options made of fields: a command's parameter that is a settings model becomes one option for each of its fields."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from copy import copy
from enum import Enum
from functools import wraps
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import typer
from annotated_types import Ge, Le
from pydantic import BeforeValidator
from pydantic.fields import FieldInfo
from typer.models import OptionInfo

from laser_cli.cli.console import Console
from laser_cli.jobs.config import config_for, read_config
from laser_cli.jobs.fields import Frozen, setting
from laser_cli.jobs.merge import Layer, flags, merge
from laser_cli.jobs.outputs import Outputs
from laser_cli.jobs.planning import Planning

PANELS = (None, "Output", "Method", "Image prompts", "Conditions", "Drawing", "Playing", "Planning", "Model", "Console")
"""The order of a help's panels."""

CONSOLE = "Console"
CONTEXT = "laser_context"
"""The parameter that Typer's context is passed as, where a command asks for none itself."""


class Machine(Frozen):
    """What of this machine a run may use; it decides no picture."""

    threads: int | None = setting(
        None,
        "Model",
        "CPU threads to draw with. (default: all that this process may use)",
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

    def console(self, *, verbose: bool = False) -> Console:
        """Where a command tells what it does, and what came of it."""
        return Console(quiet=self.quiet, json=self.json_, verbose=verbose, progress=self.progress)


class RunOptions(Shown, Machine):
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
    **dict.fromkeys(("force", "no_clobber", "skip_existing", "resume"), Outputs),
    **dict.fromkeys(("threads", "quiet", "verbose"), RunOptions),
}
"""What the settings file can say beside the settings of presets, and the model that knows its values."""

Force = Annotated[
    bool,
    typer.Option("--force", help="Replace a file that is read-only or that laser did not make; never one it reads."),
]


def option(panel: str | None, help: str, *names: str, **more: Any) -> Any:
    """A Typer option in a panel of the help that shows no default: None means that it was not given."""
    return typer.Option(*names, help=help, show_default=False, rich_help_panel=panel, **more)


def expand(function: Callable[..., None]) -> Callable[..., None]:
    """The command with its settings models spread into options; Typer reads its signature.

    A parameter annotated with a model gets an instance of it, where options that were not given have their defaults or
    what the settings file says; one annotated ``Annotated[Layer, model]`` gets the given ones as a layer on that file.
    Every option has a variable: LASER_ and its first long name.
    """
    models: dict[str, tuple[type[Frozen], bool]] = {}
    own: list[inspect.Parameter] = []
    made: list[inspect.Parameter] = []
    context = ""
    for parameter in inspect.signature(function, eval_str=True).parameters.values():
        model = _model_of(parameter.annotation)
        if model is None:
            context = parameter.name if parameter.annotation is typer.Context else context
            own.append(_with_variable(parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY)))
            continue
        models[parameter.name] = (model, model is parameter.annotation)
        made += [_parameter(name, field) for name, field in model.model_fields.items()]
    if not context:
        made.append(inspect.Parameter(CONTEXT, inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context))
    read = {name: variable for model, _ in models.values() for name, variable in _several(model).items()}

    @wraps(function)
    def command(**said: Any) -> None:
        here = said[context] if context else said.pop(CONTEXT)
        lines = {name: _lines(variable) for name, variable in read.items() if not said[name]}
        said |= {name: value for name, value in lines.items() if value}
        for parameter, layer in layers_of(models, said, here, lines).items():
            model, whole = models[parameter]
            said[parameter] = merge(model, layer) if whole else layer
        function(**{name: value for name, value in said.items() if name in kept})

    kept = inspect.signature(function).parameters
    command.__signature__ = inspect.Signature(sorted((*own, *made), key=_panel))  # type: ignore[attr-defined]
    command.__annotations__ = {}
    command.models = models  # type: ignore[attr-defined]
    return command


def layers_of(
    models: Mapping[str, tuple[type[Frozen], bool]],
    said: Mapping[str, Any],
    context: typer.Context,
    lines: Iterable[str] = (),
) -> dict[str, Layer]:
    """What the command line says to each of a command's models, on the settings file; by the models' parameters.

    `lines`: the options whose variables were read here and not by Typer.
    """
    shown = next((model for model, _ in models.values() if issubclass(model, Shown)), None)
    config = None
    if shown is not None and not said["no_config"]:
        config = read_config(said["config"], CONFIGURABLE)
    told = {}
    for parameter, (model, _) in models.items():
        values = {name: _plain(said[name]) for name in model.model_fields}
        given = {name: value for name, value in values.items() if value not in (None, [], ())}
        variables = {
            name: variable_of(name, model.model_fields[name]) for name in given if _from_variable(context, name, lines)
        }
        told[parameter] = flags(given, variables=variables, beneath=config_for(config, model, CONFIGURABLE))
    return told


def variable_of(name: str, field: FieldInfo) -> str:
    """The environment variable of a field's option."""
    told = field.json_schema_extra
    assert isinstance(told, dict)
    named = told["env"] or _variable(name, told["names"])  # type: ignore[arg-type]
    return str(named)


def _variable(name: str, names: Sequence[str]) -> str:
    long = next((part for part in names if part.startswith("--")), name).split("/")[0]
    return "LASER_" + long.strip("-_").replace("-", "_").upper()


def _several(model: type[Frozen]) -> dict[str, str]:
    """The options that may be given several times, and their variables, which hold one value a line."""
    fields = {name: field for name, field in model.model_fields.items() if get_origin(_asked_type(name, field)) is list}
    return {name: variable_of(name, field) for name, field in fields.items()}


def _lines(variable: str) -> list[str]:
    return [line for line in os.environ.get(variable, "").splitlines() if line.strip()]


def _from_variable(context: typer.Context, name: str, lines: Iterable[str]) -> bool:
    source = context.get_parameter_source(name)
    return name in lines or (source is not None and source.name == "ENVIRONMENT")


def _with_variable(parameter: inspect.Parameter) -> inspect.Parameter:
    """A command's own option with its variable."""
    told = getattr(parameter.annotation, "__metadata__", ())
    option = next((t for t in told if isinstance(t, OptionInfo)), None)
    if option is not None and not option.envvar:
        option = copy(option)
        option.envvar, option.show_envvar = _variable(parameter.name, option.param_decls or ()), False
        others = tuple(option if isinstance(t, OptionInfo) else t for t in told)
        return parameter.replace(annotation=Annotated[(parameter.annotation.__origin__, *others)])
    return parameter


def _model_of(annotation: Any) -> type[Frozen] | None:
    """The settings model that a parameter stands for, if it does."""
    for kind in (annotation, *get_args(annotation)[1:]):
        if inspect.isclass(kind) and issubclass(kind, Frozen):
            return kind
    return None


def _parameter(name: str, field: FieldInfo) -> inspect.Parameter:
    """A field as a parameter for Typer: None unless it is given."""
    told = field.json_schema_extra
    if not isinstance(told, dict) or "panel" not in told:
        raise TypeError(f"the field {name} says not how it is asked for")
    limits = {
        key: getattr(found, attribute)
        for found in field.metadata
        for kind, key, attribute in ((Ge, "min", "ge"), (Le, "max", "le"))
        if isinstance(found, kind)
    }
    default = f"{field.default:g}" if isinstance(field.default, float) else str(field.default)
    help = (field.description or "").replace("{default}", default)
    asked = _asked_type(name, field)
    several = get_origin(asked) is list  # Typer would cut their variables at every blank
    how: dict[str, Any] = {"metavar": told["metavar"], **(limits if asked is not str else {})}
    how |= {"envvar": None if several else variable_of(name, field), "show_envvar": False}
    shown = option(told["panel"], help, *told["names"], **how)  # type: ignore[arg-type, misc]
    annotation: Any = Annotated[asked | None, shown]
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation)


def _asked_type(name: str, field: FieldInfo) -> type:
    """The type that a command line is read as: text for what has several spellings, a list for what is said again."""
    kinds = [kind for kind in _members(field.annotation) if kind is not type(None)]
    kind = kinds[0]
    if get_args(kind) == (str, ...):  # an option that may be given several times
        return list[str]
    if len(kinds) > 1 or any(isinstance(m, BeforeValidator) for m in field.metadata):
        return str
    if get_origin(kind) is tuple:
        return list[get_args(kind)[0]]  # type: ignore[misc, return-value]
    return choice(name, kind) if get_origin(kind) is Literal else kind


def choice(name: str, literal: Any) -> type[Enum]:
    """The values of a Literal as an Enum, which every version of Typer offers as choices."""
    return Enum(name, {value: value for value in get_args(literal)}, type=str)  # type: ignore[return-value]


def _members(annotation: Any) -> tuple[Any, ...]:
    origin = get_origin(annotation)
    if origin is Annotated:
        return _members(get_args(annotation)[0])
    is_union = origin is Union or type(annotation).__name__ == "UnionType"
    return tuple(m for part in get_args(annotation) for m in _members(part)) if is_union else (annotation,)


def _panel(parameter: inspect.Parameter) -> int:
    told = next((t for t in getattr(parameter.annotation, "__metadata__", ()) if hasattr(t, "rich_help_panel")), None)
    return PANELS.index(told.rich_help_panel if told else None)


def _plain(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(value)
    return value.value if isinstance(value, Enum) else value
