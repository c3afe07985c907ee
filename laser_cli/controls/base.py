"""What a control is: where and when it reads the source picture, and what it does to a frame at a strength."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import Tensor

from laser_cli.errors import UsageError

Names = Callable[[Sequence[str]], Sequence[str]]
"""Chooses from the names that a backbone has; none where it does not know them."""


class QKV(NamedTuple):
    """Queries [b, h, n, d], keys and values [b, h, m, d] of one attention."""

    q: Tensor
    k: Tensor
    v: Tensor


class Words(NamedTuple):
    """How the m tokens of n prompts relate to the source prompt's.

    ``mapper`` [n, m, m]: source tokens (rows) whose maps each token takes; ``kept`` [n, m]: how far it takes them, 0
    for a new word; ``weights`` [n, m] of its map; ``changed`` [n, m]: tokens that the source has not, ``lost`` [n, m]:
    the source's that are gone.
    """

    mapper: Tensor
    kept: Tensor
    weights: Tensor
    changed: Tensor
    lost: Tensor

    def lerp(self, other: Words, t: Tensor) -> Words:
        """Between two single rows, at t [n]."""
        pairs = zip(self, other, strict=True)
        return Words(*(torch.lerp(a, b, t.to(a).view(-1, *[1] * (a.dim() - 1))) for a, b in pairs))

    def to(self, device: torch.device) -> Words:
        """The same on a device."""
        return Words(*(x.to(device) for x in self))

    @staticmethod
    def cat(parts: Sequence[Words]) -> Words:
        """The rows of all parts in order."""
        return Words(*(torch.cat(tensors) for tensors in zip(*parts, strict=True)))


Inject = Callable[[QKV, QKV, Tensor], QKV]
"""(own, source's [1, ...], strength [b]) -> what the attention is computed from."""
Mix = Callable[[Tensor, QKV, QKV, Tensor], Tensor]
"""(attention's output [b, h, n, d], own, source's [1, ...], strength [b]) -> the output to go on with."""
MixWords = Callable[[Tensor, QKV, QKV, Tensor, Words], Tensor]
"""The same, with the rows' words."""
Cover = Callable[[QKV, QKV, Words], Tensor | None]
"""(own, source's [1, ...], words [b]) -> what the changed and the lost words look at, [b, 2, n], or None."""
Move = Callable[[Tensor, Tensor, Tensor], Tensor]
"""(feature map [b, c, h, w], source's [1, c, h, w], strength [b]) -> the map to go on with."""


def nothing(names: Sequence[str]) -> Sequence[str]:
    """No layers."""
    return ()


@dataclass(frozen=True)
class Control:
    """A way of reading the source by a strength of 0..1: 0 leaves a row as it is, 1 is the control as published.

    ``attentions`` and ``features`` choose layers by name; the steps are shares (from, to) of all steps. ``inject``
    changes queries, keys and values before an attention, ``mix`` its output, ``move`` a feature map. ``mix_words`` and
    ``cover`` read how the prompts relate (`Words`); a picture differs from its source only where ``cover`` says that
    changed words look. ``prompted_only``: the unprompted rows are left as they are.
    """

    name: str
    attentions: Names = nothing
    attention_steps: tuple[float, float] = (0.0, 1.0)
    features: Names = nothing
    feature_steps: tuple[float, float] = (0.0, 1.0)
    inject: Inject | None = None
    mix: Mix | None = None
    move: Move | None = None
    mix_words: MixWords | None = None
    cover: Cover | None = None
    prompted_only: bool = False

    @property
    def reads_words(self) -> bool:
        """Whether it does nothing without `Words`."""
        return self.mix_words is not None or self.cover is not None


def within(step: int, steps: int, share: tuple[float, float]) -> bool:
    """Whether a step, from 0, lies in this share of all."""
    return int(steps * share[0]) <= step < int(steps * share[1])


def self_attentions(names: Sequence[str]) -> list[str]:
    """All self-attentions of a U-Net in the order in which they run: down, middle, up."""
    order = ("down_blocks", "mid_block", "up_blocks")
    found = [name for name in names if name.endswith(".attn1") and name.partition(".")[0] in order]
    parts = {name: [int(part) for part in name.split(".") if part.isdigit()] for name in found}
    return sorted(found, key=lambda name: (order.index(name.partition(".")[0]), parts[name]))


def from_layer(control: Control, first: int, names: Sequence[str]) -> Control:
    """The control in every self-attention from number ``first`` on, counted from 0 as published methods count them.

    UsageError if the backbone, whose attentions ``names`` are, has not so many.
    """
    chosen = self_attentions(names)[first:]
    if not chosen:
        raise UsageError(
            f"the control {control.name!r} cannot begin at self-attention {first}",
            why=f"the model has {len(self_attentions(names))}",
            hint="10 is published for SD 1.x, 44, 54 or 64 for SDXL",
        )
    return replace(control, attentions=lambda names: chosen)


def decoder_self_attentions(names: Sequence[str]) -> list[str]:
    """The self-attentions of a U-Net's decoder, in the order in which they run."""
    found = [name for name in names if name.startswith("up_blocks.") and name.endswith(".attn1")]
    return sorted(found, key=lambda name: [int(part) for part in name.split(".") if part.isdigit()])


def block_of(name: str) -> str:
    """The block of a U-Net that a layer is in, e.g. ``up_blocks.1``."""
    return ".".join(name.split(".")[:2])
