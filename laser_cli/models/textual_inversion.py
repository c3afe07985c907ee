"""Textual inversion: words that a model learned afterwards, as embeddings in a file (Gal et al., arXiv 2208.01618)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

from torch import Tensor

from laser_cli.errors import NotFoundError
from laser_cli.models.parts import Parts, quiet

HINT = "--embedding FILE with a .safetensors, .pt or .bin of an embedding for this kind of model"


def add_embeddings(parts: Parts, files: Sequence[Path]) -> list[str]:
    """Teaches a model the words in files; returns the words, in order, to be used in prompts.

    A word is called what the file says it is, else as the file is named. NotFoundError if a file is not there, damaged,
    or of another width.
    """
    words = []
    for file in files:
        word, vectors = _read(file)
        pipeline = parts.pipeline()
        for part, encoder in (("tokenizer", parts.text_encoder), ("tokenizer_2", parts.text_encoder_2)):
            if encoder is None:
                continue
            vector = _of_width(vectors, int(encoder.config.hidden_size))
            if vector is None:
                told = ", ".join(sorted({str(value.shape[-1]) for value in vectors}))
                why = f"its vectors have {told} numbers, the {part.replace('tokenizer', 'text encoder')} takes"
                raise NotFoundError(
                    f"the embedding {file} does not fit this {parts.family} model",
                    why=f"{why} {encoder.config.hidden_size}",
                    hint=HINT,
                )
            try:
                with quiet():
                    pipeline.load_textual_inversion(
                        {word: vector}, token=word, tokenizer=getattr(parts, part), text_encoder=encoder
                    )
            except ValueError as error:
                why = str(error).splitlines()[0]
                raise NotFoundError(f"cannot use the embedding {file}", why=why, hint="rename the file") from error
        words.append(word)
    return words


def spelled_out(prompt: str, tokenizer: Any) -> str:
    """A prompt with each word of several vectors followed by its further vectors, as the library writes them."""
    from diffusers.loaders import TextualInversionLoaderMixin

    return str(TextualInversionLoaderMixin().maybe_convert_prompt(prompt, tokenizer))


def _of_width(vectors: Sequence[Tensor], width: int) -> Tensor | None:
    return next((vector for vector in vectors if vector.shape[-1] == width), None)


def _read(file: Path) -> tuple[str, list[Tensor]]:
    """A word and its vectors [n, d], one for each text encoder; in the library's, A1111's or SDXL's format."""
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    if not file.is_file():
        raise NotFoundError(f"there is no embedding {file}", why="no such file", hint=HINT)
    try:
        if file.suffix == ".safetensors":
            told: Any = load_file(file)
        else:
            told = torch.load(file, map_location="cpu", weights_only=True)
    except (OSError, SafetensorError, UnpicklingError, RuntimeError, EOFError, ValueError) as error:
        why = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise NotFoundError(f"{file} is not a whole embedding", why=why, hint=HINT) from error
    word, found = file.stem, told
    if isinstance(told, dict) and "string_to_param" in told:
        found = {"*": told["string_to_param"]["*"]}
    elif isinstance(told, dict) and len(told) == 1 and (key := next(iter(told))) != "emb_params":
        word = str(key)
    vectors = [value for value in found.values() if isinstance(value, Tensor)] if isinstance(found, dict) else []
    if not vectors or len(vectors) > 2 or any(value.dim() not in (1, 2) for value in vectors):
        raise NotFoundError(f"{file} is not an embedding", why="its tensors are not those of one word", hint=HINT)
    if not all(torch.isfinite(value).all() for value in vectors):
        raise NotFoundError(f"the embedding {file} is damaged", why="it has NaN", hint="copy it again")
    return word, [value.detach().float().reshape(-1, value.shape[-1]) for value in vectors]
