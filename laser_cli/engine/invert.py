"""Inversion: a picture's latents back to the noise they would have come from, the whole trajectory kept.

``ddim`` is the plain inversion (its re-generation drifts); ``direct`` pins the source to the stored trajectory while
frames are drawn (PnPInversion, ICLR 2024); ``fixed-point`` refines every step first (ReNoise, 2024) and pins as well.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

import torch
from torch import Tensor

from laser_cli.models.base import Backbone, NoiseLevel
from laser_cli.models.conditioning import Conditioning

Method = Literal["ddim", "direct", "fixed-point"]
METHODS: tuple[str, ...] = get_args(Method)
REFINEMENTS = 4


@dataclass(frozen=True)
class Trajectory:
    """A picture's latents [steps + 1, c, h, w], from clean (0) to noise (-1), and the single row of its conditioning.

    ``pinned``: whether a render holds the picture to them, step by step.
    """

    latents: Tensor
    conditioning: Conditioning
    pinned: bool = True

    @property
    def steps(self) -> int:
        return len(self.latents) - 1

    @property
    def noise(self) -> Tensor:
        return self.latents[-1:]

    def every(self, stride: int) -> Trajectory:
        """The same way in longer steps: at every stride-th level from the noise on, and clean (schedule.every)."""
        kept = torch.cat([self.latents[:1], self.latents[1:].flip(0)[::stride].flip(0)])
        return replace(self, latents=kept)


def invert(
    backbone: Backbone,
    z: Tensor,
    levels: Sequence[NoiseLevel],
    conditioning: Conditioning,
    method: Method = "direct",
) -> Iterator[Tensor]:
    """Yields the latents [1, c, h, w] of every noisier level, starting from the clean z; guidance 1.

    The backbone is evaluated at (z_{t-D}, t) (DDIM inversion). ``fixed-point`` goes on from there: it re-evaluates at
    the estimate of z_t and averages the last two noises, which is what the way back will see.
    """
    for level in reversed(levels):
        _, eps = backbone.predict(z, level, conditioning)
        if method == "fixed-point":
            recent: list[Tensor] = []
            for _ in range(REFINEMENTS):
                _, eps = backbone.predict(level.step_back(z, eps), level, conditioning)
                recent = [*recent[-1:], eps]
            eps = torch.stack(recent).mean(0)
        z = level.step_back(z, eps)
        yield z


def nfe(steps: int, method: Method) -> int:
    """Function evaluations of an inversion."""
    return steps * (1 + REFINEMENTS if method == "fixed-point" else 1)
