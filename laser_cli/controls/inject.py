"""Reading the source, by a strength of 0..1: Plug-and-Play's features, queries and keys, MasaCtrl's keys and values.

A strength blends, so that frames with nearby strengths differ little: 0 is the frame's own, 1 the source's.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

FEATURES_UNTIL, ATTENTION_UNTIL = 0.8, 0.5
"""Plug-and-Play: the share of the steps, from the first, in which features and queries, keys are injected."""
MOTION_FROM = 0.08
"""MasaCtrl: the share of the steps after which keys and values are injected (step 4 of 50)."""


def texture(own: Tensor, source: Tensor, strength: Tensor) -> Tensor:
    """Queries, keys [b, h, n, d] or features [b, c, h, w] moved towards the source's [1, ...] by strength [b]."""
    return torch.lerp(own, source.expand_as(own), strength.to(own).view(-1, 1, 1, 1))


def motion(out: Tensor, q: Tensor, k: Tensor, v: Tensor, strength: Tensor) -> Tensor:
    """The attention's output moved towards Attn(Q, K_source, V_source) by strength [b] (MasaCtrl at 1)."""
    read = F.scaled_dot_product_attention(q, k.expand(len(q), -1, -1, -1), v.expand(len(q), -1, -1, -1))
    return torch.lerp(out, read, strength.to(out).view(-1, 1, 1, 1))
