"""Where the presets and example pictures lie, in an installed package and in a checkout."""

from pathlib import Path

from laser_cli.errors import NotFoundError


def presets_folder() -> Path:
    """The folder of presets: `laser_cli/presets` of a wheel, else `presets/` beside the package (a checkout)."""
    package = Path(__file__).resolve().parent
    for folder in (package / "presets", package.parent / "presets"):
        if folder.is_dir():
            return folder
    why = "this installation is incomplete"
    raise NotFoundError("the presets folder is missing", why=why, hint="reinstall laser-cli")
