"""Fields of settings models as parameters that Typer understands, and their variables."""

from __future__ import annotations

import inspect
import os
from collections.abc import Sequence
from copy import copy
from enum import Enum
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import typer
from annotated_types import Ge, Le
from pydantic import BeforeValidator
from pydantic.fields import FieldInfo
from typer.models import OptionInfo

from laser_cli.cli.complete import completer

PANELS = (None, "Output", "Method", "Image prompts", "Conditions", "Drawing", "Playing", "Planning", "Model", "Console")
"""The order of a help's panels."""


def option(panel: str | None, help: str, *names: str, **more: Any) -> Any:
    """A Typer option in a panel of the help that shows no default: None means that it was not given."""
    return typer.Option(*names, help=help, show_default=False, rich_help_panel=panel, **more)


def variable_of(name: str, field: FieldInfo) -> str:
    """The environment variable of a field's option."""
    told = field.json_schema_extra
    assert isinstance(told, dict)
    named = told["env"] or _variable(name, told["names"])  # type: ignore[arg-type]
    return str(named)


def lines_of(name: str, field: FieldInfo) -> tuple[Any, ...]:
    """The values that the variable of an option holds which may be given several times: one a line."""
    asked = _asked_type(name, field)
    if get_origin(asked) is not list:
        return ()
    lines = os.environ.get(variable_of(name, field), "").splitlines()
    return tuple(get_args(asked)[0](line) for line in lines if line.strip())


def long_name(name: str, names: Sequence[str] = ()) -> str:
    """The first long name of an option, such as --output."""
    return next((part for part in names if part.startswith("--")), f"--{name.replace('_', '-')}").split("/")[0]


def _variable(name: str, names: Sequence[str]) -> str:
    return "LASER_" + long_name(name, names).strip("-").replace("-", "_").upper()


def with_variable(parameter: inspect.Parameter) -> inspect.Parameter:
    """A command's own option with its variable."""
    told = getattr(parameter.annotation, "__metadata__", ())
    option = next((t for t in told if isinstance(t, OptionInfo)), None)
    if option is not None and not option.envvar:
        option = copy(option)
        option.envvar, option.show_envvar = _variable(parameter.name, option.param_decls or ()), False
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
    several = get_origin(asked) is list  # Typer would cut their variables at every blank
    how: dict[str, Any] = {"metavar": told["metavar"], **(limits if asked is not str else {})}
    how |= {"envvar": None if several else variable_of(name, field), "show_envvar": False}
    if told.get("complete"):
        how["autocompletion"] = completer(str(told["complete"]))
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


def panel_of(parameter: inspect.Parameter) -> int:
    """Where a parameter stands in the help."""
    told = next((t for t in getattr(parameter.annotation, "__metadata__", ()) if hasattr(t, "rich_help_panel")), None)
    return PANELS.index(told.rich_help_panel if told else None)


def plain(value: Any) -> Any:
    """A value as settings have it: without lists and enums."""
    if isinstance(value, list):
        return tuple(value)
    return value.value if isinstance(value, Enum) else value
