"""A text-to-image model in parts: its backbone, its autoencoder, its text encoders."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Any

import torch
from torch import Tensor

from laser_cli.engine.workers import Workers
from laser_cli.models.conditioning import Conditioning
from laser_cli.models.find import STORYBOOK
from laser_cli.models.numerics import check_finite, decoding_dtype, in_safe_precision
from laser_cli.models.options import PromptStyle
from laser_cli.models.prompts import encode, parse_weights, tokenize
from laser_cli.models.schedules import Schedule
from laser_cli.models.unet import UNetBackbone


@dataclass(frozen=True)
class SecondEncoder:
    """SDXL's second text encoder; with ``blank`` an empty prompt is all zeros, as the checkpoint was trained."""

    encoder: Any
    tokenizer: Any
    width: int
    """Numbers of the pooled embedding."""
    blank: bool = True


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
    prompts: PromptStyle = field(default_factory=PromptStyle)
    workers: Workers = field(default_factory=Workers)
    read_text_encoders: Callable[[], tuple[Any, Any]] | None = None
    """Of a model that frees its text encoders whenever they have worked: reads both of them again."""
    encoded: dict[str, tuple[Tensor, Tensor | None]] = field(default_factory=dict)
    """Embeddings [1, l, d] and pooled ones [1, p] of the prompts that such a model has read."""

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
        told = self.unet.config.sample_size
        if told is None:  # some leave it open; their VAE says it in pixels
            return int(getattr(self.vae.config, "sample_size", None) or 512)
        return int(told if isinstance(told, int) else min(told)) * self.scale

    def cfg_scale(self, guidance: float) -> float:
        """The scale of classifier-free guidance; a model that is told the scale itself is told it, and needs none."""
        if not self.backbone.embeds_guidance:
            return guidance
        self.backbone.guidance = guidance
        return 1.0

    @torch.no_grad()
    def encode_prompts(self, prompts: Sequence[str]) -> Conditioning:
        """The conditioning of n prompts, float32; what goes past the tokenizer's length is cut (see ``cut_off``)."""
        image = None if self.unseen is None else self.unseen.expand(len(prompts), -1, -1)
        embeds, pooled = self._encode(prompts) if self.read_text_encoders is None else self._encode_once(prompts)
        return Conditioning(embeds, pooled=pooled, image_embeds=image)

    def _encode_once(self, prompts: Sequence[str]) -> tuple[Tensor, Tensor | None]:
        """The same where text encoders are freed: prompts that were read before are remembered."""
        if new := [prompt for prompt in dict.fromkeys(prompts) if prompt not in self.encoded]:
            assert self.read_text_encoders is not None
            if self.text_encoder is None:
                self._take_text_encoders(*self.read_text_encoders())
            embeds, pooled = self._encode(new)
            self._take_text_encoders(None, None)
            rows = [None] * len(new) if pooled is None else pooled.split(1)
            self.encoded |= dict(zip(new, zip(embeds.split(1), rows, strict=True), strict=True))
        told = [self.encoded[prompt] for prompt in prompts]
        pools = [pooled for _, pooled in told if pooled is not None]
        return torch.cat([embeds for embeds, _ in told]), torch.cat(pools) if pools else None

    def _take_text_encoders(self, first: Any, second: Any) -> None:
        self.text_encoder = first
        self.second = self.second and replace(self.second, encoder=second)

    def _encode(self, prompts: Sequence[str]) -> tuple[Tensor, Tensor | None]:
        def read(ids: Tensor) -> tuple[Tensor, None]:
            return self.text_encoder(ids.to(self.device))[0], None

        pooled: Tensor | None
        if self.second is not None:
            embeds, pooled = self._encode_twice(prompts, self.second)
        else:
            with self._resident(self.text_encoder):
                embeds, pooled = encode(tokenize(prompts, self.tokenizer, self.prompts), read)
        check_finite("the embeddings of the prompts", embeds, self.text_encoder)
        return embeds, pooled

    def _encode_twice(self, prompts: Sequence[str], second: SecondEncoder) -> tuple[Tensor, Tensor]:
        """SDXL: the last but one layer of both encoders side by side, and the second one's pooled embedding."""

        def read(ids: Tensor) -> tuple[Tensor, None]:
            return self.text_encoder(ids.to(self.device), output_hidden_states=True).hidden_states[-2], None

        def read_second(ids: Tensor) -> tuple[Tensor, Tensor]:
            told = second.encoder(ids.to(self.device), output_hidden_states=True)
            return told.hidden_states[-2], told.text_embeds

        with self._resident(self.text_encoder):
            first, _ = encode(tokenize(prompts, self.tokenizer, self.prompts), read)
        with self._resident(second.encoder):
            other, pooled = encode(tokenize(prompts, second.tokenizer, self.prompts), read_second)
        assert pooled is not None
        embeds = torch.cat([first, other], dim=-1)
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
        left_out = tokenize([prompt], self.tokenizer, self.prompts).left_out[0]
        words = "".join(fragment.text for fragment in parse_weights(prompt)) if self.prompts.weighted else prompt
        ids = self.tokenizer(words, add_special_tokens=False).input_ids
        return str(self.tokenizer.decode(ids[len(ids) - left_out :]).strip()) if left_out else ""

    @torch.no_grad()
    def encode_picture(self, picture: Tensor) -> Tensor:
        """[n, 3, h, w] in 0..1 to latents, float32: the posterior's mean, scaled."""
        with self._resident(self.vae):
            z = in_safe_precision("the VAE", self.vae, self._posterior_mean, picture * 2 - 1)
        shift, factor = self._latent_scaling(z)
        return (z - shift) * factor

    @torch.no_grad()
    def decode(self, latents: Tensor) -> Tensor:
        """Latents to pictures [n, 3, h, w] in 0..1, float32, each by itself: which others there are changes nothing.

        One alone is drawn by all cores, and differs by rounding from the same among others.
        """
        check_finite("the latents", latents, self.unet)
        shift, factor = self._latent_scaling(latents)
        z = latents / factor + shift

        def decoded(one: Tensor) -> Tensor:
            return (in_safe_precision("the VAE", self.vae, self._decoded, one) / 2 + 0.5).clamp_(0, 1)

        with self._resident(self.vae):
            if len(z) <= 1:
                return decoded(z)
            drawn = self.workers.map(decoded, z.split(1))
            first = next(drawn)
            pictures = first.new_empty(len(z), *first.shape[1:])
            for place, picture in zip(pictures, chain([first], drawn), strict=True):
                place.copy_(picture[0])
        return pictures

    def _posterior_mean(self, pixels: Tensor) -> Tensor:
        mean: Tensor = self.vae.encode(pixels.to(self.device, self.vae.dtype)).latent_dist.mean
        return mean.contiguous()  # on CPUs the VAE has its channels last, where the U-Net is slower

    def _decoded(self, z: Tensor) -> Tensor:
        drawn: Tensor = self.vae.decode(z.to(self.device, decoding_dtype(self.vae))).sample
        return drawn.contiguous()

    def _latent_scaling(self, like: Tensor) -> tuple[Tensor | float, Tensor | float]:
        """What is subtracted from a VAE's latents, and what they are multiplied by then: numbers, or one a channel."""
        config = self.vae.config
        factor = config.scaling_factor * self.schedule.latent_scale
        mean, deviation = getattr(config, "latents_mean", None), getattr(config, "latents_std", None)
        if mean is None or deviation is None:
            return getattr(config, "shift_factor", None) or 0.0, factor
        mean, deviation = (torch.tensor(each, device=like.device).view(1, -1, 1, 1) for each in (mean, deviation))
        return mean, factor / deviation

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
