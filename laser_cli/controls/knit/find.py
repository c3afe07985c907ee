"""Finds the portrait adapters of a model: its own, published ones that the user has, or those that are asked for."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from laser_cli.controls.knit.places import recall
from laser_cli.controls.knit.versions import PREFIX, VIDEO, is_hellomeme
from laser_cli.errors import NotFoundError
from laser_cli.models.options import files_key

if TYPE_CHECKING:
    from laser_cli.controls.knit.load import Nets
    from laser_cli.models.model import Model

FAMILY = "SD 1.x"
"""The models that published adapters are made for."""
BY_CHOICE = ("v5b", "v5", "v5c", "v4", "v3", "v2", "v1")
"""Published versions in the order in which they are taken where none is asked for."""
FOLDER, OWN = "portraits", "own"
"""The adapters' folder in a model's, and what they are called there."""


class Adapters(NamedTuple):
    """Adapters on this machine: their name, their folder (None: the hub's cache), a digest of their files, whether they
    draw puppets, and whether clips, by their motion modules."""

    name: str
    path: Path | None
    digest: str
    puppets: bool
    clips: bool = False


def find_adapters(asked: str | None, model: str, clips: bool | None = None) -> Adapters | None:
    """The adapters that are asked for by name or folder, else those of the model; None if it has none.

    `clips`: whether they draw by motion modules; None, if those are there. Raises NotFoundError for asked ones that are
    not there or not whole.
    """
    found = _found(asked, model, clips)
    if clips and found and not found.clips:
        raise NotFoundError(f"{found.name} has no motion modules", hint="hellomeme:v5b has some")
    return found


def _found(asked: str | None, model: str, clips: bool | None) -> Adapters | None:
    if asked is not None:
        return _published(asked, clips) if is_hellomeme(asked) else _in_folder(Path(os.path.expanduser(asked)), asked)
    from laser_cli.models.find import cached_path
    from laser_cli.models.identify import identify

    path = cached_path(model)
    if path is None:
        return None
    if path.is_dir() and (path / FOLDER / "config.json").is_file():
        return _in_folder(path / FOLDER, OWN)
    known = [PREFIX + version for version in BY_CHOICE if recall(PREFIX + version)]
    if known and identify(path).family == FAMILY:
        return _published(known[0], clips)
    return None


def needed_adapters(asked: str | None, model: str, clips: bool | None = None) -> Adapters:
    """As `find_adapters`; NotFoundError where there are none."""
    found = find_adapters(asked, model, clips)
    if found is None:
        raise NotFoundError(
            f"{model} has no portrait adapters",
            why="a face is driven by nets beside the model",
            hint="for the SD 1.5 family: laser models add hellomeme:v5b [FOLDER]; or --portrait-adapter FOLDER",
        )
    return found


def load_adapters(found: Adapters, model: Model) -> Nets:
    """The nets, in the model's precision and on its device. Raises BadInputError where they do not fit the model."""
    if is_hellomeme(found.name):
        from laser_cli.controls.knit.load import load

        return load(found.name, found.path, video=found.clips, dtype=model.dtype, device=model.device)
    from laser_cli.controls.knit.own import load_own

    assert found.path is not None
    return load_own(found.path, model.unet, model.dtype, model.device)


def _in_folder(folder: Path, name: str) -> Adapters:
    file = folder / "config.json"
    try:
        puppets = json.loads(file.read_text("utf-8")).get("faces") == "puppets"
    except (OSError, ValueError, AttributeError) as error:
        why = "no such folder" if not folder.is_dir() else f"{file.name} cannot be read"
        hint = "hellomeme:v5b, or a folder with config.json and model.safetensors"
        raise NotFoundError(f"{name} are no portrait adapters", why=why, hint=hint) from error
    return Adapters(name, folder, files_key(folder), puppets)


def _published(name: str, clips: bool | None) -> Adapters:
    """A published version: whole, or downloaded now, with its motion modules if they are asked for."""
    from laser_cli.controls.knit.load import status
    from laser_cli.models.find import weights_key

    found = status(name, download=True, video=bool(clips))
    if not found.draws:
        missing = ", ".join(net.repo for net in found.absent if not net.for_video)
        raise NotFoundError(f"{name} is not whole", why=f"missing: {missing}", hint=f"laser models add {name} [FOLDER]")
    if clips and not found.draws_clips:
        raise NotFoundError(
            f"{name} cannot draw clips", why=found.why_no_clips, hint="hellomeme:v5b can, with hm5_motion"
        )
    moving = clips is not False and found.draws_clips
    files = sorted(file for role, file in found.files.items() if moving or role not in VIDEO)
    digest = hashlib.sha256("".join(map(weights_key, files)).encode()).hexdigest()[:16]
    return Adapters(name, recall(name), digest, puppets=False, clips=moving)
