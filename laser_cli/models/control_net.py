"""ControlNets (arXiv 2302.05543): pictures of edges, depth or poses that lead a U-Net through residuals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from laser_cli.models.attention import Call, Taps
from laser_cli.models.base import Hooks, NoiseLevel
from laser_cli.models.numerics import in_safe_precision

if TYPE_CHECKING:
    from laser_cli.models.conditioning import Conditioning
    from laser_cli.models.model import Model

HINT, WEIGHT, COMING = "hint.", "weight.", ".coming"
"""Names of a net's maps in ``Conditioning.spatial``: HINT and its number, its embedded condition [n, c, h, w]; WEIGHT
and its number, how much that counts [n, 1, 1, 1]; with COMING, the same of the condition that takes its place."""


@dataclass(frozen=True)
class ControlNet:
    """A ControlNet, the weight of its residuals, and from which to which share of the steps it leads.

    ``embedding`` turns conditions [n, 3, h, w] in 0..1 into hints: the net's first layers, which depend on nothing
    else, so that they run once a condition. ``net`` is the rest. ``interpolated``: the hooks of a call answer its
    attentions too, so that attention interpolation goes on inside it.
    """

    net: Any
    embedding: Any
    weight: float = 1.0
    start: float = 0.0
    end: float = 1.0
    interpolated: bool = True

    @classmethod
    def of(cls, net: Any, weight: float = 1.0, start: float = 0.0, end: float = 1.0) -> ControlNet:
        """The library's ControlNetModel, which is taken apart."""
        Taps.on(net)
        embedding, net.controlnet_cond_embedding = net.controlnet_cond_embedding, nn.Identity()
        return cls(net, embedding, weight, start, end)

    def leads(self, level: NoiseLevel) -> bool:
        """Whether it leads at a step: one that lies within its share as a whole, as in the library's pipelines."""
        return not (level.begin < self.start or level.end > self.end)

    @torch.no_grad()
    def hint(self, condition: Tensor) -> Tensor:
        """The hint [n, c, h, w] of conditions [n, 3, h, w] in 0..1 of the size that is drawn."""
        weight = next(self.embedding.parameters())
        x = condition.flip(1) if self.net.config.controlnet_conditioning_channel_order == "bgr" else condition
        hint: Tensor = self.embedding(x.to(weight)).float()
        return hint


def with_control_nets(model: Model, nets: Sequence[ControlNet]) -> Model:
    """The model led by ControlNets wherever a conditioning has their hints; the given model stays without."""
    return replace(model, backbone=model.backbone.with_control_nets(nets))


def conditioned(told: Conditioning, nets: Sequence[ControlNet], conditions: Sequence[Tensor | None]) -> Conditioning:
    """The conditioning with a condition [n, 3, h, w] in 0..1 for each ControlNet, in the size that is drawn.

    None leaves a net out. Between two conditionings of which one has a net the other has not, see ``faded``.
    """
    led = {i: net.hint(x) for i, (net, x) in enumerate(zip(nets, conditions, strict=True)) if x is not None}
    return hinted(told, led)


def hinted(told: Conditioning, hints: Mapping[int, Tensor], weight: float = 1.0) -> Conditioning:
    """The conditioning with hints [n, c, h, w] by the numbers of their ControlNets, counting so much."""
    more = {f"{HINT}{i}": hint for i, hint in hints.items()}
    more |= {f"{WEIGHT}{i}": hint.new_full((len(hint), 1, 1, 1), weight) for i, hint in hints.items()}
    return replace(told, spatial={**told.spatial, **more})


def faded(told: Sequence[Conditioning]) -> list[Conditioning]:
    """Keyframes' conditionings (one row each) with the same nets in all: where one has no hint it has a neighbour's,
    which counts nothing, so that between two keyframes a net comes or goes by its weight."""
    numbers = sorted({int(name.removeprefix(HINT)) for each in told for name in each.spatial if name.startswith(HINT)})
    made = list(told)
    for i in numbers:
        there = [k for k, each in enumerate(told) if f"{HINT}{i}" in each.spatial]
        for k in (k for k in range(len(told)) if k not in there):
            nearest = min(there, key=lambda other: abs(other - k))
            made[k] = hinted(made[k], {i: told[nearest].spatial[f"{HINT}{i}"]}, 0.0)
    return made


def as_condition(picture: Tensor, size: tuple[int, int]) -> Tensor:
    """A picture [3, h, w] in 0..1 as a condition [1, 3, h, w] of a drawing of (w, h) px."""
    width, height = size
    return F.interpolate(picture[None], size=(height, width), mode="bilinear", antialias=True, align_corners=False)


def residuals(
    nets: Sequence[ControlNet],
    latents: Tensor,
    level: NoiseLevel,
    told: Conditioning,
    added: dict[str, Any],
    hooks: Hooks | None = None,
) -> tuple[list[Tensor], Tensor] | None:
    """What ControlNets add to the U-Net's skip connections and to its middle, summed over those that lead at a level.

    None where none does. ``told`` has their hints, of which one that goes and one that comes are blended by their
    residuals; ``added``: what SDXL is told beside.
    """
    down: list[Tensor] = []
    mid: Tensor | None = None
    leading = [(i, net) for i, net in enumerate(nets) if net.weight and net.leads(level)]
    for (i, net), part in product(leading, ("", COMING)):
        hint, weight = (told.spatial.get(f"{name}{i}{part}") for name in (HINT, WEIGHT))
        if hint is None or weight is None or (part and not weight.any()):
            continue
        # both conditions read what the net's attentions computed at the keyframes
        here, middle = _residuals(f"control.{i}.", net, latents, level, told, hint, added, hooks)
        scale = (net.weight * weight).to(middle)
        here, middle = [x * scale for x in here], middle * scale
        down = [a + b for a, b in zip(down, here, strict=True)] if down else here
        mid = middle if mid is None else mid + middle
    return None if mid is None else (down, mid)


def _residuals(
    name: str,
    control: ControlNet,
    latents: Tensor,
    level: NoiseLevel,
    told: Conditioning,
    hint: Tensor,
    added: dict[str, Any],
    hooks: Hooks | None,
) -> tuple[list[Tensor], Tensor]:
    """A net's residuals at weight 1, in its precision."""
    net = control.net
    kept: list[Tensor] = []

    def call(x: Tensor) -> Tensor:
        kind = net.dtype
        more = {key: {k: v.to(kind) for k, v in values.items()} for key, values in added.items()}
        down, mid = net(
            x.to(kind),
            level.timestep,
            encoder_hidden_states=told.prompt_embeds.to(kind),
            controlnet_cond=hint.to(kind),
            return_dict=False,
            **more,
        )
        kept[:] = [*down, mid]
        return torch.stack([each.abs().amax() for each in kept])

    with Taps.on(net).call(Call(hooks if control.interpolated else None, network=name)):
        in_safe_precision("the ControlNet", net, call, latents)
    return kept[:-1], kept[-1]
