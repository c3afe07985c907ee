"""Where laser keeps what is the user's own, by the platform's customs."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from platformdirs import PlatformDirs

DIRS = PlatformDirs("laser", appauthor=False, roaming=True)


def cache_folder() -> Path | None:
    """What can be lost; `LASER_CACHE` names another place. None where no home folder can be found."""
    named = os.environ.get("LASER_CACHE")
    return Path(named) if named else _platform_folder("user_cache_dir")


def config_folder() -> Path | None:
    """The user's settings file and presets; None where no home folder can be found."""
    return _platform_folder("user_config_dir")


def state_folder() -> Path | None:
    """What runs keep between each other, such as a batch's journal; None where no home folder can be found."""
    return _platform_folder("user_state_dir")


def user_folder() -> Path | None:
    """The user's presets; None where no home folder can be found."""
    found = config_folder()
    return found / "presets" if found else None


def former_folder() -> Path | None:
    """Where the user's presets were before XDG_CONFIG_HOME counted on macOS; None elsewhere."""
    home = Path(os.path.expanduser("~"))
    if sys.platform != "darwin" or not home.is_absolute():
        return None
    return home / "Library" / "Application Support" / "laser" / "presets"


def _platform_folder(kind: str) -> Path | None:
    """One of platformdirs' folders, None without a home: it raises, or in older versions leaves the ~ in its name."""
    try:
        found = Path(getattr(DIRS, kind))
    except RuntimeError:
        return None
    return found if found.is_absolute() else None
