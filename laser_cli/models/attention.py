"""Taps on a U-Net: its attentions and feature maps are handed to the hooks of the call under way.

They are put in once, and say nothing until a call brings hooks: until then every attention is the library's own. What a
call brings belongs to its thread, so that several calls, and several renders, may run on one U-Net at a time.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from laser_cli.errors import UsageError
from laser_cli.models.base import AttentionCall, Hooks, plain_attention

IMAGE = ".image"
"""What the name of a layer's attention to an image prompt ends in."""
KNOWN = ("AttnProcessor", "AttnProcessor2_0")
"""The library's processors whose computation ``Processor`` repeats."""


@dataclass(frozen=True)
class ImageProjection:
    """Keys' and values' projections of an image prompt in one cross-attention, and how much its output counts."""

    to_k: Any
    to_v: Any
    scale: float


@dataclass(frozen=True)
class Call:
    """What one call brings: its hooks, and the tokens [b, m, d] of an image prompt with their projections by layer.

    ``mask`` [b, h, w] in 0..1: where in the picture the image prompt counts. ``network``: what the names of its layers
    begin with, where it is not the U-Net's own. ``other`` [b, l, d]: a second prompt, of whose attention ``share`` [b]
    is taken.
    """

    hooks: Hooks | None = None
    tokens: Tensor | None = None
    projections: Mapping[str, ImageProjection] | None = None
    mask: Tensor | None = None
    network: str = ""
    other: Tensor | None = None
    share: Tensor | None = None


class Taps:
    """The taps of one U-Net; ``on`` finds those it already has."""

    def __init__(self) -> None:
        self._local = threading.local()

    @classmethod
    def on(cls, unet: Any) -> Taps:
        """Puts taps into every attention and every residual block's second convolution, once."""
        before = dict(unet.attn_processors)
        found = next((p.taps for p in before.values() if isinstance(p, Processor)), None)
        if found is not None:
            return found
        strange = sorted({type(p).__name__ for p in before.values()} - set(KNOWN))
        if strange:
            raise UsageError(
                f"this model has attentions that laser cannot read ({', '.join(strange)})",
                why="they compute something else than the attentions of Stable Diffusion",
                hint="a model in the layout of SD 1.x, 2.x or SDXL",
            )
        taps = cls()
        unet.set_attn_processor(
            {name: Processor(name.removesuffix(".processor"), taps, old) for name, old in before.items()}
        )
        for name in feature_maps(unet):
            unet.get_submodule(name).register_forward_hook(lambda _m, _i, out, name=name: taps.feature(name, out))
        return taps

    @contextmanager
    def call(self, call: Call) -> Iterator[None]:
        """This thread's calls of the U-Net are answered by these hooks."""
        before = self.current
        self._local.call = call
        try:
            yield
        finally:
            self._local.call = before

    @property
    def current(self) -> Call | None:
        """What this thread's call brought, if one is under way."""
        return getattr(self._local, "call", None)

    def feature(self, name: str, x: Tensor) -> Tensor | None:
        """A feature map as the hooks want it; None leaves it as it is."""
        call = self.current
        if call is None or call.hooks is None or call.network + name not in call.hooks.features:
            return None
        return call.hooks.feature(call.network + name, x)


def feature_maps(unet: Any) -> list[str]:
    """The outputs of residual blocks before the residual is added, by name."""
    return [name for name, _ in unet.named_modules() if ".resnets." in name and name.endswith(".conv2")]


class Processor:
    """The library's attention with its inner product handed to the hooks of the call under way."""

    def __init__(self, layer: str, taps: Taps, library: Any) -> None:
        self.layer, self.taps, self.library = layer, taps, library

    def __call__(
        self,
        attn: Any,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor | None = None,
        attention_mask: Tensor | None = None,
        temb: Tensor | None = None,
    ) -> Tensor:
        call = self.taps.current
        if call is None:
            return self.library(attn, hidden_states, encoder_hidden_states, attention_mask, temb)
        attend = call.hooks.attend if call.hooks else plain_attention
        residual, shape = hidden_states, hidden_states.shape
        if attn.spatial_norm is not None:
            hidden_states = attn.spatial_norm(hidden_states, temb)
        if len(shape) == 4:
            hidden_states = hidden_states.flatten(2).transpose(1, 2)
        if attn.group_norm is not None:
            hidden_states = attn.group_norm(hidden_states.transpose(1, 2)).transpose(1, 2)
        context = hidden_states if encoder_hidden_states is None else encoder_hidden_states
        if encoder_hidden_states is not None and attn.norm_cross:
            context = attn.norm_encoder_hidden_states(context)
        if attention_mask is not None:
            attention_mask = attn.prepare_attention_mask(attention_mask, context.shape[1], len(context))
            attention_mask = attention_mask.view(len(context), attn.heads, -1, attention_mask.shape[-1])

        def split(x: Tensor) -> Tensor:
            return x.unflatten(2, (attn.heads, -1)).transpose(1, 2)

        def read(context: Tensor) -> tuple[Tensor, Tensor]:
            k, v = split(attn.to_k(context)), split(attn.to_v(context))
            return k if attn.norm_k is None else attn.norm_k(k), v

        q, (k, v) = split(attn.to_q(hidden_states)), read(context)
        q = q if attn.norm_q is None else attn.norm_q(q)
        kind = "self" if encoder_hidden_states is None else "cross"
        name = call.network + self.layer
        out = attend(AttentionCall(name, kind, q, k, v, attention_mask))  # type: ignore[arg-type]
        if kind == "cross" and call.other is not None and call.share is not None:
            second = attend(AttentionCall(name, "cross", q, *read(call.other)))
            out = torch.lerp(out, second, call.share.to(out).view(-1, 1, 1, 1))
        image = (call.projections or {}).get(self.layer)
        if image is not None and call.tokens is not None and image.scale != 0:
            k, v = split(image.to_k(call.tokens)), split(image.to_v(call.tokens))
            seen = attend(AttentionCall(name + IMAGE, "image", q, k, v))
            out = out + image.scale * (seen if call.mask is None else seen * _at_places(call.mask, seen))
        out = out.transpose(1, 2).flatten(2).to(hidden_states.dtype)
        out = attn.to_out[1](attn.to_out[0](out))
        if len(shape) == 4:
            out = out.transpose(1, 2).reshape(shape)
        if attn.residual_connection:
            out = out + residual
        return out / attn.rescale_output_factor


def _at_places(mask: Tensor, out: Tensor) -> Tensor:
    """A mask [b, h, w] at the places [b, 1, n, 1] of an attention's output [b, heads, n, d], scaled by the library."""
    from diffusers.image_processor import IPAdapterMaskProcessor

    return IPAdapterMaskProcessor.downsample(mask.to(out), len(out), out.shape[2], 1)[:, None]
