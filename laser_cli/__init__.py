"""laser: animates a still image from a sentence, on one's own machine.

``from laser_cli import animate, interpolate, load_model`` (see ``laser_cli.api``): imported when first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from laser_cli.api import LaserError, animate, interpolate, load_model

__version__: str
__all__ = ["LaserError", "__version__", "animate", "interpolate", "load_model"]
_SOURCE_VERSION = "0.1.0"  # for a source tree that is not installed; a test holds it equal to pyproject.toml


def __getattr__(name: str) -> Any:
    """What the package offers, looked up on first use: torch and package metadata are too slow for every start."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if name == "__version__":
        found: Any = _version()
    else:
        from laser_cli import api

        found = getattr(api, name)
    globals()[name] = found
    return found


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("laser-cli")
    except PackageNotFoundError:
        return _SOURCE_VERSION
