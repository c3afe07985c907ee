"""MasaCtrl (arXiv 2304.08465): mutual self-attention, a frame's queries read the source's keys and values."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from laser_cli.controls.base import QKV, Control, block_of, decoder_self_attentions


def attentions(names: Sequence[str]) -> list[str]:
    """The self-attentions of the last two decoder blocks with attention: layers 10 to 15 of SD 1.5's 16."""
    decoder = decoder_self_attentions(names)
    last = list(dict.fromkeys(block_of(name) for name in decoder))[-2:]
    return [name for name in decoder if block_of(name) in last]


def mix(out: Tensor, own: QKV, source: QKV, strength: Tensor) -> Tensor:
    """The output moved towards Attn(Q, K_source, V_source) by strength [b]."""
    k, v = (x.expand(len(own.q), -1, -1, -1) for x in (source.k, source.v))
    return torch.lerp(out, F.scaled_dot_product_attention(own.q, k, v), strength.to(out).view(-1, 1, 1, 1))


CONTROL = Control("motion", attentions=attentions, attention_steps=(0.08, 1.0), mix=mix)
"""From step 4 of 50 on, as published."""
