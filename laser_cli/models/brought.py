"""Backbones of other packages (entry points `laser.backbones`), for models that laser cannot draw with itself."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from laser_cli import plugins

if TYPE_CHECKING:
    import torch

    from laser_cli.models.model import Model
    from laser_cli.models.options import ModelOptions

log = logging.getLogger(__name__)


class BackbonePlugin(Protocol):
    """What an entry point of `laser.backbones` names: a module or an object with these two functions."""

    def claims(self, path: Path) -> bool:
        """Whether it draws with what is in this folder or file; told from its settings, without reading weights."""

    def load(self, path: Path, device: torch.device, dtype: torch.dtype, options: ModelOptions) -> Model:
        """The model, its networks on the device; laser sets its name, revision and workers. NotFoundError if it is
        not whole."""


def claiming(path: Path) -> str:
    """The name of the plugin that draws with what is at a path, "" if none does; broken ones are told in the log."""
    for name in plugins.brought(plugins.BACKBONES):
        answer = plugins.ask(plugins.BACKBONES, name, lambda plugin: plugin.claims(path))
        if answer.broken:
            log.warning(plugins.skipped(plugins.BACKBONES, name, answer.broken))
        elif answer.found:
            return name
    return ""


def load_brought(name: str, path: Path, device: torch.device, dtype: torch.dtype, options: ModelOptions) -> Model:
    """The model at a path, by the plugin of this name."""
    plugin: BackbonePlugin = plugins.require(plugins.BACKBONES, name)
    return plugin.load(path, device, dtype, options)
