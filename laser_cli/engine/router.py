"""Answers every attention of a render: what keyframes compute is kept for a step, the frames between them read it.

The router sees layer names, steps and what the rows of a call are (``BatchLayout``); it counts nothing. All state of a
call is the call's own, so that calls may run side by side.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from threading import Event

import torch
from torch import Tensor

from laser_cli.controls.aid import Blend, KeysValues
from laser_cli.controls.base import QKV, Control, Words, nothing, within
from laser_cli.errors import UsageError
from laser_cli.models.base import AttentionCall, Backbone, plain_attention


@dataclass(frozen=True)
class RowGroup:
    """Rows of a call that are answered alike: an unprompted half of ``unprompted`` rows, then the prompted ones.

    ``keyframes``: those that the prompted rows are, if they are; else they are frames of ``segment`` at ``t`` [n].
    ``strengths`` [rows] by control name; ``words`` of the prompted rows.
    """

    rows: slice
    unprompted: int
    keyframes: Sequence[int] = ()
    segment: int = -1
    t: Tensor | None = None
    strengths: Mapping[str, Tensor] = field(default_factory=dict)
    words: Words | None = None

    def strength(self, control: Control) -> Tensor:
        """Its strengths [rows]."""
        strength = self.strengths[control.name]
        if control.prompted_only and self.unprompted:
            strength = strength.clone()
            strength[: self.unprompted] = 0
        return strength


@dataclass(frozen=True)
class BatchLayout:
    """What the rows of one call are, in order and without a gap; all are at one step. A source comes first."""

    step: int
    groups: Sequence[RowGroup]


@dataclass
class AnchorCache:
    """What the keyframes' attentions and feature maps were at one step, by layer."""

    attention: dict[str, dict[int, KeysValues]] = field(default_factory=dict)  # by keyframe, [1, h, m, d]
    source: dict[str, QKV] = field(default_factory=dict)
    features: dict[str, Tensor] = field(default_factory=dict)  # of the source, [1, c, h, w]


class AttentionRouter:
    """Decides what the attentions and feature maps of one render's calls are.

    UsageError for a control, or a ``blend``, that finds none of its layers in the backbone.
    """

    def __init__(
        self,
        backbone: Backbone,
        controls: Sequence[Control],
        steps: int,
        warmup: float,
        blend: Blend | None,
        source: int | None,
    ) -> None:
        self.controls, self.steps, self.source = controls, steps, source
        self.blend, self.warm = blend, int(steps * warmup)
        self.caches: dict[int, AnchorCache] = {}
        names = [*backbone.attentions, *backbone.feature_maps]
        self._attentions = {c.name: chosen(c, "attentions", names) for c in controls}
        self._features = {c.name: chosen(c, "features", names) for c in controls}
        self.features = frozenset().union(*self._features.values()) if controls else frozenset()
        if blend and self.warm and not backbone.attentions:
            raise UsageError(
                "this model has no attention that could be interpolated",
                why="its layers have other names than laser knows",
                hint="--warmup 0, or a model in the layout of SD 1.x, 2.x or SDXL",
            )

    def begin(self, step: int) -> None:
        """Makes room for what the keyframes of a step compute."""
        self.caches.setdefault(step, AnchorCache())

    def end(self, step: int) -> None:
        """The frames of a step are done: what was kept for them goes."""
        self.caches.pop(step, None)

    def attending(self, layer: str, step: int) -> list[Control]:
        """The controls that touch an attention at a step."""
        return [
            c
            for c in self.controls
            if layer in self._attentions[c.name] and within(step, self.steps, c.attention_steps)
        ]

    def moving(self, name: str, step: int) -> list[Control]:
        """The controls that touch a feature map at a step."""
        return [
            c for c in self.controls if name in self._features[c.name] and within(step, self.steps, c.feature_steps)
        ]


class Stopped(Exception):
    """A call was given up, as nobody waits for what comes of it."""


