"""Positions and numbers as sinusoids, and the views of a feature map that knitting attends over."""

from __future__ import annotations

import torch
from diffusers.models.attention_processor import Attention
from diffusers.models.embeddings import get_timestep_embedding
from torch import Tensor, nn

HEADS = 8
"""Attention heads of every published net."""


def attention(channels: int, context: int | None = None, heads: int = HEADS) -> Attention:
    """The library's attention over `channels`, to itself or to tokens of width `context`; no bias in q, k, v."""
    return Attention(channels, cross_attention_dim=context, heads=heads, dim_head=channels // heads)


def zero_conv(channels_in: int, channels_out: int) -> nn.Conv2d:
    """A 3x3 convolution that starts at zero, so that an untrained module changes nothing."""
    conv = nn.Conv2d(channels_in, channels_out, 3, padding=1)
    nn.init.zeros_(conv.weight)
    nn.init.zeros_(conv.bias)  # type: ignore[arg-type]
    return conv


def add_positions(tokens: Tensor) -> Tensor:
    """Tokens [n, length, c] plus positions: sines in the first half of the channels, cosines in the second (v5)."""
    positions = torch.arange(tokens.shape[1], device=tokens.device)
    table = get_timestep_embedding(positions, tokens.shape[2], flip_sin_to_cos=False, downscale_freq_shift=0)
    return tokens + table.to(tokens.dtype)


def embed_numbers(numbers: Tensor, width: int) -> Tensor:
    """Sinusoidal tokens [n, k, width] (float32) of numbers [n, k]: cosines in the first half, sines in the second."""
    # float32 throughout: scaled coefficients reach 500, where float16 has steps of 0.25
    flat = get_timestep_embedding(numbers.float().flatten(), width, flip_sin_to_cos=True, downscale_freq_shift=0)
    return flat.unflatten(0, numbers.shape)


def rows(x: Tensor) -> Tensor:
    """A map [n, c, h, w] as its rows [(n h), w, c]."""
    return x.permute(0, 2, 3, 1).flatten(0, 1)


def columns(x: Tensor) -> Tensor:
    """A map [n, c, h, w] as its columns [(n w), h, c]."""
    return x.permute(0, 3, 2, 1).flatten(0, 1)


def from_rows(tokens: Tensor, n: int) -> Tensor:
    """Rows [(n h), w, c] as the map [n, c, h, w]."""
    return tokens.unflatten(0, (n, -1)).permute(0, 3, 1, 2)


def from_columns(tokens: Tensor, n: int) -> Tensor:
    """Columns [(n w), h, c] as the map [n, c, h, w]."""
    return tokens.unflatten(0, (n, -1)).permute(0, 3, 2, 1)


def expand(x: Tensor, n: int) -> Tensor:
    """Rows [b, ...] repeated one after the other to [n, ...]: each of the b for its n / b frames."""
    if n % x.shape[0]:
        raise ValueError(f"{n} rows cannot share {x.shape[0]} references evenly")
    return x.repeat_interleave(n // x.shape[0], 0)
