"""Presets: YAML files of settings with a `description`; laser's own, the user's, or any file."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import yaml

from laser_cli import limits
from laser_cli.errors import BadInputError, NotFoundError, UsageError
from laser_cli.jobs.fields import Settings
from laser_cli.jobs.folders import former_folder, user_folder
from laser_cli.jobs.merge import Layer, check, fitted
from laser_cli.jobs.progress import SILENT, Progress
from laser_cli.jobs.settings import KINDS
from laser_cli.presets_dir import presets_folder
from laser_cli.text import read_text
from laser_cli.yaml_text import read_yaml

ENDINGS = (".yaml", ".yml")


@dataclass(frozen=True)
class Preset:
    """A preset as read: its settings as a layer, and where it lies."""

    name: str
    description: str
    layer: Layer
    path: Path
    own: bool = False
    """Whether the user wrote it."""


def all_presets() -> list[Preset]:
    """Every preset that can be named; a user's overrides laser's own of the same name."""
    return [read_preset(path, own) for path, own in _files().values()]


def preset_names() -> list[str]:
    """What presets can be named by, whatever is in them."""
    return list(_files())


def find_preset(name: str) -> Preset:
    """A preset by name, or a YAML file; NotFoundError names the nearest."""
    files = _files()
    if name in files:
        return read_preset(*files[name])
    if Path(name).suffix.lower() in ENDINGS:
        return read_preset(Path(name), own=True)
    near = get_close_matches(name, files, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]!r}?" if near else f"one of {', '.join(files)}, or a .yaml file"
    raise NotFoundError(f"there is no preset {name!r}", hint=hint)


def chosen_preset(name: str | None, rerun: Path | None) -> Preset | None:
    """The preset of a command line, if it names one; UsageError beside the output of a run that is repeated."""
    if name is None:
        return None
    if rerun is not None:
        why = "the record says every setting already"
        hint = "leave one of them out; LASER_PRESET counts as --preset"
        raise UsageError("both --from and --preset", why=why, hint=hint)
    return find_preset(name)


def preset_layer(preset: Preset | None, kind: type[Settings], progress: Progress = SILENT) -> Layer | None:
    """What a preset says to this kind of job; what it says only to others is told."""
    if preset is None:
        return None
    layer, idle = fitted(preset.layer, kind)
    if idle:
        others = " and ".join(k.PLURAL for k in KINDS if k is not kind and set(idle) & set(k.model_fields))
        progress.note(f"the preset {preset.name} also sets {', '.join(idle)}, which only {others} have")
    return layer


def read_preset(path: Path, own: bool = False) -> Preset:
    """The preset in a file; BadInputError names the line and the key of what is wrong."""
    if not path.exists():
        raise NotFoundError(f"there is no preset {path}", hint="laser presets lists them")
    description, layer = read_layer(path, "the preset ", "a preset")
    check(layer, *KINDS)
    return Preset(path.stem, description, replace(layer, source="preset"), path, own)


def read_layer(path: Path, what: str, kind: str) -> tuple[str, Layer]:
    """The description and the settings in a YAML file, not checked yet; errors call it `what` and `kind`."""
    values, lines = _parse(read_text(path, what, limits.PLAN_BYTES), str(path), kind)
    description = values.pop("description", "")
    if not isinstance(description, str):
        raise BadInputError(f"{path}, line {lines['description']}: the description should be text")
    return description, Layer(str(path), values, lines)


def _files() -> dict[str, tuple[Path, bool]]:
    """Name to (path, whether it is the user's); laser's own first, in the order of their names."""
    found: dict[str, tuple[Path, bool]] = {}
    for folder, own in ((presets_folder(), False), (former_folder(), True), (user_folder(), True)):
        for path in sorted(_yaml_files(folder)) if folder else ():
            found[path.stem] = (path, own)
    return found


def _yaml_files(folder: Path) -> Iterator[Path]:
    return (path for path in folder.glob("*") if path.suffix.lower() in ENDINGS) if folder.is_dir() else iter(())


def _parse(text: str, name: str, kind: str = "a preset") -> tuple[dict[str, Any], dict[str, int]]:
    """The values of a flat YAML mapping, and the lines of its keys."""
    document = read_yaml(text, name, kind)
    value, root = document.value, document.root
    if not isinstance(value, dict) or not isinstance(root, yaml.MappingNode):
        raise BadInputError(f"{name} is not {kind}", why="it should have lines such as `steps: 12`")
    lines = {str(key.value): key.start_mark.line + 1 for key, _ in root.value}
    return {str(key): item for key, item in value.items()}, lines
