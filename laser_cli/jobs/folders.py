"""Where laser keeps what is the user's own, by the platform's customs."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from platformdirs import PlatformDirs

DIRS = PlatformDirs("laser", appauthor=False, roaming=True)


def cache_folder() -> Path:
    """What can be lost; `LASER_CACHE` names another place."""
    return Path(os.environ.get("LASER_CACHE") or DIRS.user_cache_dir)


def user_folder() -> Path:
    """The user's presets."""
    return Path(DIRS.user_config_dir) / "presets"


def former_folder() -> Path | None:
    """Where the user's presets were before XDG_CONFIG_HOME counted on macOS; None elsewhere."""
    return Path.home() / "Library" / "Application Support" / "laser" / "presets" if sys.platform == "darwin" else None
