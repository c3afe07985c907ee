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

from laser_cli.engine.schedule import Level, NoisePredictor, ddim_step

Method = Literal["ddim", "direct", "fixed-point"]
METHODS: tuple[str, ...] = get_args(Method)
REFINEMENTS = 4


@dataclass(frozen=True)
class Trajectory:
    """A source's latents [steps + 1, c, h, w], from clean (0) to noise (-1), with the prompt's states [1, l, d]."""

    latents: Tensor
    states: Tensor
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
    eps: NoisePredictor, z: Tensor, levels: Sequence[Level], states: Tensor, method: Method = "direct"
) -> Iterator[Tensor]:
    """Yields the latents [1, c, h, w] of every noisier level, starting from the clean z; guidance 1.

    The U-Net is evaluated at (z_{t-D}, t) (DDIM inversion). ``fixed-point`` goes on from there: it re-evaluates at the
    estimate of z_t and averages the last two noises, which is what the way back will see.
    """
    for level in reversed(levels):
        e = eps(z, level, states)
        if method == "fixed-point":
            recent: list[Tensor] = []
            for _ in range(REFINEMENTS):
                e = eps(ddim_step(z, e, level.alpha_prev, level.alpha), level, states)
                recent = [*recent[-1:], e]
            e = torch.stack(recent).mean(0)
        z = ddim_step(z, e, level.alpha_prev, level.alpha)
        yield z


def evaluations(steps: int, method: Method) -> int:
    """U-Net evaluations of an inversion."""
    return steps * (1 + REFINEMENTS if method == "fixed-point" else 1)
