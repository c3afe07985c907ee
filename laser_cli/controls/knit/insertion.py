"""Where adapters enter a U-Net: hooks at its blocks, removed when their context ends.

In order at each point: cache, then control, then reference, then motion. Control alone also enters the skip connection
of its down block, as in the published code, which adds in place.
"""

from __future__ import annotations

import threading
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


class _Taps(threading.local):
    """What this thread's passes insert and cache; nothing until `insert` says so."""

    insertion: Insertion | None = None
    cache: MutableMapping[str, Tensor] | None = None

    def enter(self, point: str, x: Tensor, temb: Tensor | None) -> tuple[Tensor, Tensor]:
        """The map at a point with control added, and what goes on from there."""
        if self.insertion is None:
            return x, x
        if self.cache is not None:
            self.cache[point] = x
        added = self.insertion.control.get(point)
        controlled = x if added is None else x + expand(added, len(x)).to(x.dtype)
        return controlled, _read(point, controlled, temb, self.insertion)


class _Hooks:
    """The hooks on a U-Net, shared by all that insert into it at a time."""

    def __init__(self, unet: Any) -> None:
        self.taps, self.users = _Taps(), 0
        self._unet, self._handles = unet, []  # type: ignore[var-annotated]

    def put(self) -> None:
        """Hook every point."""
        for i, block in enumerate(self._unet.down_blocks):
            self._handles.append(block.register_forward_hook(self._after_down(f"down_{i}"), with_kwargs=True))
        self._handles.append(self._unet.mid_block.register_forward_hook(self._after_mid, with_kwargs=True))
        for i, block in enumerate(self._unet.up_blocks):
            self._handles.append(block.register_forward_pre_hook(self._before_up(f"up_{i}"), with_kwargs=True))

    def remove(self) -> None:
        """Leave the U-Net as it was."""
        while self._handles:
            self._handles.pop().remove()

    def _after_down(self, point: str) -> Any:
        def hook(_module: Any, _args: Any, kwargs: dict[str, Any], output: tuple[Tensor, tuple[Tensor, ...]]) -> Any:
            sample, skips = output
            controlled, read = self.taps.enter(point, sample, kwargs.get("temb"))
            return read, (*skips[:-1], controlled)

        return hook

    def _after_mid(self, _module: Any, _args: Any, kwargs: dict[str, Any], output: Tensor) -> Tensor:
        return self.taps.enter("mid", output, kwargs.get("temb"))[1]

    def _before_up(self, point: str) -> Any:
        def hook(_module: Any, args: Any, kwargs: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
            _, read = self.taps.enter(point, kwargs["hidden_states"], kwargs.get("temb"))
            return args, {**kwargs, "hidden_states": read}

        return hook


ATTRIBUTE = "_knit_hooks"
"""Where a U-Net keeps its hooks while there are any."""
_attaching = threading.Lock()


@contextmanager
def hooked(unet: Any) -> Iterator[_Taps]:
    """The hooks put on a U-Net, once for all that use them at a time; the last to leave removes them.

    Threads that insert into passes of one U-Net share an outer context: hooks must not come and go beside a pass.
    """
    with _attaching:
        hooks = unet.__dict__.setdefault(ATTRIBUTE, None) or _Hooks(unet)
        unet.__dict__[ATTRIBUTE] = hooks
        hooks.users += 1
        if hooks.users == 1:
            hooks.put()
    try:
        yield hooks.taps
    finally:
        with _attaching:
            hooks.users -= 1
            if not hooks.users:
                hooks.remove()
                del unet.__dict__[ATTRIBUTE]


@contextmanager
def insert(unet: Any, insertion: Insertion, cache: MutableMapping[str, Tensor] | None = None) -> Iterator[None]:
    """This thread's passes of a `UNet2DConditionModel` (or a `UNetMotionModel`) with adapters inserted.

    `cache` receives the map at each point as it is before anything is added there. Raises ValueError for control,
    reference or pads at points that the U-Net does not have.
    """
    points = points_of(unet)
    unknown = sorted({*insertion.control, *insertion.prepared, *insertion.pads}.difference(points))
    if unknown:
        raise ValueError(f"{', '.join(unknown)}: not an insertion point of this U-Net, which has {', '.join(points)}")
    with hooked(unet) as taps:
        before = taps.insertion, taps.cache
        taps.insertion, taps.cache = insertion, cache
        try:
            yield
        finally:
            taps.insertion, taps.cache = before


def _read(point: str, x: Tensor, temb: Tensor | None, insertion: Insertion) -> Tensor:
    if insertion.reference is not None and point in insertion.prepared:
        module = insertion.reference.points[point]
        dtype = next(module.parameters()).dtype
        x = module(x.to(dtype), insertion.prepared[point].to(dtype)).to(x.dtype)
    if insertion.motion is not None and point in insertion.motion.points:
        module, pads = insertion.motion.points[point], insertion.pads.get(point)
        dtype = next(module.parameters()).dtype
        told = None if temb is None else temb.to(dtype)
        x = module(x.to(dtype), told, insertion.frames, None if pads is None else pads.to(dtype)).to(x.dtype)
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
