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


class Processor:
    """The library's attention with its inner product handed to ``attend``."""

    def __init__(self, layer: str, attend: Attend) -> None:
        self.layer, self.attend = layer, attend

    def __call__(
        self,
        attn: Any,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor | None = None,
        attention_mask: Tensor | None = None,
        temb: Tensor | None = None,
        **_: Any,
    ) -> Tensor:
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

        def split(x: Tensor) -> Tensor:
            return x.unflatten(2, (attn.heads, -1)).transpose(1, 2)

        call = AttentionCall(
            self.layer,
            encoder_hidden_states is not None,
            split(attn.to_q(hidden_states)),
            split(attn.to_k(context)),
            split(attn.to_v(context)),
        )
        out = self.attend(call).transpose(1, 2).flatten(2).to(hidden_states.dtype)
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
            unet.set_attn_processor({name: Processor(name.removesuffix(".processor"), attend) for name in before})
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
