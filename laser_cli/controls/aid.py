"""Attention interpolation (AID, arXiv 2403.17924): a frame between two anchors reads the keys and values of both."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor


class KeysValues(NamedTuple):
    """Keys and values [1, h, m, d] of an anchor."""

    k: Tensor
    v: Tensor


def fused_outer(q: Tensor, k: Tensor, v: Tensor, begin: KeysValues, end: KeysValues, t: Tensor) -> Tensor:
    """(1 - t) Attn(Q, [K; K_1], [V; V_1]) + t Attn(Q, [K; K_m], [V; V_m]), one softmax over both blocks of each term.

    q, k, v: [b, h, n, d]; t: [b]. At t = 0 and 1 an anchor reading itself is ordinary attention: doubled keys leave a
    softmax unchanged.
    """
    t = t.to(q).view(-1, 1, 1, 1)
    first = F.scaled_dot_product_attention(q, _beside(k, begin.k), _beside(v, begin.v))
    last = F.scaled_dot_product_attention(q, _beside(k, end.k), _beside(v, end.v))
    return torch.lerp(first, last, t)


def _beside(own: Tensor, anchor: Tensor) -> Tensor:
    return torch.cat([own, anchor.expand(len(own), -1, -1, -1)], dim=2)


def slerp(a: Tensor, b: Tensor, t: float, threshold: float = 0.9995) -> Tensor:
    """Spherical interpolation of two noises, over all their numbers at once; a straight line when nearly parallel."""
    u, v = a.flatten().double(), b.flatten().double()
    cos = torch.dot(u, v) / (u.norm() * v.norm())
    if cos.abs() > threshold:
        return torch.lerp(a, b, t)
    theta = torch.arccos(cos)
    return ((torch.sin((1 - t) * theta) * u + torch.sin(t * theta) * v) / torch.sin(theta)).to(a.dtype).view_as(a)
