"""Fields that know how a command line asks for them, and the frozen models that are made of them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Annotated, Any, ClassVar, Union, get_args, get_origin

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from pydantic.fields import FieldInfo

DRAWING, PLAYING, MODEL, METHOD = "Drawing", "Playing", "Model", "Method"
"""Panels of a command's help."""


def setting(
    default: Any,
    panel: str | None,
    help: str,
    *names: str,
    metavar: str | None = None,
    env: str | None = None,
    complete: str | None = None,
    **limits: Any,
) -> Any:
    """A field and how a command line asks for it; ``{default}`` in the help stands for the default.

    `names`: all its names, where the field's own will not do. `metavar`: what the help shows instead of the type.
    `env`: its variable, where that is not LASER_ and its long name. `complete`: what a shell completes it by, a name of
    ``cli.complete.VALUES``.
    """
    shown: dict[str, Any] = {"panel": panel, "names": list(names), "metavar": metavar, "env": env, "complete": complete}
    return Field(default, description=help, json_schema_extra=shown, **limits)


class Frozen(BaseModel):
    """A value that cannot change; unknown keys and values of another type are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False, protected_namespaces=())


class Settings(Frozen):
    """What a job is done with; `None` leaves it to the plan, or to the model."""

    PLURAL: ClassVar[str] = ""
    """What messages call the jobs that have these."""
    TRANSLATED: ClassVar[dict[str, str]] = {}
    """Keys of other jobs' settings that `translate` understands, and the key that each becomes."""

    @classmethod
    def translate(cls, key: str, value: Any) -> Any:
        """The value that a key of TRANSLATED becomes."""
        return value


def long_name(name: str, names: Sequence[str] = ()) -> str:
    """The first long name of an option, such as --output."""
    return next((part for part in names if part.startswith("--")), f"--{name.replace('_', '-')}").split("/")[0]


def variable(name: str, names: Sequence[str] = ()) -> str:
    """The environment variable of an option: LASER_ and its first long name."""
    return "LASER_" + long_name(name, names).strip("-").replace("-", "_").upper()


def variable_of(name: str, field: FieldInfo) -> str:
    """The environment variable of a field's option; "" if the command line does not ask for the field."""
    told: Any = field.json_schema_extra
    return (told["env"] or variable(name, told["names"])) if isinstance(told, dict) and "env" in told else ""


def lines_of(name: str, field: FieldInfo) -> tuple[Any, ...]:
    """What the variable of an option holds that may be given several times: one value a line; () of any other."""
    text = os.environ.get(variable_of(name, field), "")
    kind = repeated(field)
    return tuple(kind(line) for line in text.splitlines() if line.strip()) if kind else ()


def repeated(field: FieldInfo) -> Any:
    """The type of one value of an option that may be given several times, None of any other.

    It is a tuple that is not spelled as one text.
    """
    kind = next(kind for kind in members(field.annotation) if kind is not type(None))
    spelled = any(isinstance(how, BeforeValidator) for how in field.metadata)
    return get_args(kind)[0] if get_origin(kind) is tuple and (not spelled or get_args(kind) == (str, ...)) else None


def members(annotation: Any) -> tuple[Any, ...]:
    """The types that an annotation allows."""
    origin = get_origin(annotation)
    if origin is Annotated:
        return members(get_args(annotation)[0])
    is_union = origin is Union or type(annotation).__name__ == "UnionType"
    return tuple(m for part in get_args(annotation) for m in members(part)) if is_union else (annotation,)
