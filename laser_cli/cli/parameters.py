"""Fields of settings models as parameters that Typer understands, and their variables."""

from __future__ import annotations

import inspect
from copy import copy
from enum import Enum
from typing import Annotated, Any, Literal, get_args, get_origin

import typer
from annotated_types import Ge, Le
from pydantic import BeforeValidator
from pydantic.fields import FieldInfo
from typer.models import OptionInfo

from laser_cli.cli.complete import completer
from laser_cli.jobs.fields import members, repeated, variable, variable_of

PANELS = (
    *(None, "Output", "Portraits", "Method", "Image prompts", "Conditions"),
    *("Drawing", "Playing", "Planning", "Model", "Console"),
)
"""The order of a help's panels."""


def option(panel: str | None, help: str, *names: str, **more: Any) -> Any:
    """A Typer option in a panel of the help that shows no default: None means that it was not given."""
    return typer.Option(*names, help=help, show_default=False, rich_help_panel=panel, **more)


def with_variable(parameter: inspect.Parameter) -> inspect.Parameter:
    """A command's own option with its variable."""
    told = getattr(parameter.annotation, "__metadata__", ())
    option = next((t for t in told if isinstance(t, OptionInfo)), None)
    if option is not None and not option.envvar:
        option = copy(option)
        option.envvar, option.show_envvar = variable(parameter.name, option.param_decls or ()), False
        others = tuple(option if isinstance(t, OptionInfo) else t for t in told)
        return parameter.replace(annotation=Annotated[(parameter.annotation.__origin__, *others)])
    return parameter


def parameter(name: str, field: FieldInfo) -> inspect.Parameter:
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
    several = repeated(field)  # Typer would cut their variables at every blank
    how: dict[str, Any] = {"metavar": told["metavar"], **(limits if asked is not str else {})}
    how |= {"envvar": None if several else variable_of(name, field), "show_envvar": False}
    if told.get("complete"):
        how["autocompletion"] = completer(str(told["complete"]))
    shown = option(told["panel"], help, *told["names"], **how)  # type: ignore[arg-type, misc]
    annotation: Any = Annotated[asked | None, shown]
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation)


def _asked_type(name: str, field: FieldInfo) -> type:
    """The type that a command line is read as: text for what has several spellings, a list for what is said again."""
    kinds = [kind for kind in members(field.annotation) if kind is not type(None)]
    kind = kinds[0]
    if one := repeated(field):
        return list[one]  # type: ignore[valid-type]
    if len(kinds) > 1 or any(isinstance(m, BeforeValidator) for m in field.metadata):
        return str
    return choice(name, kind) if get_origin(kind) is Literal else kind


def choice(name: str, literal: Any) -> type[Enum]:
    """The values of a Literal as an Enum, which every version of Typer offers as choices."""
    return Enum(name, {value: value for value in get_args(literal)}, type=str)  # type: ignore[return-value]


def panel_of(parameter: inspect.Parameter) -> int:
    """Where a parameter stands in the help."""
    told = next((t for t in getattr(parameter.annotation, "__metadata__", ()) if hasattr(t, "rich_help_panel")), None)
    return PANELS.index(told.rich_help_panel if told else None)


def plain(value: Any) -> Any:
    """A value as settings have it: without lists and enums."""
    if isinstance(value, list):
        return tuple(value)
    return value.value if isinstance(value, Enum) else value
