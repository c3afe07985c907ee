"""The one merge of settings.

Defaults < the model's laser.yaml < config.yaml < preset or record < plan and inversion < variables and flags.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from typing import Any, TypeVar

from pydantic import ValidationError

from laser_cli.errors import BadInputError, LaserError, UsageError
from laser_cli.jobs.fields import Frozen, Settings
from laser_cli.jobs.settings import KINDS

Kind = TypeVar("Kind", bound=Frozen)
NO_VARIABLES: Mapping[str, str] = {}


@dataclass(frozen=True)
class Layer:
    """Settings from one source: what errors call it, and the lines of its keys where it is a file.

    `source`: its kind, such as preset, for `laser config`.
    `variables`: of the command line, what was not an option on it but an environment variable, by key. `beneath`: the
    settings file, which every other layer of a job overrides.
    """

    name: str
    values: Mapping[str, Any]
    lines: Mapping[str, int] = field(default_factory=dict)
    error: type[LaserError] = BadInputError
    variables: Mapping[str, str] = field(default_factory=dict)
    beneath: Layer | None = None
    source: str = ""

    def at(self, key: str) -> str:
        """The source with the key's line, as errors begin."""
        if key in self.variables:
            return self.variables[key]
        return f"{self.name}, line {self.lines[key]}" if key in self.lines else self.name

    @property
    def alone(self) -> Layer:
        """The layer without the settings file beneath it: a record says every setting already."""
        return replace(self, beneath=None)


def flags(
    values: Mapping[str, Any],
    name: str = "the command line",
    variables: Mapping[str, str] = NO_VARIABLES,
    beneath: Layer | None = None,
) -> Layer:
    """The layer of the command line (LASER_* variables count as flags); options left out are None and say nothing."""
    said = {key: value for key, value in values.items() if value is not None}
    return Layer(name, said, error=UsageError, variables=variables, beneath=beneath, source="flag")


def merge(kind: type[Kind], *layers: Layer | None) -> Kind:
    """The settings of a job: later layers override earlier ones, every layer overrides the defaults.

    An unknown key or a value that cannot be is an error of the layer it stands in, used or not.
    """
    merged: dict[str, Any] = {}
    for layer in ordered(*layers):
        check(layer, kind)
        merged |= layer.values
    return kind(**merged)


def ordered(*layers: Layer | None) -> list[Layer]:
    """The layers that there are, the settings file first."""
    there = [layer for layer in layers if layer]
    return [*(layer.beneath for layer in there if layer.beneath), *(layer.alone for layer in there)]


def check(layer: Layer, *kinds: type[Frozen], known: tuple[str, ...] = ()) -> None:
    """Raise the layer's error, with source, line, key and the nearest known key, for a key that no kind can take.

    `known`: keys that the error names too.
    """
    known = tuple(dict.fromkeys((*(key for kind in kinds for key in kind.model_fields), *known)))
    for key in layer.values:
        if key not in known:
            near = get_close_matches(str(key), known, n=1, cutoff=0.5)
            hint = f"did you mean {near[0]!r}?" if near else f"the keys are {', '.join(known)}"
            raise layer.error(f"{layer.at(key)}: unknown key {key!r}", hint=hint)
        wrong = [why for kind in kinds if key in kind.model_fields for why in [_problem(kind, key, layer.values[key])]]
        if all(wrong):
            what = f"{layer.at(key)}: {key} cannot be {_shown(layer.values[key])}"
            raise layer.error(what, why=f"it {wrong[0]}", hint=f"give {key} another value there")


def fitted(layer: Layer, kind: type[Settings]) -> tuple[Layer, tuple[str, ...]]:
    """A layer that speaks to all jobs as one for this kind, and the keys that mean nothing to it.

    A key that another kind has by default as well is no loss, and is not named.
    """
    values: dict[str, Any] = {}
    idle = []
    for key, value in layer.values.items():
        if key in kind.TRANSLATED:
            values[kind.TRANSLATED[key]] = kind.translate(key, value)
        elif key in kind.model_fields and not _problem(kind, key, value):
            values[key] = value
        elif not any(key in other.model_fields and other.model_fields[key].default == value for other in KINDS):
            idle.append(key)
    lines = {kind.TRANSLATED.get(key, key): line for key, line in layer.lines.items()}
    return replace(layer, values=values, lines=lines), tuple(idle)


def _problem(kind: type[Frozen], key: str, value: Any) -> str:
    """Why a setting cannot have this value, or ""."""
    try:
        kind(**{key: value})
    except ValidationError as error:
        # a setting of several kinds has a problem for each
        told = (problem["msg"] for problem in error.errors(include_url=False))
        return ", or ".join(text.removeprefix("Input ").removeprefix("Value error, ") for text in told)
    return ""


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
