"""Attention of an interpolation: what the stops compute is kept for one step, the frames between read it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from laser_cli.controls.aid import Blend, KeysValues
from laser_cli.engine import hooks
from laser_cli.engine.hooks import AttentionCall


@dataclass(frozen=True)
class Batch:
    """What the rows of one U-Net call are: [unprompted half | prompted half], or the prompted one alone."""

    guided: bool
    keep: Sequence[int] = ()
    """Stops under whose numbers the prompted rows' keys and values are kept, one a row."""
    read: tuple[int, int] | None = None
    """The two stops that all prompted rows read, at ``t`` [rows]; None: ordinary attention."""
    t: Tensor | None = None


class Endpoints:
    """Answers every attention of an interpolation; it sees layer names and what the rows are, and counts nothing.

    AID acts on the prompted half only, in self- and cross-attention of every block; the other half is always plain.
    """

    def __init__(self, blend: Blend | None) -> None:
        self.blend = blend
        self.kept: dict[str, dict[int, KeysValues]] = {}  # layer to stop to [1, h, m, d]
        self.batch = Batch(False)

    def begin(self) -> None:
        """A new step: nothing of the last one is kept."""
        self.kept = {}

    def attend(self, call: AttentionCall) -> Tensor:
        batch, (q, k, v) = self.batch, call[2:]
        plain = len(q) // 2 if batch.guided else 0
        if batch.keep and self.blend:
            layer = self.kept.setdefault(call.layer, {})
            for row, stop in enumerate(batch.keep, start=plain):
                layer[stop] = KeysValues(k[row : row + 1], v[row : row + 1])
        if self.blend is None or batch.read is None or batch.t is None:
            return hooks.plain(call)
        begin, end = (self.kept[call.layer][stop] for stop in batch.read)
        between = self.blend(q[plain:], k[plain:], v[plain:], begin, end, batch.t)
        if not plain:
            return between
        return torch.cat([hooks.plain(call._replace(q=q[:plain], k=k[:plain], v=v[:plain])), between])
