"""Fields that know how a command line asks for them, and the frozen models that are made of them."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field

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
