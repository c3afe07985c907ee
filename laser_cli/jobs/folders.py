"""Where laser keeps what is the user's own, by the platform's customs."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from platformdirs import PlatformDirs

DIRS = PlatformDirs("laser", appauthor=False, roaming=True)


def cache_folder() -> Path | None:
    """What can be lost; `LASER_CACHE` names another place. None where no home folder can be found."""
    return _absolute(
        (os.environ.get("LASER_CACHE") and os.path.abspath(os.environ["LASER_CACHE"])) or DIRS.user_cache_dir
    )


def user_folder() -> Path | None:
    """The user's presets; None where no home folder can be found."""
    found = _absolute(DIRS.user_config_dir)
    return found / "presets" if found else None


def former_folder() -> Path | None:
    """Where the user's presets were before XDG_CONFIG_HOME counted on macOS; None elsewhere."""
    home = _absolute(os.path.expanduser("~")) if sys.platform == "darwin" else None
    return home / "Library" / "Application Support" / "laser" / "presets" if home else None


def _absolute(name: str) -> Path | None:
    """A folder, unless its name begins with the ~ of a home that is not known."""
    return Path(name) if os.path.isabs(name) else None
