"""All controls by name: those of this package, and those that other packages bring as ``laser.controls``.

Needs no torch: plans and commands read the names, and a control is imported when a render asks for it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib import import_module
from typing import TYPE_CHECKING, NamedTuple

from laser_cli import plugins
from laser_cli.errors import NotFoundError

if TYPE_CHECKING:
    from laser_cli.controls.base import Control

Shares = Mapping[str, tuple[float, float]]
"""What a signal asks of each control: shares of a segment's strength at its begin and end."""


class Signal(NamedTuple):
    """What a plan can name: its usual strength, and where its control is or which controls it stands for."""

    strength: float
    where: str = ""
    shares: Shares | None = None


SIGNALS: Mapping[str, Signal] = {
    "texture": Signal(0.8, "laser_cli.controls.pnp:CONTROL"),
    "motion": Signal(0.7, "laser_cli.controls.masactrl:CONTROL"),
    # lets go of the source, so that it arrives at its target
    "hybrid": Signal(0.5, shares={"texture": (1.0, 0.0), "motion": (1.0, 0.0)}),
    "hold": Signal(0.0, shares={}),
    "words": Signal(1.0, shares={"words": (1.0, 1.0), "words.layout": (1.0, 1.0)}),
    "local": Signal(1.0, shares={"words": (1.0, 1.0), "words.layout": (1.0, 1.0), "words.local": (1.0, 1.0)}),
}
LOCAL_BLEND = "words.local"
PARTS: Mapping[str, str] = {
    "words": "laser_cli.controls.words:CONTROL",
    "words.layout": "laser_cli.controls.words:LAYOUT",
    LOCAL_BLEND: "laser_cli.controls.words:LOCAL",
}
"""Controls that work under a signal with others of their file."""
BROUGHT = 0.5
"""The usual strength of a control that another package brings."""


def names() -> tuple[str, ...]:
    """All that a segment of a plan can name as its control."""
    return (*SIGNALS, *(name for name in plugins.brought(plugins.CONTROLS) if name not in SIGNALS))


def strengths() -> dict[str, float]:
    """The usual strength of each."""
    return {name: SIGNALS[name].strength if name in SIGNALS else BROUGHT for name in names()}


def signal(name: str) -> Shares:
    """The controls that a plan's signal stands for, each with its shares of the strength at begin and end."""
    shares = SIGNALS[name].shares if name in SIGNALS else None
    return {name: (1.0, 1.0)} if shares is None else shares


def find_controls(names: Iterable[str]) -> list[Control]:
    """The controls of these names; NotFoundError for one that there is not."""
    return [_find(name) for name in dict.fromkeys(names)]


def check_brought(names: Iterable[str]) -> None:
    """Raise NotFoundError for a control of another package that is broken; before the work, and torch, if it can be."""
    for name in dict.fromkeys(names):
        if name not in SIGNALS and name in plugins.brought(plugins.CONTROLS):
            _checked(name)


def _find(name: str) -> Control:
    where = PARTS.get(name) or (SIGNALS[name].where if name in SIGNALS else "")
    if where:
        module, _, attribute = where.partition(":")
        own: Control = getattr(import_module(module), attribute)
        return own
    brought = plugins.brought(plugins.CONTROLS)
    if name in brought:
        return _checked(name)
    known = [*(own for own in SIGNALS if SIGNALS[own].where), *PARTS, *brought]
    hint = f"one of {', '.join(known)}, or install the package that brings it"
    raise NotFoundError(f"there is no control {name!r}", hint=hint)


def _checked(name: str) -> Control:
    from laser_cli.controls.base import Control

    def control(found: object) -> Control:
        if not isinstance(found, Control):
            raise TypeError(f"{type(found).__name__} is no Control")
        return found

    made: Control = plugins.require(plugins.CONTROLS, name, control)
    return made
