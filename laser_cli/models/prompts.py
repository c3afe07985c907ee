"""Prompts as a text encoder reads them: weights on words, and chunks of 75 tokens where one is not enough."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from laser_cli.models.options import PromptStyle
from laser_cli.models.textual_inversion import spelled_out

STRESS = 1.1
"""What a pair of parentheses multiplies the weight by; one of brackets divides by it."""


class Fragment(NamedTuple):
    """A piece of a prompt and its weight."""

    text: str
    weight: float = 1.0


class Tokens(NamedTuple):
    """Of n prompts: token numbers [n, chunks, l], their weights, and how many tokens of each prompt were left out."""

    ids: Tensor
    weights: Tensor
    left_out: tuple[int, ...]


_PIECES = re.compile(r"\\[()\[\]\\]|[()\[\]]|:\s*[+-]?\d*\.?\d+\s*\)|[^\\()\[\]:]+|[:\\]")


def parse_weights(prompt: str) -> list[Fragment]:
    """A prompt in pieces with their weights: ``(a:1.3)``, ``(a)`` = 1.1, ``[a]`` = 1/1.1; ``\\(`` is a parenthesis.

    Pairs nest and multiply. One that does not close is read as if it closed at the end.
    """
    found: list[list[Any]] = []
    round_ones: list[int] = []
    square_ones: list[int] = []

    def multiply(start: int, by: float) -> None:
        for piece in found[start:]:
            piece[1] *= by

    for piece in _PIECES.findall(prompt):
        if piece.startswith("\\") and len(piece) == 2:
            found.append([piece[1], 1.0])
        elif piece == "(":
            round_ones.append(len(found))
        elif piece == "[":
            square_ones.append(len(found))
        elif piece.startswith(":") and piece.endswith(")") and round_ones:
            multiply(round_ones.pop(), float(piece[1:-1]))
        elif piece == ")" and round_ones:
            multiply(round_ones.pop(), STRESS)
        elif piece == "]" and square_ones:
            multiply(square_ones.pop(), 1 / STRESS)
        else:
            found.append([piece, 1.0])
    for start in round_ones:
        multiply(start, STRESS)
    for start in square_ones:
        multiply(start, 1 / STRESS)
    merged: list[Fragment] = []
    for text, weight in found:
        if merged and merged[-1].weight == weight:
            merged[-1] = Fragment(merged[-1].text + text, weight)
        else:
            merged.append(Fragment(text, weight))
    return merged or [Fragment("")]


def tokenize(prompts: Sequence[str], tokenizer: Any, style: PromptStyle) -> Tokens:
    """The tokens of prompts in chunks, each between the tokenizer's marks and filled up to its length."""
    ids, weights, left_out = [], [], []
    for prompt in prompts:
        fragments = parse_weights(prompt) if style.weighted else [Fragment(prompt)]
        words: list[int] = []
        stress: list[float] = []
        for fragment in fragments:
            text = spelled_out(fragment.text, tokenizer)
            told = tokenizer(text, add_special_tokens=False, truncation=False, verbose=False).input_ids
            words += told
            stress += [fragment.weight] * len(told)
        room = tokenizer.model_max_length - 2
        left_out.append(max(0, len(words) - room * style.chunks))
        rows = [_chunk(words[k * room : (k + 1) * room], tokenizer, room) for k in range(style.chunks)]
        marks = [stress[k * room : (k + 1) * room] for k in range(style.chunks)]
        ids.append(rows)
        weights.append([[1.0, *kept, *[1.0] * (room + 1 - len(kept))] for kept in marks])
    return Tokens(torch.tensor(ids), torch.tensor(weights), tuple(left_out))


def _chunk(words: Sequence[int], tokenizer: Any, room: int) -> list[int]:
    padding = [tokenizer.pad_token_id] * (room - len(words))
    return [tokenizer.bos_token_id, *words, tokenizer.eos_token_id, *padding]


def encode(tokens: Tokens, read: Callable[[Tensor], tuple[Tensor, Tensor | None]]) -> tuple[Tensor, Tensor | None]:
    """Embeddings [n, chunks l, d], weighted, and the pooled ones [n, p] of the first chunk.

    ``read`` is the text encoder: token numbers [b, l] to embeddings [b, l, d] and pooled ones. A weight multiplies its
    token's embedding; then a prompt's embeddings are scaled so that their mean stays what it was.
    """
    n, chunks, length = tokens.ids.shape
    embeds, pooled = read(tokens.ids.view(n * chunks, length))
    embeds = embeds.float().view(n, chunks * length, -1)
    weights = tokens.weights.view(n, chunks * length, 1).to(embeds)
    if (weights != 1).any():
        before = embeds.mean(dim=(1, 2), keepdim=True)
        stressed = embeds * weights
        rescaled = stressed * (before / stressed.mean(dim=(1, 2), keepdim=True))
        embeds = torch.where((weights != 1).any(dim=1, keepdim=True), rescaled, embeds)
    return embeds, None if pooled is None else pooled.float().view(n, chunks, -1)[:, 0]
