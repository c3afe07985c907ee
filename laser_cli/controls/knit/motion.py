"""Motion modules (v3 to v5): what a map of one frame reads of the maps of the frames around it."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from diffusers.models.attention import FeedForward
from diffusers.models.embeddings import SinusoidalPositionalEmbedding
from diffusers.models.unets.unet_motion_model import AnimateDiffTransformer3D
from torch import Tensor, nn

from laser_cli.controls.knit.embeddings import HEADS, attention, zero_conv
from laser_cli.controls.knit.reference import DOWN_CHANNELS, UP_CHANNELS


class SKMotion(nn.Module):
    """v3 and v4: temporal attention over the frames and the pads before and after them."""

    def __init__(self, channels: int, time_channels: int = 1280) -> None:
        super().__init__()
        self.pos_embed_t = SinusoidalPositionalEmbedding(channels, 154)
        self.time_emb_proj = nn.Linear(time_channels, channels)
        self.temp_attn = attention(channels)
        self.norm = nn.LayerNorm(channels)
        self.ff = FeedForward(channels, mult=2, activation_fn="geglu")
        self.proj = zero_conv(channels, channels)

    def forward(self, hidden: Tensor, temb: Tensor, frames: int, pads: Tensor | None = None) -> Tensor:
        """Hidden [(b frames), c, h, w]; `temb` [(b frames), t] is the U-Net's time embedding; `pads` [b, c, 2, h, w].

        Without pads there is nothing to read, and the map is returned as it is.
        """
        if pads is None:
            return hidden
        height, width = hidden.shape[2:]
        batch = hidden.unflatten(0, (-1, frames))
        time = self.time_emb_proj(temb.unflatten(0, (-1, frames))[:, :1])[..., None, None]
        first, last = (pads[:, :, i, None].transpose(1, 2) for i in (0, 1))
        tokens = (torch.cat([first, batch, last], 1) + time).permute(0, 3, 4, 1, 2).flatten(0, 2)
        read = self.ff(self.temp_attn(self.norm(self.pos_embed_t(tokens))))[:, 1:-1]
        read = read.unflatten(0, (-1, height, width)).permute(0, 3, 4, 1, 2).flatten(0, 1)
        return hidden + self.proj(read)


def _temporal_transformer(channels: int) -> AnimateDiffTransformer3D:
    return AnimateDiffTransformer3D(
        num_attention_heads=HEADS,
        attention_head_dim=channels // HEADS,
        in_channels=channels,
        activation_fn="geglu",
        norm_num_groups=32,
        positional_embeddings="sinusoidal",
        num_positional_embeddings=32,
    )


class MotionV5(nn.Module):
    """v5: AnimateDiff's temporal transformer over the frames, after one over the frames and their pads."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.attn1, self.attn_pad = _temporal_transformer(channels), _temporal_transformer(channels)

    def forward(self, hidden: Tensor, temb: Tensor, frames: int, pads: Tensor | None = None) -> Tensor:
        """As `SKMotion.forward`; the time embedding is not used, and without pads only `attn1` runs."""
        if pads is not None:
            batch = hidden.unflatten(0, (-1, frames))
            first, last = (pads[:, :, i, None].transpose(1, 2) for i in (0, 1))
            padded = self.attn_pad(torch.cat([first, batch, last], 1).flatten(0, 1), num_frames=frames + 2)
            # the published sum: `attn_pad` has added its input already
            hidden = padded.unflatten(0, (-1, frames + 2))[:, 1:-1].flatten(0, 1) + hidden
        return self.attn1(hidden, num_frames=frames)


class MotionAdapter(nn.Module):
    """`HM3MotionAdapter` and `HM5MotionAdapter`: a module at each of the eight points."""

    def __init__(
        self, module: type[nn.Module], down: Sequence[int] = DOWN_CHANNELS, up: Sequence[int] = UP_CHANNELS
    ) -> None:
        super().__init__()
        self.motion_down = nn.ModuleList(module(channels) for channels in down)
        self.motion_up = nn.ModuleList(module(channels) for channels in up)

    @property
    def points(self) -> dict[str, nn.Module]:
        """The modules by the name of their insertion point."""
        down = {f"down_{i}": module for i, module in enumerate(self.motion_down)}
        return down | {f"up_{i}": module for i, module in enumerate(self.motion_up)}
