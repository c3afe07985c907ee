"""Build hook: the manual's pages are made of the commands' help and go into the wheel."""

import sys
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class ManPages(BuildHookInterface):
    """Adds share/man/man1/laser*.1, which pip puts where `man` looks beside the laser command."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Called before the wheel is put together."""
        sys.path.insert(0, self.root)
        from laser_cli.cli.man import write_pages

        for page in write_pages(Path(mkdtemp())):
            build_data["shared_data"][str(page)] = f"share/man/man1/{page.name}"
