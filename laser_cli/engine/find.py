"""Where a model lies: storybook's own weights, a folder, or the hub, whose cache is looked into first."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from laser_cli.errors import NotFoundError

STORYBOOK = "storybook"
WEIGHTS = Path(__file__).resolve().parent.parent / "storybook" / "weights"
NEEDED = ("unet", "vae", "text_encoder", "tokenizer", "scheduler")
SECOND = ("text_encoder_2", "tokenizer_2")
"""What an SDXL checkpoint has beside these."""


def find_model(name: str) -> tuple[Path, str]:
    """The folder of a model and its revision: storybook's own, a local folder, else the hub (its cache first)."""
    if name == STORYBOOK:
        if not (WEIGHTS / "unet").is_dir():
            raise NotFoundError(
                "the embedded storybook model is missing",
                why="this installation has no weights",
                hint="install laser-cli again, or pass --model",
            )
        return WEIGHTS, weights_key(WEIGHTS)
    folder = Path(os.path.expanduser(name))
    if folder.is_dir():
        return folder, weights_key(folder)
    looks_local = name.startswith((".", "/", "~")) or name.count("/") != 1
    if looks_local:
        raise NotFoundError(
            f"there is no model {name}",
            why="no such folder",
            hint="--model storybook, a folder, or a hub id such as owner/name",
        )
    return _from_hub(name)


def weights_key(folder: Path) -> str:
    """Tells a local model's weights from others' without reading them all: sizes, beginnings and ends of its files."""
    digest = hashlib.sha256()
    for file in sorted((folder / "unet").glob("*.safetensors")):
        size = file.stat().st_size
        with file.open("rb") as data:
            digest.update(size.to_bytes(8, "big") + data.read(2**20))
            data.seek(max(0, size - 2**20))
            digest.update(data.read())
    return digest.hexdigest()[:16]


def _from_hub(name: str) -> tuple[Path, str]:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    wanted = [f"{part}/*{end}" for part in (*NEEDED, *SECOND) for end in (".json", ".txt", ".safetensors")]
    wanted.append("model_index.json")
    unwanted = ["*.fp16.safetensors", "*.non_ema.safetensors"]
    try:
        try:
            folder = Path(
                snapshot_download(name, allow_patterns=wanted, ignore_patterns=unwanted, local_files_only=True)
            )
        except LocalEntryNotFoundError:
            folder = Path(snapshot_download(name, allow_patterns=wanted, ignore_patterns=unwanted))
    except (HfHubHTTPError, OSError, ValueError) as error:
        raise NotFoundError(
            f"cannot get the model {name}",
            why=str(error).splitlines()[0],
            hint="check the name and the network, or pass a local folder to --model",
        ) from error
    return folder, folder.name
