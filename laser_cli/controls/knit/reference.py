"""Reference adapters: feature maps read a reference portrait's, first by rows, then by columns (arXiv 2410.22901)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from diffusers.models.embeddings import SinusoidalPositionalEmbedding
from torch import Tensor, nn

from laser_cli.controls.knit.embeddings import (
    HEADS,
    add_positions,
    attention,
    columns,
    expand,
    from_columns,
    from_rows,
    rows,
    zero_conv,
)

MAX_LENGTH = 128
"""Positions that v1 to v4 know: a side of the target and one of the reference, 64 latent pixels each."""
DOWN_CHANNELS, MID_CHANNELS, UP_CHANNELS = (320, 640, 1280, 1280), 1280, (1280, 1280, 1280, 640)
"""Channels at the insertion points of SD 1.5: outputs of the down blocks and the mid block, inputs of the up blocks."""


class SKReference(nn.Module):
    """Spatial knitting attention to a reference (v1 to v4): `forward(hidden, prepare(reference))`.

    Hidden [n, c, h, w] and reference [b, c, h, w], b a divisor of n; h and w at most 64.
    """

    def __init__(self, channels: int, heads: int = HEADS) -> None:
        super().__init__()
        self.pos_embed = SinusoidalPositionalEmbedding(channels, MAX_LENGTH)
        self._build(channels, heads)

    def _build(self, channels: int, heads: int) -> None:
        self.attn1, self.attn2 = attention(channels, heads=heads), attention(channels, heads=heads)
        self.norm = nn.LayerNorm(channels)
        self.proj = zero_conv(channels, channels)

    def positions(self, tokens: Tensor) -> Tensor:
        """Tokens [n, length, c] with positions added."""
        return self.pos_embed(tokens)

    def prepare(self, reference: Tensor) -> Tensor:
        """What `forward` reads of a reference map; the same at every step."""
        return reference

    def forward(self, hidden: Tensor, reference: Tensor) -> Tensor:
        """The hidden map plus what it reads of the reference."""
        reference, n = expand(reference, len(hidden)), len(hidden)
        read = self._read(self.attn1, torch.cat([rows(hidden), rows(reference)], 1), hidden.shape[3])
        read = torch.cat([columns(from_rows(read, n)), columns(reference)], 1)
        return hidden + self.proj(from_columns(self._read(self.attn2, read, hidden.shape[2]), n))

    def _read(self, attn: nn.Module, tokens: Tensor, length: int) -> Tensor:
        tokens = self.norm(self.positions(tokens))
        # only the target's queries: the reference's own outputs would be dropped
        return attn(tokens[:, :length], tokens)


class SKReferenceV5(SKReference):
    """v5's: positions of any length; its file holds a time embedding that the published code never uses."""

    def __init__(self, channels: int, heads: int = HEADS, time_channels: int = 1280) -> None:
        nn.Module.__init__(self)
        self.time_emb_proj = nn.Linear(time_channels, channels)
        self._build(channels, heads)

    def positions(self, tokens: Tensor) -> Tensor:
        """Tokens [n, length, c] with positions added."""
        return add_positions(tokens)


class STKAttention(nn.Module):
    """A map attends to itself, and to a reference beside it, by rows and by columns: [n, c, h, w] in and out."""

    def __init__(self, channels: int, heads: int = HEADS, mid: int | None = None) -> None:
        super().__init__()
        mid = mid or channels
        self.conv_in = nn.Conv2d(channels, mid, 3, padding=1)
        self.attnx, self.attny = attention(mid, heads=heads), attention(mid, heads=heads)
        self.norm = nn.LayerNorm(mid)
        self.proj = zero_conv(mid, channels)

    def forward(self, x: Tensor, reference: Tensor | None = None, residual: bool = True) -> Tensor:
        """The map after both passes; `reference` [n, c, h, w], `residual` adds the map itself."""
        inner, n = self.conv_in(x), len(x)
        beside = None if reference is None else self.conv_in(reference)
        read = from_rows(self._read(self.attnx, rows(inner), None if beside is None else rows(beside)), n)
        read = from_columns(self._read(self.attny, columns(read), None if beside is None else columns(beside)), n)
        out = self.proj(read)
        return out + x if residual else out

    def _read(self, attn: nn.Module, tokens: Tensor, beside: Tensor | None) -> Tensor:
        both = tokens if beside is None else torch.cat([tokens, beside], 1)
        both = self.norm(add_positions(both))
        return attn(both[:, : tokens.shape[1]], both)


