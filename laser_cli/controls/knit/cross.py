"""Spatial knitting cross attention: a pose map's rows, then its columns, read the tokens of an expression."""

from __future__ import annotations

import torch.nn.functional as F
from diffusers.models.attention import FeedForward
from diffusers.models.embeddings import SinusoidalPositionalEmbedding
from torch import Tensor, nn

from laser_cli.controls.knit.embeddings import (
    add_positions,
    attention,
    columns,
    from_columns,
    from_rows,
    rows,
    zero_conv,
)


class DownBlock(nn.Module):
    """A residual block that halves a map [n, c, h, w], with instance norms without weights."""

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, channels_out, 3, 2, 1, bias=False)
        self.conv2 = nn.Conv2d(channels_out, channels_out, 3, 1, 1, bias=False)
        shortcut = nn.Conv2d(channels_in, channels_out, 1, 2, bias=False)
        self.downsample = nn.Sequential(shortcut, nn.InstanceNorm2d(channels_out), nn.SiLU())

    def forward(self, x: Tensor) -> Tensor:
        """The map at half its size (rounded up)."""
        out = F.relu(F.instance_norm(self.conv1(x)))
        out = F.instance_norm(self.conv2(out))
        return F.relu(out + self.downsample(x))


class SKCross(nn.Module):
    """v1 to v3: a map [n, c, h, w] at half its size, after its rows and columns read tokens [n, k, context]."""

    def __init__(self, channels_in: int, channels_out: int, context: int, max_tokens: int = 1024) -> None:
        super().__init__()
        self.conv = DownBlock(channels_in, channels_out)
        self.pos_embed = SinusoidalPositionalEmbedding(channels_out, 64)
        self.pos_embed_hidden = SinusoidalPositionalEmbedding(context, max_tokens)
        self.norm1, self.norm2 = nn.LayerNorm(channels_out), nn.LayerNorm(channels_out)
        self.attn1, self.attn2 = attention(channels_out, context), attention(channels_out, context)
        self.ff = FeedForward(channels_out, mult=2, activation_fn="geglu")
        self.proj = zero_conv(channels_out, channels_out)

    def forward(self, x: Tensor, tokens: Tensor) -> Tensor:
        """The map that control adds to the U-Net's, and that the next block starts from."""
        x, tokens, n = self.conv(x), self.pos_embed_hidden(tokens), len(x)
        height, width = x.shape[2:]
        # no residuals: each pass replaces what it reads from
        x = self.attn1(self.norm1(self.pos_embed(rows(x))), tokens.repeat_interleave(height, 0))
        x = columns(from_rows(x, n))
        x = self.ff(self.attn2(self.norm2(self.pos_embed(x)), tokens.repeat_interleave(width, 0)))
        return self.proj(from_columns(x, n))


class STKCross(nn.Module):
    """v4 and v5: the same without halving, with one norm in three places and a convolution on either side."""

    def __init__(self, channels: int, context: int, *, stored_positions: bool) -> None:
        super().__init__()
        self.conv_in = nn.Conv2d(channels, channels, 3, padding=1)
        if stored_positions:
            self.pos_embed = SinusoidalPositionalEmbedding(channels, 512)
            self.pos_embed_hidden = SinusoidalPositionalEmbedding(context, 1024)
        self.norm = nn.LayerNorm(channels)
        self.attn1, self.attn2 = attention(channels, context), attention(channels, context)
        self.ff = FeedForward(channels, mult=16, activation_fn="geglu")
        self.proj = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor, tokens: Tensor) -> Tensor:
        """The map [n, c, h, w] after its rows and columns read tokens [n, k, context]."""
        stored = hasattr(self, "pos_embed")
        place = self.pos_embed if stored else add_positions
        tokens = self.pos_embed_hidden(tokens) if stored else add_positions(tokens)
        x, n = self.conv_in(x), len(x)
        height, width = x.shape[2:]
        x = self.attn1(self.norm(place(rows(x))), tokens.repeat_interleave(height, 0))
        x = columns(from_rows(x, n))
        x = self.attn2(self.norm(place(x)), tokens.repeat_interleave(width, 0))
        return self.proj(from_columns(self.norm(self.ff(x)), n))
