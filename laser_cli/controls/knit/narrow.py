"""Adapters for U-Nets of any width, in the style of v5: a reference and a control that knit, small enough to ship.

What differs from the published nets: residuals inside, and the reference added in its place, so that a short training
suffices; an expression's 51 numbers become 16 tokens by one MLP; lines of pose maps are antialiased. `plain` puts
ordinary attention over all places instead of rows and columns, with as many weights: what knitting is compared with
(SD_EXP and SK_EXP in arXiv 2410.22901).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise

import torch
import torch.nn.functional as F
from diffusers.models.attention import FeedForward
from diffusers.models.attention_processor import Attention
from diffusers.models.embeddings import TimestepEmbedding, get_timestep_embedding
from torch import Tensor, nn

from laser_cli.controls.knit.cross import DownBlock
from laser_cli.controls.knit.drive import COEFFICIENTS, Drive
from laser_cli.controls.knit.embeddings import (
    add_positions,
    attention,
    columns,
    expand,
    from_columns,
    from_rows,
    rows,
    zero_conv,
)
from laser_cli.controls.knit.load import point_channels
from laser_cli.controls.knit.reference import ReferenceAdapter

HEADS = 4
TOKENS, CONTEXT = 16, 128
"""Tokens of an expression, and their width."""
LOUDNESS = 8.0
"""Factor on the coefficients: an expression changes few places of a map, and would hardly be heard in its tokens."""
WIDTHS = (32, 64, 96)
"""Channels of the control at the latents' size, at half and at a quarter of it."""
FINER = 2
"""Pixels of a pose map for each place of the latents, on a side."""


class NarrowReference(nn.Module):
    """Reads a reference map by rows, then by columns, at half the channels: `forward(hidden, prepare(reference))`.

    Places that look alike read each other from the start; `mark` tells those of the reference from the map's own.
    """

    def __init__(self, channels: int, heads: int = HEADS, plain: bool = False) -> None:
        super().__init__()
        self.plain, mid = plain, channels // 2
        self.conv_in, self.conv_ref = (nn.Conv2d(channels, mid, 3, padding=1) for _ in range(2))
        self.conv_ref.load_state_dict(self.conv_in.state_dict())
        self.mark = nn.Parameter(torch.zeros(mid))
        self.norm1, self.norm2 = nn.LayerNorm(mid), nn.LayerNorm(mid)
        self.attn1, self.attn2 = (_alike(attention(mid, heads=heads)) for _ in range(2))
        self.proj = zero_conv(mid, channels)

    def prepare(self, reference: Tensor) -> Tensor:
        """What `forward` reads of a reference map; the same at every step."""
        return self.conv_ref(reference)

    def forward(self, hidden: Tensor, reference: Tensor) -> Tensor:
        """The hidden map [n, c, h, w] plus what it reads of a prepared reference [b, c / 2, h, w], b a divisor of n."""
        n, reference = len(hidden), expand(reference, len(hidden))
        # what does not move is found where it is, before any attention has learned to look elsewhere
        x = self.conv_in(hidden) + reference
        if self.plain:
            tokens, beside = x.flatten(2).mT, reference.flatten(2).mT
            tokens = self._read(self.attn1, self.norm1, tokens, beside)
            tokens = self._read(self.attn2, self.norm2, tokens, beside)
            x = tokens.mT.unflatten(2, x.shape[2:])
        else:
            x = from_rows(self._read(self.attn1, self.norm1, rows(x), rows(reference)), n)
            x = from_columns(self._read(self.attn2, self.norm2, columns(x), columns(reference)), n)
        return hidden + self.proj(x)

    def _read(self, attn: nn.Module, norm: nn.Module, tokens: Tensor, beside: Tensor) -> Tensor:
        own = norm(add_positions(tokens))
        return tokens + attn(own, torch.cat([own, norm(add_positions(beside + self.mark))], 1))


class NarrowCross(nn.Module):
    """A map's rows, then its columns, read the tokens of an expression.

    All rows read the same tokens, so that what a row knows is its places' positions: x in the first pass, y in the
    second. `plain`: no positions, as in a U-Net's own cross-attention.
    """

    def __init__(self, channels: int, plain: bool = False) -> None:
        super().__init__()
        self.plain = plain
        self.conv_in = nn.Conv2d(channels, channels, 3, padding=1)
        self.norm1, self.norm2, self.norm3 = (nn.LayerNorm(channels) for _ in range(3))
        self.attn1, self.attn2 = (_sharp(attention(channels, CONTEXT, HEADS)) for _ in range(2))
        self.ff = FeedForward(channels, mult=4, activation_fn="geglu")

    def forward(self, x: Tensor, tokens: Tensor) -> Tensor:
        """The map [n, c, h, w] after it has read tokens [n, k, CONTEXT]."""
        size = x.shape[2:]
        x = self.conv_in(x).flatten(2).mT
        for axis, norm, attn in ((1, self.norm1, self.attn1), (0, self.norm2, self.attn2)):
            # positions stay, so that what follows knows where it is, too
            x = x if self.plain else x + _positions(size, axis, x)
            x = x + attn(norm(x), tokens)
        return (x + self.ff(self.norm3(x))).mT.unflatten(2, size)


