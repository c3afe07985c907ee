"""Where adapters enter a U-Net: hooks at its blocks, removed when their context ends.

In order at each point: cache, then control, then reference, then motion. Control alone also enters the skip connection
of its down block, as in the published code, which adds in place.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from laser_cli.controls.knit.embeddings import expand
from laser_cli.controls.knit.motion import MotionAdapter
from laser_cli.controls.knit.reference import ReferenceAdapter


def points_of(unet: Any) -> tuple[str, ...]:
    """A U-Net's insertion points in the order of a forward pass: the outputs of the down blocks and of the mid block,
    the inputs of the up blocks. SD 1.5's are the published eight, and `mid`, which only v1's reference uses."""
    down, up = (len(blocks) for blocks in (unet.down_blocks, unet.up_blocks))
    return (*(f"down_{i}" for i in range(down)), "mid", *(f"up_{i}" for i in range(up)))


@dataclass(frozen=True)
class Insertion:
    """What enters a forward pass of n rows; whatever is left out changes nothing.

    `control`: maps [n, c, h, w] by point, or [b, c, h, w] with b a divisor of n. `reference` reads `prepared`, its
    `prepare(features)` of b rows (unconditional, conditional). `motion` sees the rows as n / `frames` clips; `pads`
    [b, c, 2, h, w] by point are the maps of the frame before and the frame after each clip.
    """

    control: Mapping[str, Tensor] = field(default_factory=dict)
    reference: ReferenceAdapter | None = None
    prepared: Mapping[str, Tensor] = field(default_factory=dict)
    motion: MotionAdapter | None = None
    frames: int = 1
    pads: Mapping[str, Tensor] = field(default_factory=dict)


@contextmanager
def insert(unet: Any, insertion: Insertion, cache: MutableMapping[str, Tensor] | None = None) -> Iterator[None]:
    """Passes of a `UNet2DConditionModel` (or a `UNetMotionModel`) with adapters inserted.

    `cache` receives the map at each point as it is before anything is added there. Raises ValueError for control,
    reference or pads at points that the U-Net does not have.
    """
    points = points_of(unet)
    unknown = sorted({*insertion.control, *insertion.prepared, *insertion.pads}.difference(points))
    if unknown:
        raise ValueError(f"{', '.join(unknown)}: not an insertion point of this U-Net, which has {', '.join(points)}")
    handles = []
    try:
        for i, block in enumerate(unet.down_blocks):
            handles.append(block.register_forward_hook(_after_down(f"down_{i}", insertion, cache), with_kwargs=True))
        for i, block in enumerate(unet.up_blocks):
            handles.append(block.register_forward_pre_hook(_before_up(f"up_{i}", insertion, cache), with_kwargs=True))
        handles.append(unet.mid_block.register_forward_hook(_after_mid(insertion, cache), with_kwargs=True))
        yield
    finally:
        for handle in handles:
            handle.remove()


def _after_down(point: str, insertion: Insertion, cache: MutableMapping[str, Tensor] | None) -> Any:
    def hook(_module: Any, _args: Any, kwargs: dict[str, Any], output: tuple[Tensor, tuple[Tensor, ...]]) -> Any:
        sample, skips = output
        controlled = _control(point, sample, insertion, cache)
        return _read(point, controlled, kwargs.get("temb"), insertion), (*skips[:-1], controlled)

    return hook


def _after_mid(insertion: Insertion, cache: MutableMapping[str, Tensor] | None) -> Any:
    def hook(_module: Any, _args: Any, kwargs: dict[str, Any], output: Tensor) -> Tensor:
        return _read("mid", _control("mid", output, insertion, cache), kwargs.get("temb"), insertion)

    return hook


def _before_up(point: str, insertion: Insertion, cache: MutableMapping[str, Tensor] | None) -> Any:
    def hook(_module: Any, args: Any, kwargs: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        controlled = _control(point, kwargs["hidden_states"], insertion, cache)
        return args, {**kwargs, "hidden_states": _read(point, controlled, kwargs.get("temb"), insertion)}

    return hook


def _control(point: str, x: Tensor, insertion: Insertion, cache: MutableMapping[str, Tensor] | None) -> Tensor:
    if cache is not None:
        cache[point] = x
    added = insertion.control.get(point)
    return x if added is None else x + expand(added, len(x)).to(x.dtype)


def _read(point: str, x: Tensor, temb: Tensor | None, insertion: Insertion) -> Tensor:
    if insertion.reference is not None and point in insertion.prepared:
        x = insertion.reference.points[point](x, insertion.prepared[point])
    if insertion.motion is not None and point in insertion.motion.points:
        x = insertion.motion.points[point](x, temb, insertion.frames, insertion.pads.get(point))
    return x


def combine(*controls: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Control maps of several nets, added at the points that they share."""
    total: dict[str, Tensor] = {}
    for control in controls:
        for point, added in control.items():
            total[point] = total[point] + added if point in total else added
    return total


def halves(unconditional: Mapping[str, Tensor], conditional: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Control maps for a guided pass: the unconditional rows, then the conditional ones."""
    return {point: torch.cat([unconditional[point], conditional[point]]) for point in conditional}
