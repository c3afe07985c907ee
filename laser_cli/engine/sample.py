"""Plain sampling: a generator that yields the latents after every step."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import torch
from torch import Tensor

from laser_cli.engine.schedule import Level, NoisePredictor, ddim_step, guide


def denoise(
    eps: NoisePredictor,
    x: Tensor,
    levels: Sequence[Level],
    cond: Tensor,
    uncond: Tensor | None = None,
    guidance: float = 1.0,
) -> Iterator[Tensor]:
    """DDIM from noise x [b, c, h, w]; guided in one batch of 2 b when ``uncond`` is given and guidance is not 1."""
    guided = uncond is not None and guidance != 1
    states = torch.cat([uncond, cond]) if guided and uncond is not None else cond
    for level in levels:
        e = guide(eps(torch.cat([x, x]), level, states), guidance) if guided else eps(x, level, states)
        x = ddim_step(x, e, level.alpha, level.alpha_prev)
        yield x


def last(steps: Iterable[Tensor]) -> Tensor:
    """Runs a sampler to its end."""
    *_, x = steps
    return x
