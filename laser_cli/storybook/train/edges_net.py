"""The net that outlines lead a pipeline by, and the frozen pipeline under it."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL, ControlNetModel, DDIMScheduler, UNet2DConditionModel
from diffusers.models.attention_processor import AttnProcessor, AttnProcessor2_0
from torch import Tensor, nn
from transformers import CLIPTextModel, CLIPTokenizer

from laser_cli.errors import NotFoundError
from laser_cli.storybook.look import Look, look_of
from laser_cli.storybook.outlines import edges
from laser_cli.storybook.train.cache import AT_ONCE, CAPTIONS, Rows, tokens
from laser_cli.storybook.train.common import drawn, mixed
from laser_cli.storybook.words import Voice
from laser_cli.storybook.world import caption_of, items

PUPPETS = 0.3
"""The share of puppets."""
READ_AT = 16
"""The side of the feature maps at which the net has its one pair of attentions; finer ones cost more than they give."""
EMBEDDING = (8, 16, 32, 64, 96)
"""Channels of the condition on its way to the latents' size, which halves it once between each two."""
GUIDANCE = 3.0
"""Of the pictures on sheets."""


@dataclass(frozen=True)
class Base:
    """The frozen pipeline that the net leads, and what it says of pictures: their size and look."""

    unet: UNet2DConditionModel
    vae: AutoencoderKL
    text: CLIPTextModel
    tokenizer: CLIPTokenizer
    schedule: DDIMScheduler
    look: Look
    device: str

    @torch.no_grad()
    def rows(self, serial: int, seed: int) -> Rows:
        """The next AT_ONCE items: latents, masks at their size, outlines [n, 1, s, s] and token ids of captions."""
        rng = random.Random(f"edges {seed} {serial}")
        new = list(islice(items(seed * 2**32 + serial + 2**31, PUPPETS, self.look), AT_ONCE))
        pictures, masks = drawn(new, self.look, self.device)
        voice = Voice(rng, omit=0.04)
        said = [
            caption_of(item) if rng.random() < 0.4 else caption_of(item, voice) for item in new for _ in range(CAPTIONS)
        ]
        z = self.encode(pictures)
        return {
            "latents": z.half(),
            "masks": (nn.functional.interpolate(masks, z.shape[-2:], mode="area") * 255).round().byte(),
            "outlines": edges(masks).byte(),
            "ids": tokens(self.tokenizer, said).short().unflatten(0, (-1, CAPTIONS)),
        }

    @torch.no_grad()
    def encode(self, pictures: Tensor) -> Tensor:
        """Scaled latents of pictures."""
        config = self.vae.config
        with mixed(self.device):
            z = torch.cat([self.vae.encode(part * 2 - 1).latent_dist.mean for part in pictures.split(16)]).float()
        return (z - (getattr(config, "shift_factor", None) or 0.0)) * config.scaling_factor

    @torch.no_grad()
    def read(self, ids: Tensor) -> Tensor:
        """The text encoder's last states [n, 77, d] of token ids."""
        states: Tensor = self.text(ids.long().to(self.device)).last_hidden_state.float()
        return states

    @property
    def made_with(self) -> str:
        """What cached items depend on: another VAE, vocabulary or look begins the cache anew."""
        weights = [float(p.double().abs().sum()) for p in self.vae.parameters()]
        return json.dumps([weights[:: max(1, len(weights) // 16)], len(self.tokenizer), repr(self.look)])


def load_base(folder: Path, device: str) -> Base:
    """The pipeline in a folder; NotFoundError if it is not there."""
    if not (folder / "unet" / "config.json").is_file():
        hint = "python -m laser_cli.storybook.train unet, or --start FOLDER of a pipeline"
        raise NotFoundError("no U-Net is there to be led", why=f"{folder} is not a pipeline's folder", hint=hint)
    unet = UNet2DConditionModel.from_pretrained(folder / "unet").float()
    vae = AutoencoderKL.from_pretrained(folder / "vae").float()
    text = CLIPTextModel.from_pretrained(folder / "text_encoder").float()
    for part in (unet, vae, text):
        part.requires_grad_(False).eval().to(device)
    # on the CPU the backward pass of the plain attention is faster than the fused one's
    unet.set_attn_processor(AttnProcessor2_0() if torch.device(device).type == "cuda" else AttnProcessor())
    schedule = DDIMScheduler.from_pretrained(folder / "scheduler")
    look = look_of(int(unet.config.sample_size) * 2 ** (len(vae.config.block_out_channels) - 1))
    return Base(unet, vae, text, CLIPTokenizer.from_pretrained(folder / "tokenizer"), schedule, look, device)


def net_config(unet: Mapping[str, Any], halvings: int) -> dict[str, Any]:
    """A ControlNet's configuration for a U-Net's: residual blocks alone but for attentions at READ_AT, a short middle.

    ``halvings``: how often the VAE halves pictures.
    """
    levels = len(unet["block_out_channels"])
    at = min(levels - 1, max(0, round(math.log2(int(unet["sample_size"]) / READ_AT))))
    shared = ("in_channels", "block_out_channels", "layers_per_block", "cross_attention_dim", "attention_head_dim")
    return {
        **{name: unet[name] for name in (*shared, "norm_num_groups")},
        "down_block_types": tuple("CrossAttnDownBlock2D" if i == at else "DownBlock2D" for i in range(levels)),
        "mid_block_type": "UNetMidBlock2D",
        "conditioning_embedding_out_channels": EMBEDDING[: halvings + 1],
    }


def new_net(base: Base) -> ControlNetModel:
    """A net whose blocks begin as the U-Net's, as far as it has them; what it adds begins as nothing."""
    halvings = len(base.vae.config.block_out_channels) - 1
    net = ControlNetModel(**net_config(base.unet.config, halvings))
    own = net.state_dict()
    known = {k: v for k, v in base.unet.state_dict().items() if k in own and own[k].shape == v.shape}
    net.load_state_dict(known, strict=False)
    on_gpu = torch.device(base.device).type == "cuda"
    net.set_attn_processor(AttnProcessor2_0() if on_gpu else AttnProcessor())
    return net.to(base.device)


def predict(base: Base, net: ControlNetModel | None, x: Tensor, t: Tensor, states: Tensor, shown: Tensor) -> Tensor:
    """The U-Net's output, led by the net if there is one; ``shown`` are outlines [n, 1, s, s]."""
    led: dict[str, Any] = {}
    if net is not None:
        condition = shown.to(x).expand(-1, 3, -1, -1)
        down, mid = net(x, t, encoder_hidden_states=states, controlnet_cond=condition, return_dict=False)
        led = {"down_block_additional_residuals": down, "mid_block_additional_residual": mid}
    out: Tensor = base.unet(x, t, states, **led).sample
    return out


@torch.no_grad()
def generate(
    base: Base, net: ControlNetModel | None, captions: Sequence[str], masks: Tensor, steps: int = 20
) -> Tensor:
    """Pictures [n, 3, s, s] in 0..1 from captions, led by the masks' outlines if there is a net."""
    n, side = len(captions), base.unet.config.sample_size
    x = torch.randn((n, base.unet.config.in_channels, side, side), generator=torch.Generator().manual_seed(0))
    x, shown = x.to(base.device), torch.cat([edges(masks)] * 2)
    states = base.read(tokens(base.tokenizer, [*[""] * n, *captions]))
    base.schedule.set_timesteps(steps)
    for t in base.schedule.timesteps:
        with mixed(base.device):
            v = predict(base, net, torch.cat([x, x]), t, states, shown).float()
        uncond, cond = v.chunk(2)
        x = base.schedule.step(uncond + GUIDANCE * (cond - uncond), t, x).prev_sample
    config = base.vae.config
    z = x / config.scaling_factor + (getattr(config, "shift_factor", None) or 0.0)
    made: Tensor = torch.cat([base.vae.decode(part).sample for part in z.split(4)]) / 2 + 0.5
    return made.clamp(0, 1)
