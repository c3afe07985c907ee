"""Where a model lies: storybook's own weights, a folder, a single file, or the hub, its cache first."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from laser_cli.errors import NotFoundError
from laser_cli.models.layout import NEEDED, SECOND, WEIGHTED, choose_weights, missing_shards, parts_of, shaping_files

STORYBOOK = "storybook"
WEIGHTS = Path(__file__).resolve().parent.parent / "storybook" / "weights"
ENDINGS = (".safetensors", ".ckpt", ".pt", ".pth", ".bin", ".gguf")
"""What a single file with a model in it is called."""
PLACES = "--model storybook, a folder, a .safetensors file, or a hub id such as owner/name"


class Found(NamedTuple):
    """A model on this machine: its folder or single file, and what tells its weights from others'."""

    path: Path
    revision: str


def find_model(name: str, variant: str | None = None, revision: str | None = None) -> Found:
    """A model by name: storybook, a folder, a .safetensors file, else the hub (its cache first).

    ``variant``: the precision on disk, such as fp16; ``revision``: a branch, tag or commit on the hub. NotFoundError if
    it is not there, cannot be had, or is a pickle.
    """
    if name == STORYBOOK:
        if not (WEIGHTS / "unet").is_dir():
            raise NotFoundError(
                "the embedded storybook model is missing",
                why="this installation has no weights",
                hint="install laser-cli again, or pass --model",
            )
        return Found(WEIGHTS, weights_key(WEIGHTS))
    path = Path(os.path.expanduser(name))
    if path.is_dir():
        return Found(path, weights_key(path, variant))
    if path.suffix.lower() in ENDINGS:
        return Found(path, weights_key(_single_file(path)))
    if path.is_file():
        raise NotFoundError(f"{name} is not a model", why="it is a file, but none of weights", hint=PLACES)
    if name.startswith((".", "/", "~")) or name.count("/") != 1:
        raise NotFoundError(f"there is no model {name}", why="no such folder or file", hint=PLACES)
    return _from_hub(name, variant, revision)


def cached_model(name: str, variant: str | None = None, revision: str | None = None) -> Found | None:
    """A model if all of it is on this machine; nothing is fetched."""
    path = Path(os.path.expanduser(name))
    if name == STORYBOOK or path.is_dir() or path.suffix.lower() in ENDINGS:
        return find_model(name, variant)
    folder = _cached(name, revision)
    if folder is None or missing_files(folder, variant):
        return None
    return Found(folder, _hub_revision(folder, variant))


def cached_path(name: str, revision: str | None = None) -> Path | None:
    """Where a model lies on this machine, even if a download of it broke off; nothing is fetched."""
    path = Path(os.path.expanduser(name))
    if name == STORYBOOK or path.is_dir() or path.suffix.lower() in ENDINGS:
        return WEIGHTS if name == STORYBOOK else path if path.is_dir() else _single_file(path)
    return _cached(name, revision) if name.count("/") == 1 and not name.startswith((".", "/", "~")) else None


def weights_key(path: Path, variant: str | None = None) -> str:
    """A digest over every file that shapes a model's pictures: U-Net, VAE, text encoders, tokenizers, schedule.

    Files up to 32 MiB are read whole. Of larger ones the size, both ends, and 4 KiB of every MiB are, so that a few
    seconds are enough for any model and no fine-tuned tensor of a MiB or more goes unnoticed.
    """
    digest = hashlib.sha256()
    for file in shaping_files(path, variant):
        digest.update(f"{file.relative_to(path).as_posix() if path.is_dir() else ''}\0".encode())
        size = file.stat().st_size
        digest.update(size.to_bytes(8, "big"))
        with file.open("rb") as data:
            if size <= 2**25:
                digest.update(data.read())
                continue
            digest.update(data.read(2**20))
            for start in range(2**20, size - 2**20, 2**20):
                data.seek(start)
                digest.update(data.read(2**12))
            data.seek(size - 2**20)
            digest.update(data.read())
    return digest.hexdigest()[:16]


