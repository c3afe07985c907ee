"""What may be asked of a model beside its name: a variant, LoRAs, embeddings, another VAE, how prompts are read."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

from laser_cli.errors import NotFoundError, UsageError
from laser_cli.models.find import Found, weights_key

Spacing = Literal["leading", "linspace", "trailing", "karras", "exponential", "beta"]


class Lora(NamedTuple):
    """A LoRA's file and the weight it is added with."""

    file: Path
    weight: float = 1.0


def parse_lora(text: str) -> Lora:
    """``FILE`` or ``FILE:WEIGHT``; UsageError if the weight is no number."""
    return Lora(*weighted_path(text, "--lora"))


def weighted_path(text: str, option: str) -> tuple[Path, float]:
    """``PATH`` or ``PATH:WEIGHT`` as said to an option; UsageError if the weight is no number."""
    path, colon, weight = text.rpartition(":")
    if not colon or Path(text).exists() or weight.endswith(".safetensors"):
        return Path(os.path.expanduser(text)), 1.0
    try:
        return Path(os.path.expanduser(path)), float(weight)
    except ValueError as error:
        raise UsageError(f"{option} {text}: {weight!r} is not a weight", hint=f"{option} {path}:0.8") from error


@dataclass(frozen=True)
class PromptStyle:
    """How prompts are read. ``weighted``: ``(word:1.2)``, ``(word)`` and ``[word]`` are weights, not letters.

    ``chunks``: text encoder passes of 75 tokens each that every prompt takes, long or short.
    """

    weighted: bool = False
    chunks: int = 1


@dataclass(frozen=True)
class ModelOptions:
    """Options of a model; the defaults ask for nothing. ``variant`` and ``revision`` are those of `find_model`.

    ``scheduler`` and ``spacing`` are those of `choose_schedule`. ``free_text_encoders``: they are in memory only while
    new prompts are read. ``compile``: see `compiled.compile_blocks`.
    """

    variant: str | None = None
    revision: str | None = None
    loras: tuple[Lora, ...] = ()
    embeddings: tuple[Path, ...] = ()
    vae: Path | None = None
    prompts: PromptStyle = PromptStyle()
    scheduler: str | None = None
    spacing: Spacing | None = None
    free_text_encoders: bool = False
    compile: bool = False

    def key(self, found: Found) -> str:
        """The revision of a model with these options: its own, and a digest of what changes its pictures.

        NotFoundError if one of the files is not there.
        """
        told = [f"{weights_key(_there(file, 'LoRA'))}:{weight:g}" for file, weight in self.loras]
        told += [weights_key(_there(file, "embedding")) for file in self.embeddings]
        told += [f"vae {files_key(_there(self.vae, 'VAE'))}"] if self.vae else []
        told += [str(self.prompts)] if self.prompts != PromptStyle() else []
        if not told:
            return found.revision
        return f"{found.revision}+{hashlib.sha256(repr(told).encode()).hexdigest()[:8]}"


def _there(path: Path, what: str) -> Path:
    if not path.exists():
        raise NotFoundError(f"there is no {what} {path}", why="no such file", hint="check the path")
    return path


def files_key(path: Path) -> str:
    """The digest of a part of a model by itself: all files of its folder, or a file."""
    files = [path] if path.is_file() else sorted(file for file in path.rglob("*") if file.is_file())
    return hashlib.sha256("".join(weights_key(file) for file in files).encode()).hexdigest()[:16]
