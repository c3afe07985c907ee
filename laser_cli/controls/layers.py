"""Which layers a control touches, by name, read from the model's own structure.

On SD 1.5: Plug-and-Play's decoder layers 4-11 for q, k and layer 4 for features; MasaCtrl's self-attentions 10-15.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Layers:
    """Layer names of each control."""

    texture: frozenset[str]
    """Self-attentions whose queries and keys are the source's (Plug-and-Play)."""
    motion: frozenset[str]
    """Self-attentions whose keys and values are the source's (MasaCtrl)."""
    features: tuple[str, ...]
    """Modules whose output is the source's (Plug-and-Play's conv features, before the residual is added)."""


def layers_of(attentions: Iterable[str]) -> Layers:
    """Chooses from the names of a U-Net's attentions, e.g. ``up_blocks.1.attentions.0.transformer_blocks.0.attn1``."""
    decoder = [n.removesuffix(".processor") for n in attentions if n.startswith("up_blocks.") and ".attn1" in n]
    decoder.sort(key=lambda n: [int(part) for part in n.split(".") if part.isdigit()])
    if not decoder:
        return Layers(frozenset(), frozenset(), ())
    blocks = list(dict.fromkeys(".".join(n.split(".")[:2]) for n in decoder))
    first = ".".join(decoder[0].split(".")[:4])  # up_blocks.1.attentions.0
    return Layers(
        texture=frozenset(n for n in decoder if not n.startswith(first + ".")),
        motion=frozenset(n for n in decoder if ".".join(n.split(".")[:2]) in blocks[-2:]),
        features=(f"{blocks[0]}.resnets.1.conv2",),
    )