def _sharp(attn: Attention, factor: float = 6.0) -> Attention:
    """An attention whose untrained queries tell tokens apart: places differ in what they read from the start."""
    with torch.no_grad():
        attn.to_q.weight.mul_(factor)
    return attn


def _alike(attn: Attention) -> Attention:
    """A self-attention whose untrained queries look for tokens like themselves."""
    with torch.no_grad():
        attn.to_q.weight.copy_(attn.to_k.weight)
    return _sharp(attn, 3.0)


def _positions(size: Sequence[int], axis: int, like: Tensor) -> Tensor:
    """Sinusoids [h * w, c] of every place's row (axis 0) or column (axis 1)."""
    numbers = torch.meshgrid(*(torch.arange(n, device=like.device) for n in size), indexing="ij")[axis].flatten()
    table = get_timestep_embedding(numbers, like.shape[2], flip_sin_to_cos=False, downscale_freq_shift=0)
    return table.to(like.dtype)


class NarrowControl(nn.Module):
    """From a drive to control maps for every insertion point of a U-Net with these `block_out_channels`."""

    def __init__(self, blocks: Sequence[int], widths: Sequence[int] = WIDTHS, plain: bool = False) -> None:
        super().__init__()
        self.levels = len(blocks)
        self.expression = TimestepEmbedding(len(COEFFICIENTS), 2 * CONTEXT, out_dim=TOKENS * CONTEXT)
        self.norm = nn.LayerNorm(CONTEXT)
        self.down_blocks = nn.ModuleList(DownBlock(a, b) for a, b in zip((3, *widths), widths, strict=False))
        self.attn_blocks = nn.ModuleList(NarrowCross(c, plain) for c in widths)
        self.up_blocks = nn.ModuleList(
            nn.Sequential(nn.Conv2d(a, b, 3, padding=1), nn.InstanceNorm2d(b), nn.SiLU())
            for a, b in pairwise(reversed(widths))
        )
        points = {point: c for point, c in point_channels(blocks).items() if point != "mid"}
        self.halvings = {point: _halvings(point, len(blocks)) for point in points}
        self.maps = nn.ModuleDict(
            {point: zero_conv(widths[min(self.halvings[point], len(widths) - 1)], c) for point, c in points.items()}
        )

    def forward(self, drive: Drive) -> dict[str, Tensor]:
        """Control maps [n, c, h, w] by insertion point; `drive.condition` is FINER times as large as the latents."""
        if drive.coefficients is None:
            raise ValueError("these adapters are driven by coefficients")
        dtype = next(self.parameters()).dtype
        tokens = self.expression(LOUDNESS * drive.coefficients.to(dtype)).unflatten(1, (TOKENS, CONTEXT))
        tokens = self.norm(tokens)
        x, skips = drive.condition.to(dtype), []
        size = x.shape[2] // FINER, x.shape[3] // FINER
        for down, attend in zip(self.down_blocks, self.attn_blocks, strict=True):
            x = attend(down(x), tokens)
            skips.append(x)
        features = [skips.pop()]
        for up in self.up_blocks:
            features.insert(0, F.interpolate(up(features[0]), skips[-1].shape[2:], mode="bilinear") + skips.pop())
        sizes = [size]
        for _ in range(self.levels - 1):
            sizes.append((-(-sizes[-1][0] // 2), -(-sizes[-1][1] // 2)))
        out = {}
        for point, net in self.maps.items():
            k = self.halvings[point]
            out[point] = net(F.adaptive_avg_pool2d(features[min(k, len(features) - 1)], sizes[k]))
        return out


def _halvings(point: str, levels: int) -> int:
    """How often the latents' size is halved at a point of a U-Net of so many levels."""
    side, number = point.split("_")
    return min(int(number) + 1, levels - 1) if side == "down" else levels - 1 - int(number)


def narrow_reference(blocks: Sequence[int], plain: bool = False) -> ReferenceAdapter:
    """The reference's modules at the inputs of all up blocks."""
    channels = point_channels(blocks)
    module: Callable[[int, int], nn.Module] = partial(NarrowReference, plain=plain)
    return ReferenceAdapter(module, up=[channels[f"up_{i}"] for i in range(len(blocks))], heads=HEADS)
