"""What every attention of a render does: the anchors' is kept, the frames' reads it.

The conductor sees layer names, the step and what the rows of the batch are; it counts nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from laser_cli.controls import aid, inject
from laser_cli.controls.aid import KeysValues
from laser_cli.controls.layers import Layers
from laser_cli.engine import hooks
from laser_cli.engine.hooks import AttentionCall


@dataclass
class Kept:
    """What this step's frames read of the anchors."""

    attention: dict[str, KeysValues] = field(default_factory=dict)  # [anchors, h, m, d]: source, then keyframes
    queries: dict[str, Tensor] = field(default_factory=dict)  # of the source
    features: dict[str, Tensor] = field(default_factory=dict)


@dataclass
class Rows:
    """What the rows of the current batch are: [unguided halves | prompted halves], the anchors' led by the source."""

    strengths: Tensor  # [rows, 2]: texture, motion
    reads: tuple[bool, bool]  # whether any of them is not 0
    anchors: bool
    guided: bool
    end: int = 0
    t: Tensor | None = None

    @property
    def texture(self) -> Tensor:
        return self.strengths[:, 0]

    @property
    def motion(self) -> Tensor:
        return self.strengths[:, 1]


class Conductor:
    """Answers every attention and feature map of one render; it sees layer names, the step and what the rows are."""

    def __init__(self, layers: Layers, steps: int, warmup: float) -> None:
        self.layers, self.steps, self.warmup = layers, steps, warmup
        self.kept, self.step = Kept(), 0
        self.rows: Rows

    def begin(self, step: int) -> None:
        """A new step: nothing of the last one is kept."""
        self.step, self.kept = step, Kept()

    def within(self, share: float) -> bool:
        return self.step < int(self.steps * share)

    def attend(self, call: AttentionCall) -> Tensor:
        q, k, v, rows = call.q, call.k, call.v, self.rows
        injected = call.layer in self.layers.texture and self.within(inject.ATTENTION_UNTIL)
        moved = call.layer in self.layers.motion and not self.within(inject.MOTION_FROM)
        if rows.anchors:
            source = KeysValues(k[:1], v[:1])
            if injected:
                self.kept.queries[call.layer] = q[:1]
            if injected and rows.reads[0]:
                q, k = inject.texture(q, q[:1], rows.texture), inject.texture(k, k[:1], rows.texture)
            if self.within(self.warmup) or injected or moved:
                # One row an anchor: the source, then the prompted half of the keyframes.
                prompted = slice(len(q) - (len(q) - 1) // (2 if rows.guided else 1), None)
                self.kept.attention[call.layer] = KeysValues(
                    torch.cat([source.k, k[prompted]]), torch.cat([source.v, v[prompted]])
                )
            out = hooks.plain(call._replace(q=q, k=k))
        else:
            anchors = self.kept.attention.get(call.layer)
            source = KeysValues(anchors.k[:1], anchors.v[:1]) if anchors else KeysValues(k, v)
            if injected and rows.reads[0]:
                q, k = (
                    inject.texture(q, self.kept.queries[call.layer], rows.texture),
                    inject.texture(k, source.k, rows.texture),
                )
            if anchors and self.within(self.warmup) and rows.t is not None:
                out = self.interpolate(q, k, v, anchors)
            else:
                out = hooks.plain(call._replace(q=q, k=k))
        if moved and rows.reads[1]:
            out = inject.motion(out, q, source.k, source.v, rows.motion)
        return out

    def interpolate(self, q: Tensor, k: Tensor, v: Tensor, anchors: KeysValues) -> Tensor:
        """Attention interpolation on the prompted half only; the other half is always plain."""
        rows = self.rows
        assert rows.t is not None
        plain_rows = len(q) - len(rows.t)
        begin, end = (KeysValues(anchors.k[i : i + 1], anchors.v[i : i + 1]) for i in (rows.end - 1, rows.end))
        between = aid.best_outer(q[plain_rows:], k[plain_rows:], v[plain_rows:], begin, end, rows.t)
        if not plain_rows:
            return between
        return torch.cat(
            [hooks.plain(AttentionCall("", False, q[:plain_rows], k[:plain_rows], v[:plain_rows])), between]
        )

    def feature(self, layer: str, x: Tensor) -> Tensor:
        if not self.within(inject.FEATURES_UNTIL):
            return x
        if self.rows.anchors:
            self.kept.features[layer] = x[:1]
        if not self.rows.reads[0]:
            return x
        return inject.texture(x, self.kept.features[layer], self.rows.texture)
