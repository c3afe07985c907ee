"""The one merge of settings: defaults < preset or record < plan and inversion < flags (LASER_* count as flags)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

from pydantic import ValidationError

from laser_cli.errors import BadInputError, LaserError, UsageError
from laser_cli.settings.schema import Settings


@dataclass(frozen=True)
class Layer:
    """Settings from one source: what errors call it, and the lines of its keys where it is a file."""

    name: str
    values: Mapping[str, Any]
    lines: Mapping[str, int] = field(default_factory=dict)
    error: type[LaserError] = BadInputError

    def at(self, key: str) -> str:
        """The source with the key's line, as errors begin."""
        return f"{self.name}, line {self.lines[key]}" if key in self.lines else self.name


def flags(values: Mapping[str, Any]) -> Layer:
    """The layer of what was said on the command line: options that were left out (None) say nothing."""
    said = {key: value for key, value in values.items() if value is not None}
    return Layer("the command line", said, error=UsageError)


def merge(*layers: Layer) -> Settings:
    """The settings of a run: later layers go before earlier ones, all before the defaults.

    An unknown key or a value that cannot be is an error of the layer it stands in, used or not.
    """
    merged: dict[str, Any] = {}
    for layer in layers:
        check(layer)
        merged |= layer.values
    return Settings(**merged)


def check(layer: Layer) -> None:
    """Raises the layer's error, naming source, line, key and the nearest known key."""
    known = tuple(Settings.model_fields)
    for key in layer.values:
        if key not in known:
            near = get_close_matches(str(key), known, n=1, cutoff=0.5)
            hint = f"did you mean {near[0]!r}?" if near else f"the keys are {', '.join(known)}"
            raise layer.error(f"{layer.at(key)}: unknown key {key!r}", hint=hint)
    try:
        Settings(**layer.values)
    except ValidationError as error:
        problems = error.errors(include_url=False)
        key = str(problems[0]["loc"][0])
        # a setting of several kinds has a problem for each
        why = ", or ".join(p["msg"].removeprefix("Input ") for p in problems if p["loc"][0] == key)
        raise layer.error(f"{layer.at(key)}: {key} cannot be {_shown(layer.values[key])}", why=f"it {why}") from error


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
