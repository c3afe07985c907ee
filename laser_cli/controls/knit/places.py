"""Folders of adapters that the user has named once, with `laser models add`."""

from __future__ import annotations

import json
import os
from pathlib import Path

from platformdirs import PlatformDirs

from laser_cli.errors import BadInputError, LaserError


def places_file() -> Path:
    """The file that keeps them. Raises LaserError where no home folder can be found."""
    folder = PlatformDirs("laser", appauthor=False, roaming=True).user_config_dir
    if not os.path.isabs(folder):
        raise LaserError("there is no home folder to keep settings in", hint="set HOME")
    return Path(folder) / "adapters.json"


def remember(name: str, folder: Path) -> None:
    """Keep where the files of an adapter lie."""
    from laser_cli.output.atomic import staged

    file, known = places_file(), places()
    file.parent.mkdir(parents=True, exist_ok=True)
    with staged(file) as made:
        made.write_text(json.dumps({**known, name: str(folder.resolve())}, indent=2) + "\n", encoding="utf-8")


def places() -> dict[str, str]:
    """All folders by the name of their adapter. Raises BadInputError for a file that cannot be read."""
    file = places_file()
    if not file.is_file():
        return {}
    try:
        known = json.loads(file.read_text("utf-8"))
        if not isinstance(known, dict) or not all(isinstance(folder, str) for folder in known.values()):
            raise ValueError("it does not map names to folders")
    except (OSError, ValueError) as error:
        raise BadInputError(f"{file} cannot be read", why=str(error), hint="mend it, or remove it") from error
    return known


def recall(name: str) -> Path | None:
    """The folder of an adapter, if the user has named one and it is still there."""
    folder = places().get(name)
    return Path(folder) if folder and Path(folder).is_dir() else None
