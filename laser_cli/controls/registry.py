"""All controls by name: those of this package, and those that other packages bring as ``laser.controls``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib.metadata import entry_points

from laser_cli.controls import masactrl, pnp
from laser_cli.controls.base import Control
from laser_cli.errors import NotFoundError

GROUP = "laser.controls"
OWN = (pnp.CONTROL, masactrl.CONTROL)

SIGNALS: Mapping[str, Mapping[str, tuple[float, float]]] = {
    "hold": {},
    "hybrid": {"texture": (1.0, 0.0), "motion": (1.0, 0.0)},  # lets go of the source, so that it arrives at its target
}
"""What a plan's signal asks of the controls where it is not simply one of them: shares of a segment's strength at its
begin and end."""


def find_controls(names: Iterable[str]) -> list[Control]:
    """The controls of these names; NotFoundError for one that there is not."""
    controls = {control.name: control for control in OWN}
    told = []
    for name in dict.fromkeys(names):
        if name not in controls:
            controls |= {point.name: point.load() for point in entry_points(group=GROUP)}
        if name not in controls:
            hint = f"one of {', '.join(controls)}, or install the package that brings it"
            raise NotFoundError(f"there is no control {name!r}", hint=hint)
        told.append(controls[name])
    return told


def signal(name: str) -> Mapping[str, tuple[float, float]]:
    """The controls that a plan's signal stands for, each with its shares of the strength at begin and end."""
    return SIGNALS.get(name, {name: (1.0, 1.0)})
