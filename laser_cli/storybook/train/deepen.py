"""A VAE with one level more than another: its outer levels are the other's, its inner ones learn the other's features.

The inner levels alone work on maps of 1/8 of the picture's side, so they learn at a small part of the whole's cost.
"""

from __future__ import annotations

import torch
from diffusers import AutoencoderKL
from torch import Tensor, nn


@torch.no_grad()
def copy_outer(shallow: AutoencoderKL, deep: AutoencoderKL) -> None:
    """Copy the shallow VAE's levels into the deep one, which has one more inside; ValueError if they differ."""
    widths = tuple(shallow.config.block_out_channels)
    if tuple(deep.config.block_out_channels) != (*widths, widths[-1]):
        raise ValueError(f"levels of {deep.config.block_out_channels} cannot begin with levels of {widths}")
    n = len(widths)
    pairs: list[tuple[nn.Module, nn.Module]] = [
        (shallow.encoder.conv_in, deep.encoder.conv_in),
        (shallow.decoder.conv_norm_out, deep.decoder.conv_norm_out),
        (shallow.decoder.conv_out, deep.decoder.conv_out),
        *((shallow.encoder.down_blocks[i].resnets, deep.encoder.down_blocks[i].resnets) for i in range(n)),
        *(
            (shallow.encoder.down_blocks[i].downsamplers, deep.encoder.down_blocks[i].downsamplers)
            for i in range(n - 1)
        ),
        *((shallow.decoder.up_blocks[i], deep.decoder.up_blocks[i + 1]) for i in range(n)),
    ]
    for old, new in pairs:
        new.load_state_dict(old.state_dict())


class Inner(nn.Module):
    """The inner levels of a deep VAE as an autoencoder of the shallow one's feature maps; it shares their weights."""

    def __init__(self, deep: AutoencoderKL) -> None:
        super().__init__()
        encoder, decoder = deep.encoder, deep.decoder
        self.down = nn.Sequential(encoder.down_blocks[-2].downsamplers[0], encoder.down_blocks[-1])
        self.squeeze = nn.Sequential(encoder.mid_block, encoder.conv_norm_out, encoder.conv_act, encoder.conv_out)
        self.quant, self.post = deep.quant_conv, deep.post_quant_conv
        self.up = nn.Sequential(decoder.conv_in, decoder.mid_block, decoder.up_blocks[0])

    def encode(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log variance of the latents of encoder features [n, c, h, w], each [n, latent, h / 2, w / 2]."""
        mean, logvar = self.quant(self.squeeze(self.down(features))).chunk(2, dim=1)
        return mean, logvar.clamp(-30, 20)

    def decode(self, latents: Tensor) -> Tensor:
        """What the shallow decoder's outer levels read, [n, c, h, w]."""
        features: Tensor = self.up(self.post(latents))
        return features


@torch.no_grad()
def features(shallow: AutoencoderKL, pictures: Tensor) -> tuple[Tensor, Tensor]:
    """What a frozen VAE's outer encoder levels give and what its outer decoder levels get, for pictures in -1..1."""
    encoder, decoder = shallow.encoder, shallow.decoder
    x = encoder.conv_in(pictures)
    for block in encoder.down_blocks:
        x = block(x)
    moments = shallow.quant_conv(encoder.conv_out(encoder.conv_act(encoder.conv_norm_out(encoder.mid_block(x)))))
    latents = moments.chunk(2, dim=1)[0]
    return x, decoder.mid_block(decoder.conv_in(shallow.post_quant_conv(latents)))