def missing_files(folder: Path, variant: str | None = None) -> list[str]:
    """What a download left out: parts that the index names and that lack a configuration, weights or a shard."""
    try:
        parts = parts_of(folder) if (folder / "model_index.json").is_file() else list(NEEDED)
    except ValueError as error:
        return [str(error)]
    missing = []
    for part in (part for part in parts if part in (*NEEDED, *SECOND, *WEIGHTED)):
        # a download that broke off leaves links to files that are not there
        here = (
            {file.name for file in (folder / part).iterdir() if file.is_file()} if (folder / part).is_dir() else set()
        )
        if part.startswith("tokenizer"):
            if not here & {"tokenizer.json", "vocab.json", "spiece.model"}:
                missing.append(f"{part}: no vocabulary")
            continue
        config = "scheduler_config.json" if part == "scheduler" else "config.json"
        if config not in here:
            missing.append(f"{part}/{config}")
        if part in WEIGHTED:
            wanted = variant if part in ("unet", "transformer") else None  # a variant is often there of these only
            if choose_weights(here, wanted) is None:
                missing.append(f"{part}: no {wanted + ' ' if wanted else ''}weights")
            missing += [f"{part}/{name}" for name in missing_shards(folder / part)]
    return missing


def _single_file(path: Path) -> Path:
    """A .safetensors that is there; NotFoundError that says how to come to one otherwise."""
    if not path.is_file():
        raise NotFoundError(f"there is no model {path}", why="no such file", hint=PLACES)
    if path.suffix.lower() == ".gguf":
        raise NotFoundError(
            f"{path} is no model of pictures that laser reads",
            why="GGUF files hold planners, or quantised transformers",
            hint=f"--planner {path} if it is a planner; {PLACES}",
        )
    refuse_pickle(path)
    return path


def refuse_pickle(path: Path) -> None:
    """NotFoundError that says how to convert a file of weights which is no .safetensors."""
    if path.suffix.lower() != ".safetensors":
        raise NotFoundError(
            f"laser does not open {path}",
            why="it is a pickle, and opening one can run any program that somebody put into it",
            hint='convert it where you trust it: python -c "import sys, torch; from safetensors.torch import save_file;'
            " d = torch.load(sys.argv[1], map_location='cpu', weights_only=True); d = d.get('state_dict', d);"
            " save_file({k: v.contiguous() for k, v in d.items() if hasattr(v, 'shape')}, sys.argv[2])\""
            f" {path} {path.with_suffix('.safetensors')}",
        )


def _hub_revision(folder: Path, variant: str | None) -> str:
    """The commit of a snapshot, with the variant: both say which weights are read."""
    return folder.name + (f"-{variant}" if variant else "")


def _cached(name: str, revision: str | None) -> Path | None:
    """The snapshot of a hub model in the cache, half-full ones too; NotFoundError if the name can be none's."""
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    try:
        for file in ("model_index.json", "unet/config.json", "vae/config.json", "text_encoder/config.json"):
            if isinstance(found := try_to_load_from_cache(name, file, revision=revision), str):
                return Path(found).parents[file.count("/")]
    except HFValidationError as error:
        raise NotFoundError(f"there is no model {name}", why=str(error).splitlines()[0], hint=PLACES) from error
    return None


def _from_hub(name: str, variant: str | None, revision: str | None) -> Found:
    folder = _cached(name, revision)
    missing = missing_files(folder, variant) if folder else []
    if folder is None or missing:
        folder = _download(name, variant, revision, missing)
    return Found(folder, _hub_revision(folder, variant))


def _download(name: str, variant: str | None, revision: str | None, missing: list[str]) -> Path:
    """What a model needs of a hub repository and no more, in one listing and one pass over the files."""
    from huggingface_hub import HfApi, snapshot_download
    from huggingface_hub.utils import disable_progress_bars

    with from_hub(name, revision, missing):
        files = [sibling.rfilename for sibling in HfApi().model_info(name, revision=revision).siblings or ()]
        wanted = _wanted(name, files, variant)
        disable_progress_bars()
        return Path(snapshot_download(name, revision=revision, allow_patterns=wanted))


