"""Clips of v3 to v5b: windows of frames that read each other over time, drawn from coarse to fine.

A long clip is cut into windows that share their ends. The ends are drawn first, as a clip of their own, and what the
U-Net makes of them pads the windows that lie between them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from diffusers import UNetMotionModel
from torch import Tensor

from laser_cli.controls.knit.backbone import KnitBackbone
from laser_cli.controls.knit.insertion import insert
from laser_cli.models.base import NoiseLevel, to_x0_eps
from laser_cli.models.conditioning import Conditioning
from laser_cli.models.numerics import in_safe_precision
from laser_cli.models.parts import quiet

WINDOW = 12
"""Frames that are drawn together at most."""


def windows(count: int) -> list[range]:
    """The windows of a clip: each begins with the frame that the one before it ends with."""
    if count <= WINDOW:
        return [range(count)]
    return [range(first, min(first + WINDOW, count)) for first in range(0, count - 1, WINDOW - 1)]


def depths(count: int) -> list[list[int]]:
    """The frames that are drawn at each depth, all of them first; the next are the ends of the windows of these."""
    found = [list(range(count))]
    while len(found[-1]) > WINDOW:
        numbers = found[-1]
        found.append([numbers[0], *(numbers[window[-1]] for window in windows(len(numbers)))])
    return found


@dataclass(frozen=True)
class Pads:
    """What the U-Net makes of the frames at both ends of a window: maps [b, c, 2, h, w] by insertion point.

    b: the unconditional and the conditional half.
    """

    maps: Mapping[str, Tensor]

    @classmethod
    def between(cls, first: Mapping[str, Tensor], last: Mapping[str, Tensor]) -> Pads:
        """The pads of a window between two frames, each with maps [b, c, h, w]."""
        return cls({point: torch.stack([first[point], last[point]], 2) for point in first})

    def half(self, number: int) -> Pads:
        """Of one half alone."""
        return Pads({point: x[number : number + 1] for point, x in self.maps.items()})


class ClipBackbone:
    """Predicts whole windows; `knit` draws their frames, and the motion modules of its nets let them read each other.

    v3 and v4 draw in AnimateDiff's U-Net, which is made here of the model's.
    """

    def __init__(self, knit: KnitBackbone) -> None:
        self.knit, self.nets = knit, knit.portrait.nets
        unet = knit.inner.unet
        adapter = self.nets.animatediff
        with quiet():  # it speaks of parts that it keeps in float32, which are none here
            self.unet = unet if adapter is None else UNetMotionModel.from_unet2d(unet, adapter).eval()

    def predict(
        self, latents: Tensor, level: NoiseLevel, told: Conditioning, frames: int, pads: Pads | None
    ) -> tuple[Tensor, Tensor]:
        """x0 and eps, float32, of the rows of one clip of so many frames, or of its two halves."""
        insertion, others = self.knit.inserted(told)
        maps = pads.maps if pads else {}
        insertion = replace(insertion, motion=self.nets.motion, frames=frames, pads=maps)
        inner = self.knit.inner
        with insert(self.unet, insertion):
            if self.unet is inner.unet:
                return inner.predict(latents, level, others)
            inner.count(len(latents))

            def call(rows: Tensor) -> Tensor:
                clips = rows.to(self.unet.dtype).unflatten(0, (-1, frames)).transpose(1, 2)
                states = others.prompt_embeds.to(self.unet.dtype)
                out: Tensor = self.unet(clips, level.timestep, encoder_hidden_states=states).sample
                return out.transpose(1, 2).flatten(0, 1)

            out = in_safe_precision("the U-Net", self.unet, call, latents)
        return to_x0_eps(out, latents, level, inner.prediction)
