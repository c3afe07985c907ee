"""The noise schedule as pure maths: the levels of a trajectory, guidance, and noise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from laser_cli.models.base import NoiseLevel
from laser_cli.models.schedules import Schedule as Schedule


def level_of(timestep: float, alpha: float, next_alpha: float) -> NoiseLevel:
    """A step between two values of alphas_cumprod: signal and noise are sqrt(abar) and sqrt(1 - abar)."""
    return NoiseLevel(timestep, alpha**0.5, (1 - alpha) ** 0.5, next_alpha**0.5, (1 - next_alpha) ** 0.5)


def every(levels: Sequence[NoiseLevel], stride: int) -> list[NoiseLevel]:
    """Every stride-th of the levels, from the noisiest on: the same trajectory from the same noise, in longer steps."""
    kept = levels[::stride]
    last = levels[-1]
    ends = [
        *((level.signal, level.noise, level.begin) for level in kept[1:]),
        (last.next_signal, last.next_noise, last.end),
    ]
    return [
        replace(level, next_signal=signal, next_noise=noise, end=end)
        for level, (signal, noise, end) in zip(kept, ends, strict=True)
    ]


def guide(both: Tensor, scale: float) -> Tensor:
    """Classifier-free guidance of [unprompted half | prompted half]: uncond + scale (cond - uncond).

    It is linear, so that noises and clean latents can be guided alike.
    """
    uncond, cond = both.chunk(2)
    return uncond + scale * (cond - uncond)


def noise_like(shape: tuple[int, ...], seed: int) -> Tensor:
    """Standard normal noise [c, h, w] from a CPU generator, so that no device and no batch size changes it."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))
