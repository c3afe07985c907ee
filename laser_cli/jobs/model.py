"""What a model asks for: settings in a `laser.yaml` beside its weights, which override laser's defaults alone."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from laser_cli.errors import BadInputError
from laser_cli.jobs.merge import Layer, fitted, merge, ordered
from laser_cli.jobs.presets import read_preset
from laser_cli.jobs.settings import ModelChoice
from laser_cli.models.find import STORYBOOK, WEIGHTS
from laser_cli.models.options import ModelOptions, PromptStyle, parse_lora

FILE = "laser.yaml"
Asked = TypeVar("Asked", bound=ModelChoice)


def settle(kind: type[Asked], *layers: Layer | None) -> Asked:
    """The settings of a job: what the model that the layers name asks for, beneath them all (see ``merge``)."""
    return merge(kind, *settling(kind, *layers))


def settling(kind: type[Asked], *layers: Layer | None) -> list[Layer]:
    """The layers that `settle` merges, the lowest first."""
    asked = asked_by(merge(kind, *layers).model)
    return ordered(fitted(asked, kind)[0] if asked else None, *ordered(*layers))


def options_of(settings: ModelChoice) -> ModelOptions:
    """What settings ask of a model beside its name, as its loader wants it."""
    return ModelOptions(
        settings.variant,
        settings.revision,
        tuple(parse_lora(text) for text in settings.lora),
        tuple(Path(os.path.expanduser(text)) for text in settings.embedding),
        Path(os.path.expanduser(settings.vae)) if settings.vae else None,
        PromptStyle(settings.prompt_weights, settings.prompt_chunks),
        settings.scheduler,
        settings.timestep_spacing,
        settings.free_text_encoders,
        settings.compile,
    )


def asked_by(model: str) -> Layer | None:
    """The settings that a model on this machine asks for, None if it asks for none; a model of the hub never does.

    What is in the hub's cache differs from run to run, and the settings of a run must not.
    """
    file = (WEIGHTS if model == STORYBOOK else Path(os.path.expanduser(model))) / FILE
    if not file.is_file():
        return None
    layer = read_preset(file).layer
    if "model" in layer.values:
        raise BadInputError(f"{layer.at('model')}: a model cannot ask for another", hint="take the line out")
    return replace(layer, source="model")