@contextmanager
def from_hub(
    name: str, revision: str | None = None, missing: Sequence[str] = (), what: str = "model", places: str = PLACES
) -> Iterator[None]:
    """Tells what goes wrong on the way to the hub as a NotFoundError about ``what``, and what to do about it."""
    from huggingface_hub.errors import (
        EntryNotFoundError,
        GatedRepoError,
        HfHubHTTPError,
        HFValidationError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    try:
        yield
    except HFValidationError as error:
        raise NotFoundError(f"there is no {what} {name}", why=str(error).splitlines()[0], hint=places) from error
    except GatedRepoError as error:
        why, hint = (
            "its owner asks for an agreement first",
            f"accept it on the model's page, then: hf auth login; hf download {name}",
        )
        raise NotFoundError(f"cannot get the {what} {name}", why=why, hint=hint) from error
    except RevisionNotFoundError as error:
        why, hint = f"it has no revision {revision}", "--revision with a branch, a tag or a commit of that repository"
        raise NotFoundError(f"cannot get the {what} {name}", why=why, hint=hint) from error
    except RepositoryNotFoundError as error:
        why, hint = f"the hub has no such {what}, or it is private", f"check the name; {places}"
        raise NotFoundError(f"there is no {what} {name}", why=why, hint=hint) from error
    except EntryNotFoundError as error:
        raise NotFoundError(f"cannot get the {what} {name}", why=str(error).splitlines()[0], hint=places) from error
    except Exception as error:
        if not isinstance(error, (HfHubHTTPError, OSError, ValueError, *_transport_errors())):
            raise
        # one message, whether this machine is offline, told to stay so, or the hub does not answer
        had = f"; in the cache it lacks {', '.join(missing[:3])}" if missing else "; it is not in the cache"
        option = {"model": "--model", "ControlNet": "--controlnet"}[what]
        raise NotFoundError(
            f"cannot get the {what} {name}",
            why=f"the hub cannot be reached{had}",
            hint=f"check the network (and HF_HUB_OFFLINE), or pass a local folder or file to {option}",
        ) from error


def _transport_errors() -> tuple[type[Exception], ...]:
    """What the hub's client raises below HTTP, whichever HTTP package it was built on."""
    kinds: list[type[Exception]] = []
    for module, name in (("httpx2", "TransportError"), ("httpx", "TransportError"), ("requests", "RequestException")):
        try:
            kinds.append(getattr(__import__(module), name))
        except ImportError:
            continue
    return tuple(kinds)


def _wanted(name: str, files: list[str], variant: str | None) -> list[str]:
    """The files to fetch: configurations, vocabularies, and of each part one set of weights."""
    parts = [*WEIGHTED, "tokenizer", "tokenizer_2", "scheduler"]
    wanted = [file for file in files if file in ("model_index.json", "laser.yaml")]
    for part in parts:
        here = {file.partition("/")[2] for file in files if file.startswith(f"{part}/") and file.count("/") == 1}
        wanted += [f"{part}/{file}" for file in here if file.endswith((".json", ".txt", ".model"))]
        if part not in WEIGHTED or not here:
            continue
        chosen = choose_weights(here, variant) or choose_weights(here)
        if variant and part in ("unet", "transformer") and chosen and chosen.variant != variant:
            there = sorted({w.variant or "plain" for v in (None, "fp16") if (w := choose_weights(here, v))})
            raise NotFoundError(
                f"{name} has no {variant} variant", why=f"its {part} is there as {', '.join(there)}", hint="--variant"
            )
        wanted += [f"{part}/{file}" for file in chosen.names] if chosen else []
    if not any(file.startswith(("unet/", "transformer/")) for file in wanted):
        single = [file for file in files if file.endswith(".safetensors") and "/" not in file]
        raise NotFoundError(
            f"{name} is not a model in the standard diffusers layout",
            why=f"it has no unet folder; it has {', '.join(sorted(files)[:4]) or 'no files'}",
            hint=f"hf download {name} {single[0]}, and pass that file to --model" if single else PLACES,
        )
    return wanted