@dataclass(frozen=True)
class RoutedCall:
    """The hooks of one call of the backbone; where ``stopped`` is set, it ends at its next attention by ``Stopped``.

    ``covers``: by number of group, what a control read of its words' places [n, 2, places], layer by layer.
    """

    router: AttentionRouter
    layout: BatchLayout
    stopped: Event = field(default_factory=Event)
    covers: dict[int, list[Tensor]] = field(default_factory=dict)

    @property
    def features(self) -> Collection[str]:
        """Feature maps that a control touches."""
        return self.router.features

    def attend(self, call: AttentionCall) -> Tensor:
        """The attention of every group in its own way."""
        if self.stopped.is_set():
            raise Stopped
        outs = []
        for number, group in enumerate(self.layout.groups):
            covers = self.covers.setdefault(number, [])
            outs.append(_attend(self.router, self.layout.step, call.rows(group.rows), group, covers))
        return _joined(outs)

    def feature(self, name: str, x: Tensor) -> Tensor:
        """The feature map of every group in its own way."""
        return _joined([_feature(self.router, self.layout.step, name, x[g.rows], g) for g in self.layout.groups])


def _attend(router: AttentionRouter, step: int, call: AttentionCall, group: RowGroup, covers: list[Tensor]) -> Tensor:
    cache, own = router.caches[step], QKV(call.q, call.k, call.v)
    controls = router.attending(call.layer, step)
    if router.source in group.keyframes and controls:
        row = len(own.q) - len(group.keyframes) + group.keyframes.index(router.source)
        cache.source[call.layer] = QKV(*(x[row : row + 1].clone() for x in own))  # a view would hold the whole batch
    read = [(c, cache.source[call.layer], group.strength(c)) for c in controls if c.name in group.strengths]
    for control, source, strength in read:
        if control.inject:
            own = control.inject(own, source, strength)
    call = call._replace(q=own.q, k=own.k, v=own.v)
    warm = router.blend is not None and step < router.warm
    if warm and group.keyframes:
        kept = cache.attention.setdefault(call.layer, {})
        for row, keyframe in enumerate(group.keyframes, start=group.unprompted):
            anchor = call.rows(slice(row, row + 1))
            kept[keyframe] = KeysValues(anchor.k.clone(), anchor.v.clone(), anchor.mask)
    out = _interpolated(router, step, call, group) if warm and not group.keyframes else plain_attention(call)
    for control, source, strength in read:
        if control.mix:
            out = control.mix(out, own, source, strength)
        if control.reads_words and group.words is not None:
            prompted = slice(group.unprompted, None)
            rows = QKV(*(x[prompted] for x in own))
            if control.cover and (covered := control.cover(rows, source, group.words)) is not None:
                covers.append(covered)
            if control.mix_words:
                mixed = control.mix_words(out[prompted], rows, source, strength[prompted], group.words)
                out = torch.cat([out[: group.unprompted], mixed])
    return out


def _interpolated(router: AttentionRouter, step: int, call: AttentionCall, group: RowGroup) -> Tensor:
    """Attention interpolation on the prompted rows only; the others are always plain."""
    assert router.blend is not None and group.t is not None
    kept = router.caches[step].attention[call.layer]
    begin, end = kept[group.segment], kept[group.segment + 1]
    prompted = call.rows(slice(group.unprompted, None))
    between = router.blend(prompted.q, _keys_values(prompted), begin, end, group.t)
    if not group.unprompted:
        return between
    return torch.cat([plain_attention(call.rows(slice(group.unprompted))), between])


def _feature(router: AttentionRouter, step: int, name: str, x: Tensor, group: RowGroup) -> Tensor:
    cache, controls = router.caches[step], router.moving(name, step)
    if router.source in group.keyframes and controls:
        row = len(x) - len(group.keyframes) + group.keyframes.index(router.source)
        cache.features[name] = x[row : row + 1].clone()
    for control in controls:
        if control.move and control.name in group.strengths:
            x = control.move(x, cache.features[name], group.strengths[control.name])
    return x


def _keys_values(call: AttentionCall) -> KeysValues:
    return KeysValues(call.k, call.v, call.mask)


def _joined(parts: Sequence[Tensor]) -> Tensor:
    return parts[0] if len(parts) == 1 else torch.cat(list(parts))


def chosen(control: Control, what: str, names: Sequence[str]) -> frozenset[str]:
    """The layers that a control touches; UsageError if it finds none of those that it needs."""
    choose = getattr(control, what)
    found = frozenset(choose(names))
    if choose is not nothing and not found:
        raise UsageError(
            f"the control {control.name!r} does not know this model's layers",
            why=f"of its {len(names)} attentions and feature maps none is one that the control reads",
            hint="the control hold reads none, or take a model in the layout of SD 1.x, 2.x or SDXL",
        )
    return found
