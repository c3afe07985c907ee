"""Which files of a model folder are its weights: variants, shards, indices, safetensors before pickles."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any, NamedTuple

NEEDED = ("unet", "vae", "text_encoder", "tokenizer", "scheduler")
SECOND = ("text_encoder_2", "tokenizer_2")
"""What an SDXL checkpoint has beside these."""
WEIGHTED = ("unet", "transformer", "vae", "text_encoder", "text_encoder_2", "text_encoder_3")
"""Parts that have weights and shape a picture."""

CONFIGS = Path(__file__).resolve().parent / "configs"
FOLDERS = {"SD 1.x": "sd1", "SD 2.x": "sd2", "SDXL": "sdxl"}
PREFIXES: dict[str, tuple[str, ...]] = {
    "unet": ("model.diffusion_model.",),
    "vae": ("first_stage_model.",),
    "text_encoder": ("cond_stage_model.", "conditioner.embedders.0."),
    "text_encoder_2": ("conditioner.embedders.1.",),
}
"""How the names of a part's tensors begin."""

_NAME = re.compile(
    r"(?:diffusion_pytorch_model|pytorch_model|model)(?:\.(?P<variant>\w+))?"
    r"(?:-(?P<shard>\d{5})-of-(?P<shards>\d{5}))?(?:\.(?P<late>\w+))?\.(?P<ending>safetensors|bin)"
)
_PREFERENCE = ("", "fp16", "bf16", "fp32", "ema_only", "ema", "non_ema")
"""Variants in the order in which they are taken where none is asked for."""


class Weights(NamedTuple):
    """A part's weight files, all of one variant ("" is the plain one)."""

    names: tuple[str, ...]
    variant: str = ""

    @property
    def safe(self) -> bool:
        """Whether they are safetensors."""
        return self.names[0].endswith(".safetensors")


def choose_weights(names: Collection[str], variant: str | None = None) -> Weights | None:
    """The weights among a part's file names: of that variant, else the plain ones, else what there is; None if none.

    A set of shards counts only if each of them is among the names; safetensors come before .bin of any variant.
    """
    found: dict[tuple[bool, str], list[str]] = {}
    shards: dict[tuple[bool, str], int] = {}
    for name in sorted(names):
        match = _NAME.fullmatch(name)
        if match:
            key = (match["ending"] == "bin", match["variant"] or match["late"] or "")
            if match["shards"] is None:
                found[key], shards[key] = [name], 1
            elif shards.get(key) != 1:
                found.setdefault(key, []).append(name)
                shards[key] = int(match["shards"])
    whole = [key for key, kept in found.items() if len(kept) == shards[key]]
    order = (variant,) if variant is not None else _PREFERENCE
    wanted = [key for key in whole if key[1] in order] if variant is not None else whole
    if not wanted:
        return None
    first = min(wanted, key=lambda key: (key[0], order.index(key[1]) if key[1] in order else len(order)))
    return Weights(tuple(found[first]), first[1])


def weight_files(part: Path, variant: str | None = None) -> list[Path]:
    """The weight files of a part's folder, in order; empty if there are none. See `choose_weights`."""
    if not part.is_dir():
        return []
    names = [file.name for file in part.iterdir() if file.is_file()]
    chosen = choose_weights(names, variant) or choose_weights(names)
    return [part / name for name in chosen.names] if chosen else []


def variant_of(part: Path, variant: str | None = None) -> str | None:
    """The variant as the library's loaders want it named: None for plain weights."""
    names = [file.name for file in part.iterdir() if file.is_file()] if part.is_dir() else []
    chosen = choose_weights(names, variant) or choose_weights(names)
    return (chosen.variant or None) if chosen else None


def missing_shards(part: Path) -> list[str]:
    """Weight files that an index of the part names and that are not there."""
    lost = set()
    for index in part.glob("*.index*.json") if part.is_dir() else ():
        named = read_json(index).get("weight_map", {}).values()
        here = [name for name in set(named) if (part / name).is_file()]
        # an index of a variant that was left out on purpose has none of its shards
        if here or not weight_files(part):
            lost |= set(named) - set(here)
    for file in part.iterdir() if part.is_dir() else ():
        match = _NAME.fullmatch(file.name)
        if match and match["shards"] is not None:
            count = int(match["shards"])
            names = [
                file.name.replace(f"-{match['shard']}-of-", f"-{number:05d}-of-") for number in range(1, count + 1)
            ]
            lost |= {name for name in names if not (part / name).is_file()}
    return sorted(lost)


def read_json(file: Path) -> dict[str, Any]:
    """A JSON object from a file; ValueError that names the file if it holds anything else, or nothing readable."""
    try:
        told = json.loads(file.read_text("utf-8"))
    except OSError as error:
        raise ValueError(f"{file.parent.name}/{file.name} cannot be read: {error.strerror or error}") from error
    except ValueError as error:
        raise ValueError(f"{file.parent.name}/{file.name} is not JSON: {error}") from error
    if not isinstance(told, dict):
        raise ValueError(f"{file.parent.name}/{file.name} holds a {type(told).__name__}, not settings")
    return told


def parts_of(folder: Path) -> list[str]:
    """Parts that a model's index names, or the folders that are there where it has no index."""
    index = folder / "model_index.json"
    if not index.is_file():
        return [part for part in (*NEEDED, *SECOND, "transformer") if (folder / part).is_dir()]
    named = read_json(index)
    return [name for name, told in named.items() if isinstance(told, list) and len(told) == 2 and told[0] and told[1]]


def shaping_files(path: Path, variant: str | None = None) -> Iterator[Path]:
    """The files that shape a model's pictures: weights, tokenizers, configurations; a single file itself."""
    if path.is_file():
        yield path
        return
    for part in (*WEIGHTED, "tokenizer", "tokenizer_2", "tokenizer_3", "scheduler"):
        folder = path / part
        yield from weight_files(folder, variant)
        if folder.is_dir():
            yield from sorted(
                file for file in folder.iterdir() if file.suffix in (".json", ".txt") and "index" not in file.name
            )
    if (path / "model_index.json").is_file():
        yield path / "model_index.json"


def config_folder(family: str) -> Path:
    """The settings of a family, in the standard layout without weights."""
    return CONFIGS / FOLDERS[family]
