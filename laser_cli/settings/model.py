"""What a model asks for: settings in a `laser.yaml` beside its weights, which go before laser's defaults."""

from __future__ import annotations

from pathlib import Path

from laser_cli.errors import BadInputError
from laser_cli.models.find import STORYBOOK, WEIGHTS
from laser_cli.settings.merge import Layer, merge
from laser_cli.settings.presets import read_preset
from laser_cli.settings.schema import Settings

FILE = "laser.yaml"


def settle(*layers: Layer | None) -> Settings:
    """The settings of a run: what the model that the layers name asks for, beneath them all (see ``merge``)."""
    told = [layer for layer in layers if layer]
    asked = asked_by(merge(*told).model)
    return merge(asked, *told) if asked else merge(*told)


def asked_by(model: str) -> Layer | None:
    """The settings that a model on this machine asks for, None if it asks for none; a model of the hub never does.

    What is in the hub's cache differs from run to run, and the settings of a run must not.
    """
    file = (WEIGHTS if model == STORYBOOK else Path(model).expanduser()) / FILE
    if not file.is_file():
        return None
    layer = read_preset(file).layer
    if "model" in layer.values:
        raise BadInputError(f"{layer.at('model')}: a model cannot ask for another", hint="take the line out")
    return layer
