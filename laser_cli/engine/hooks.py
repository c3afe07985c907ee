"""Ways into the U-Net: attention and feature patches, selected by layer name, undone when their context ends."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch.nn.functional as F
from torch import Tensor, nn


class AttentionCall(NamedTuple):
    """One attention about to happen: queries [b, h, n, d], keys and values [b, h, m, d], heads apart."""

    layer: str
    cross: bool
    q: Tensor
    k: Tensor
    v: Tensor


Attend = Callable[[AttentionCall], Tensor]
"""Turns a call into the attention's output [b, h, n, d]."""
Feature = Callable[[str, Tensor], Tensor]
"""(layer, feature map [b, c, h, w]) -> the map to go on with."""


def plain(call: AttentionCall) -> Tensor:
    """Ordinary attention."""
    return F.scaled_dot_product_attention(call.q, call.k, call.v)


IMAGE = ".image"
"""What the name of a layer's attention to an image prompt ends in."""


class Processor:
    """The library's attention with its inner product handed to ``attend``.

    ``image`` has the keys' and values' projections of an image prompt (IP-Adapter), whose tokens then come beside the
    text's, as (text, [image [b, 1, m, d]]): its attention is a call of its own, and added.
    """

    def __init__(self, layer: str, attend: Attend, image: Any = None) -> None:
        self.layer, self.attend, self.image = layer, attend, image

    def __call__(
        self,
        attn: Any,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor | tuple[Tensor, list[Tensor]] | None = None,
        attention_mask: Tensor | None = None,
        temb: Tensor | None = None,
        **_: Any,
    ) -> Tensor:
        residual, shape, tokens = hidden_states, hidden_states.shape, None
        if isinstance(encoder_hidden_states, tuple):
            encoder_hidden_states, (tokens,) = encoder_hidden_states
        if attn.spatial_norm is not None:
            hidden_states = attn.spatial_norm(hidden_states, temb)
        if len(shape) == 4:
            hidden_states = hidden_states.flatten(2).transpose(1, 2)
        if attn.group_norm is not None:
            hidden_states = attn.group_norm(hidden_states.transpose(1, 2)).transpose(1, 2)
        context = hidden_states if encoder_hidden_states is None else encoder_hidden_states
        if encoder_hidden_states is not None and attn.norm_cross:
            context = attn.norm_encoder_hidden_states(context)

        def split(x: Tensor) -> Tensor:
            return x.unflatten(2, (attn.heads, -1)).transpose(1, 2)

        q, cross = split(attn.to_q(hidden_states)), encoder_hidden_states is not None
        out = self.attend(AttentionCall(self.layer, cross, q, split(attn.to_k(context)), split(attn.to_v(context))))
        if tokens is not None and self.image.scale[0] != 0:
            k, v = (split(to[0](tokens.flatten(1, 2))) for to in (self.image.to_k_ip, self.image.to_v_ip))
            out = out + self.image.scale[0] * self.attend(AttentionCall(self.layer + IMAGE, True, q, k, v))
        out = out.transpose(1, 2).flatten(2).to(hidden_states.dtype)
        out = attn.to_out[1](attn.to_out[0](out))
        if len(shape) == 4:
            out = out.transpose(1, 2).reshape(shape)
        if attn.residual_connection:
            out = out + residual
        return out / attn.rescale_output_factor


@contextmanager
def attention(unet: Any, attend: Attend) -> Iterator[None]:
    """Every attention of the U-Net goes through ``attend``; what was there before always comes back."""
    before = dict(getattr(unet, "attn_processors", {}))
    try:
        if before:
            images = {name: old if hasattr(old, "to_k_ip") else None for name, old in before.items()}
            unet.set_attn_processor(
                {name: Processor(name.removesuffix(".processor"), attend, image) for name, image in images.items()}
            )
        yield
    finally:
        if before:
            unet.set_attn_processor(before)


@contextmanager
def features(unet: Any, layers: Iterable[str], change: Feature) -> Iterator[None]:
    """The outputs of the named modules go through ``change``; the hooks are removed when the context ends."""
    handles = []
    try:
        for layer in layers:
            module: nn.Module = unet.get_submodule(layer)
            handles.append(module.register_forward_hook(lambda _m, _i, out, layer=layer: change(layer, out)))
        yield
    finally:
        for handle in handles:
            handle.remove()
