"""What other packages bring by entry points: planners, controls and backbones. A broken one is named and skipped.

Names are known without importing anything; a plugin is imported when it is asked for, or when somebody asks which of
them are broken. They add to what laser has and never replace it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any, NamedTuple

from laser_cli.errors import NotFoundError

PLANNERS, CONTROLS, BACKBONES = "laser.planners", "laser.controls", "laser.backbones"
GROUPS = {PLANNERS: "planner", CONTROLS: "control", BACKBONES: "backbone"}
"""What a plugin of each group is called."""


class Loaded(NamedTuple):
    """A plugin's object, or why there is none."""

    found: Any
    broken: str = ""


@cache
def brought(group: str) -> dict[str, EntryPoint]:
    """The plugins of a group by name, in the order of their names; of two with one name the first package's."""
    points = sorted(entry_points(group=group), key=lambda point: (point.name, package_of(point)), reverse=True)
    return dict(sorted({point.name: point for point in points}.items()))


@cache
def load(group: str, name: str) -> Loaded:
    """A plugin's object, imported now; whatever its import raises makes it broken."""
    try:
        return Loaded(brought(group)[name].load())
    except Exception as error:  # somebody else's code, which can raise anything
        return Loaded(None, _reason(error))


def ask(group: str, name: str, question: Callable[[Any], Any]) -> Loaded:
    """What a plugin answers; an exception in it counts as broken."""
    found = load(group, name)
    if found.broken:
        return found
    try:
        return Loaded(question(found.found))
    except Exception as error:  # as above
        return Loaded(None, _reason(error))


def require(group: str, name: str, make: Callable[[Any], Any] = lambda found: found) -> Any:
    """What `make` makes of a plugin that is asked for by name; NotFoundError that says why it is broken."""
    made = ask(group, name, make)
    if not made.broken:
        return made.found
    what = f"the {GROUPS[group]} {name} of {package_of(brought(group)[name])} is broken"
    raise NotFoundError(what, why=made.broken, hint="install another version of that package, or do without it")


def skipped(group: str, name: str, why: str) -> str:
    """The warning about a broken plugin that nobody asked for."""
    return f"the {GROUPS[group]} {name} of {package_of(brought(group)[name])} is broken and skipped: {why}"


def package_of(point: EntryPoint) -> str:
    """The package that brings a plugin, with its version."""
    return f"{point.dist.name} {point.dist.version}" if point.dist else "an unknown package"


def _reason(error: Exception) -> str:
    said = str(error) if isinstance(error, NotFoundError) else f"{type(error).__name__}: {error}"
    return next(iter(said.strip().splitlines()), type(error).__name__).rstrip(": ")
