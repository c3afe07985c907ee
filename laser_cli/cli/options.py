"""Options made of fields: a command's parameter that is a settings model becomes one option for each of its fields."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from enum import Enum
from functools import wraps
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import typer
from annotated_types import Ge, Le
from pydantic import BeforeValidator
from pydantic.fields import FieldInfo

from laser_cli.jobs.fields import Frozen, setting
from laser_cli.jobs.merge import flags, merge

PANELS = (
    *(None, "Output", "Portraits", "Method", "Image prompts", "Conditions"),
    *("Drawing", "Playing", "Planning", "Model", "Console"),
)
"""The order of a help's panels."""

CONSOLE = "Console"


class Machine(Frozen):
    """What of this machine a run may use; it decides no picture."""

    threads: int | None = setting(
        None,
        "Model",
        "CPU threads to draw with. (default: all that this process may use)",
        env="LASER_THREADS",
        ge=1,
        le=1024,
    )


class Shown(Frozen):
    """What is printed."""

    quiet: bool = setting(False, CONSOLE, "No progress, hints or warnings.", "--quiet", "-q", env="LASER_QUIET")
    json_: bool = setting(False, CONSOLE, "One JSON object on stdout instead of paths.", "--json")


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


Quiet = Annotated[
    bool,
    typer.Option(
        "--quiet", "-q", envvar="LASER_QUIET", help="No progress, hints or warnings.", rich_help_panel=CONSOLE
    ),
]
Json = Annotated[
    bool, typer.Option("--json", help="One JSON object on stdout instead of paths.", rich_help_panel=CONSOLE)
]
Force = Annotated[
    bool,
    typer.Option("--force", help="Replace a file that is read-only or that laser did not make; never one it reads."),
]


def option(panel: str | None, help: str, *names: str, **more: Any) -> Any:
    """A Typer option in a panel of the help that shows no default: None means that it was not given."""
    return typer.Option(*names, help=help, show_default=False, rich_help_panel=panel, **more)


def expand(function: Callable[..., None]) -> Callable[..., None]:
    """The command with its settings models spread into options; Typer reads its signature.

    A parameter annotated with a model gets an instance of it, where options that were not given have their defaults;
    one annotated ``Annotated[dict, model]`` gets the given ones alone, by the names of their fields.
    """
    models: dict[str, tuple[type[Frozen], bool]] = {}
    own: list[inspect.Parameter] = []
    made: list[inspect.Parameter] = []
    for parameter in inspect.signature(function, eval_str=True).parameters.values():
        model = _model_of(parameter.annotation)
        if model is None:
            own.append(parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY))
            continue
        whole = model is parameter.annotation
        models[parameter.name] = (model, whole)
        made += [_parameter(name, field) for name, field in model.model_fields.items()]

    @wraps(function)
    def command(**said: Any) -> None:
        for parameter, (model, whole) in models.items():
            values = {name: _plain(said.pop(name)) for name in model.model_fields}
            given = {name: value for name, value in values.items() if value not in (None, [], ())}
            said[parameter] = merge(model, flags(given)) if whole else given
        function(**said)

    command.__signature__ = inspect.Signature(sorted((*own, *made), key=_panel))  # type: ignore[attr-defined]
    command.__annotations__ = {}
    return command


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
    how: dict[str, Any] = {"metavar": told["metavar"], "envvar": told["env"], **(limits if asked is not str else {})}
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
