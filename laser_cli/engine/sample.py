"""Plain sampling: a generator that yields the latents after every step."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise

import torch
from torch import Tensor

from laser_cli.engine.schedule import guide
from laser_cli.engine.workers import Workers
from laser_cli.models.base import Backbone, NoiseLevel
from laser_cli.models.conditioning import Conditioning


def denoise(
    backbone: Backbone,
    x: Tensor,
    levels: Sequence[NoiseLevel],
    cond: Conditioning,
    uncond: Conditioning | None = None,
    guidance: float = 1.0,
    workers: Workers | None = None,
) -> Iterator[Tensor]:
    """Deterministic sampling from noise x [b, c, h, w]; guided when ``uncond`` is given and guidance is not 1.

    ``cond`` and ``uncond`` have b rows. With workers each takes an equal share of the rows of every step.
    """
    guided = uncond is not None and guidance != 1
    told = Conditioning.cat([uncond, cond]) if guided and uncond is not None else cond
    for level in levels:
        x0, eps = predict_rows(backbone, torch.cat([x, x]) if guided else x, level, told, workers)
        if guided:
            x0, eps = guide(x0, guidance), guide(eps, guidance)
        x = level.step(x0, eps)
        yield x


def predict_rows(
    backbone: Backbone, x: Tensor, level: NoiseLevel, told: Conditioning, workers: Workers | None = None
) -> tuple[Tensor, Tensor]:
    """``backbone.predict`` with the rows shared out among workers."""
    shares = min(len(x), workers.count if workers else 1)
    if workers is None or shares < 2:
        return backbone.predict(x, level, told)
    cuts = [len(x) * i // shares for i in range(shares + 1)]
    parts = [slice(a, b) for a, b in pairwise(cuts)]
    done = list(workers.map(lambda rows: backbone.predict(x[rows], level, told.select(rows)), parts))
    return torch.cat([x0 for x0, _ in done]), torch.cat([eps for _, eps in done])


def last(steps: Iterable[Tensor]) -> Tensor:
    """Runs a sampler to its end."""
    *_, x = steps
    return x
