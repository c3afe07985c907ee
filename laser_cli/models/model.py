"""A text-to-image model in parts: its backbone, its autoencoder, its text encoders."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from laser_cli.engine.find import STORYBOOK
from laser_cli.engine.schedule import Schedule
from laser_cli.engine.workers import Workers
from laser_cli.models.conditioning import Conditioning
from laser_cli.models.unet import UNetBackbone


@dataclass(frozen=True)
class SecondEncoder:
    """SDXL's second text encoder; with ``blank`` an empty prompt is all zeros, as the checkpoint was trained."""

    encoder: Any
    tokenizer: Any
    blank: bool = True

    @property
    def width(self) -> int:
        """Numbers of the pooled embedding."""
        return int(self.encoder.config.projection_dim)


@dataclass
class Model:
    """A text-to-image model; ``workers`` share the rows of a call where it runs on a CPU."""

    name: str
    revision: str
    backbone: UNetBackbone
    vae: Any
    text_encoder: Any
    tokenizer: Any
    schedule: Schedule
    device: torch.device
    dtype: torch.dtype
    offload: bool = False
    second: SecondEncoder | None = None
    unseen: Tensor | None = None
    """Of a model that takes image prompts (models.adapter): the tokens [1, m, d] of no picture."""
    workers: Workers = field(default_factory=Workers)

    @property
    def unet(self) -> Any:
        """The library's U-Net."""
        return self.backbone.unet

    @property
    def nfe(self) -> int:
        """Function evaluations of the backbone so far, counted in rows."""
        return self.backbone.nfe

    @property
    def scale(self) -> int:
        """Pixels a latent stands for, on a side."""
        return int(self.backbone.scale)

    @property
    def multiple(self) -> int:
        """Picture sides are multiples of this: the U-Net halves the latents at every level but the last."""
        return self.scale * 2 ** (len(self.unet.config.block_out_channels) - 1)

    @property
    def size(self) -> int:
        """The side of the pictures the model was trained on."""
        return int(self.unet.config.sample_size) * self.scale

    @torch.no_grad()
    def encode_prompts(self, prompts: Sequence[str]) -> Conditioning:
        """The conditioning of n prompts, float32; what goes past the tokenizer's length is cut (see ``cut_off``)."""
        image = None if self.unseen is None else self.unseen.expand(len(prompts), -1, -1)
        if self.second is not None:
            embeds, pooled = self._encode_twice(prompts, self.second)
            return Conditioning(embeds, pooled=pooled, image_embeds=image)
        with self._resident(self.text_encoder):
            embeds = self.text_encoder(self._ids(self.tokenizer, prompts))[0].float()
        return Conditioning(embeds, image_embeds=image)

    def _ids(self, tokenizer: Any, prompts: Sequence[str]) -> Tensor:
        length = tokenizer.model_max_length
        told = tokenizer(list(prompts), padding="max_length", max_length=length, truncation=True, return_tensors="pt")
        return told.input_ids.to(self.device)

    def _encode_twice(self, prompts: Sequence[str], second: SecondEncoder) -> tuple[Tensor, Tensor]:
        """SDXL: the last but one layer of both encoders side by side, and the second one's pooled embedding."""
        with self._resident(self.text_encoder):
            first = self.text_encoder(self._ids(self.tokenizer, prompts), output_hidden_states=True).hidden_states[-2]
        with self._resident(second.encoder):
            told = second.encoder(self._ids(second.tokenizer, prompts), output_hidden_states=True)
        embeds, pooled = torch.cat([first, told.hidden_states[-2]], dim=-1).float(), told.text_embeds.float()
        if second.blank:
            empty = [i for i, prompt in enumerate(prompts) if not prompt]
            embeds[empty], pooled[empty] = 0, 0
        return embeds, pooled

    @property
    def embedded(self) -> bool:
        """Whether this is the storybook model that ships with the package."""
        return self.name == STORYBOOK

    def strange_words(self, prompts: Sequence[str]) -> list[str]:
        """Words that the tokenizer must spell: to a model whose tokenizer was learned on its captions, unknown ones."""
        words = dict.fromkeys(word for prompt in prompts for word in re.findall(r"[^\W\d_]+", prompt.lower()))
        return [word for word in words if len(self.tokenizer(word, add_special_tokens=False).input_ids) > 1]

    def cut_off(self, prompt: str) -> str:
        """The end of a prompt that does not fit, or ""."""
        ids = self.tokenizer(prompt, add_special_tokens=False).input_ids
        return self.tokenizer.decode(ids[self.tokenizer.model_max_length - 2 :]).strip()

    @torch.no_grad()
    def encode_picture(self, picture: Tensor) -> Tensor:
        """[n, 3, h, w] in 0..1 to latents, float32: the posterior's mean, scaled."""
        with self._resident(self.vae):
            z = self.vae.encode((picture * 2 - 1).to(self.device, self.vae.dtype)).latent_dist.mean.float()
        return (z - (getattr(self.vae.config, "shift_factor", None) or 0.0)) * self.vae.config.scaling_factor

    @torch.no_grad()
    def decode(self, latents: Tensor) -> Tensor:
        """Latents to pictures [n, 3, h, w] in 0..1, float32, one at a time so that the batch changes nothing."""
        z = latents / self.vae.config.scaling_factor + (getattr(self.vae.config, "shift_factor", None) or 0.0)
        with self._resident(self.vae):
            pictures = [self.vae.decode(one.to(self.device, self.vae.dtype)).sample.float() for one in z.split(1)]
        return (torch.cat(pictures) / 2 + 0.5).clamp(0, 1)

    @contextmanager
    def _resident(self, part: Any) -> Iterator[None]:
        """With offload, a part visits the device only while it works."""
        if self.offload:
            part.to(self.device)
        try:
            yield
        finally:
            if self.offload:
                part.to("cpu")
