"""The settings file `config.yaml` in the user's configuration folder: what every command begins with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from laser_cli.errors import BadInputError, NotFoundError
from laser_cli.jobs.fields import Frozen, Settings
from laser_cli.jobs.folders import config_folder
from laser_cli.jobs.merge import Layer, check, fitted
from laser_cli.jobs.presets import read_layer
from laser_cli.jobs.settings import KINDS

FILE = "config.yaml"
NONE: Mapping[str, type[Frozen]] = {}


def config_file() -> Path | None:
    """Where the settings file is looked for; None where no home folder can be found."""
    folder = config_folder()
    return folder / FILE if folder else None


def read_config(file: Path | None, others: Mapping[str, type[Frozen]]) -> Layer | None:
    """The settings of `file`, or of the user's own file, if that is there.

    It is written like a preset; `others` are keys beside settings, each with the model that knows its values.
    NotFoundError for a named file that is not there, BadInputError with line and key for what is wrong in it.
    """
    path = file or config_file()
    if path is None or (file is None and not path.is_file()):
        return None
    if not path.is_file():
        raise NotFoundError(f"there is no settings file {path}", hint="--no-config does without")
    layer = read_layer(path, "the settings file ", "a settings file")[1]
    settings = {key: value for key, value in layer.values.items() if key not in others}
    check(replace(layer, values=settings), *KINDS, known=tuple(others))
    for key in layer.values.keys() & others.keys():
        check(replace(layer, values={key: layer.values[key]}), others[key])
        if layer.values[key] is None:
            raise BadInputError(f"{layer.at(key)}: {key} has no value", hint="take the line out")
    return replace(layer, source="config")


def config_for(config: Layer | None, kind: type[Frozen], others: Mapping[str, type[Frozen]] = NONE) -> Layer | None:
    """What the settings file says to this kind of job or options."""
    if config is None:
        return None
    if issubclass(kind, Settings):
        return fitted(config, kind)[0]
    said = {key: value for key, value in config.values.items() if key in others and key in kind.model_fields}
    return replace(config, values=said)