class STKReference(nn.Module):
    """The reference module of v5b and v5c: `attn_ref` prepares the reference, `attn` reads it."""

    def __init__(self, channels: int, heads: int = HEADS) -> None:
        super().__init__()
        self.attn_ref, self.attn = STKAttention(channels, heads), STKAttention(channels, heads)

    def prepare(self, reference: Tensor) -> Tensor:
        """What `forward` reads of a reference map; the same at every step."""
        return self.attn_ref(reference, residual=False)

    def forward(self, hidden: Tensor, reference: Tensor) -> Tensor:
        """The hidden map [n, c, h, w] plus what it reads of a prepared reference [b, c, h, w]."""
        return self.attn(hidden, expand(reference, len(hidden)))


class ReferenceAdapter(nn.Module):
    """The reference modules of a version by insertion point, under the published names.

    `first_up` is the up block that `reference_modules_up.0` belongs to: 1 in v1 and v2, 0 later. `down` may hold more
    modules than there are cached points: v1's file has an unused fourth.
    """

    def __init__(
        self,
        module: Callable[[int, int], nn.Module],
        *,
        down: Sequence[int] = (),
        mid: int | None = None,
        up: Sequence[int] = UP_CHANNELS,
        first_up: int = 0,
        heads: int = HEADS,
    ) -> None:
        super().__init__()
        self.first_up = first_up
        self.channels = {f"down_{i}": c for i, c in enumerate(down[:3])} | ({"mid": mid} if mid else {})
        self.channels |= {f"up_{first_up + i}": c for i, c in enumerate(up)}
        if down:
            self.reference_modules_down = nn.ModuleList(module(channels, heads) for channels in down)
        if mid:
            self.reference_modules_mid = module(mid, heads)
        self.reference_modules_up = nn.ModuleList(module(channels, heads) for channels in up)

    @property
    def points(self) -> dict[str, nn.Module]:
        """The modules by the name of their insertion point."""
        found: dict[str, nn.Module] = {}
        if hasattr(self, "reference_modules_down"):
            # the fourth is never used: v1 caches nothing after the last down block
            found |= {f"down_{i}": module for i, module in enumerate(self.reference_modules_down) if i < 3}
        if hasattr(self, "reference_modules_mid"):
            found["mid"] = self.reference_modules_mid
        return found | {f"up_{self.first_up + i}": module for i, module in enumerate(self.reference_modules_up)}

    def prepare(self, features: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """What the modules read of a reference's cached maps, by point; once per reference."""
        return {point: module.prepare(features[point]) for point, module in self.points.items()}  # type: ignore[operator]


def reference_v1() -> ReferenceAdapter:
    """`HMReferenceAdapter`, version v1."""
    return ReferenceAdapter(SKReference, down=DOWN_CHANNELS, mid=MID_CHANNELS, up=UP_CHANNELS[1:], first_up=1)


def reference_v2() -> ReferenceAdapter:
    """`HMReferenceAdapter`, version v2: up blocks 1 to 3 only."""
    return ReferenceAdapter(SKReference, up=UP_CHANNELS[1:], first_up=1)


def reference_v3() -> ReferenceAdapter:
    """`HM3ReferenceAdapter`, of v3 and v4."""
    return ReferenceAdapter(SKReference)


def reference_v5() -> ReferenceAdapter:
    """`HM5ReferenceAdapter`."""
    return ReferenceAdapter(SKReferenceV5)


def reference_v5b() -> ReferenceAdapter:
    """`HM5bReferenceAdapter`, of v5b and v5c."""
    return ReferenceAdapter(STKReference)
