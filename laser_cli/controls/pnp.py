"""Plug-and-Play (arXiv 2211.12572): the source's features, and its self-attentions' queries and keys."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from laser_cli.controls.base import QKV, Control, block_of, decoder_self_attentions


def attentions(names: Sequence[str]) -> list[str]:
    """The decoder's self-attentions but for those of its first attention block: layers 4 to 11 of SD 1.5's decoder."""
    decoder = decoder_self_attentions(names)
    first = ".".join(decoder[0].split(".")[:4]) + "." if decoder else ""
    return [name for name in decoder if not name.startswith(first)]


def features(names: Sequence[str]) -> list[str]:
    """The second residual block of the first decoder block with attention: layer 4 of SD 1.5's decoder.

    ``names`` are those of attentions and feature maps together.
    """
    decoder = decoder_self_attentions(names)
    return [name for name in names if decoder and name == f"{block_of(decoder[0])}.resnets.1.conv2"]


def inject(own: QKV, source: QKV, strength: Tensor) -> QKV:
    """Queries and keys moved towards the source's; the values stay."""
    return QKV(move(own.q, source.q, strength), move(own.k, source.k, strength), own.v)


def move(own: Tensor, source: Tensor, strength: Tensor) -> Tensor:
    """[b, ...] moved towards [1, ...] by strength [b]: 0 is the own, 1 the source's."""
    return torch.lerp(own, source.expand_as(own), strength.to(own).view(-1, *[1] * (own.dim() - 1)))


CONTROL = Control(
    "texture",
    attentions=attentions,
    attention_steps=(0.0, 0.5),
    features=features,
    feature_steps=(0.0, 0.8),
    inject=inject,
    move=move,
)
"""The steps are Plug-and-Play's own: features in the first 0.8 of them, queries and keys in the first 0.5."""
