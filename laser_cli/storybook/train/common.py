"""What every training shares: batches of the world, averaged weights, the learning rate's course, checkpoints."""

from __future__ import annotations

import copy
import json
import math
import os
import random
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor, nn

from laser_cli.storybook.scenes import Scene, sample


def scenes(seed: int) -> Iterator[Scene]:
    """An endless stream of scenes; the same seed gives the same stream."""
    rng = random.Random(seed)
    while True:
        yield sample(rng)


def course(progress: float, warmup: float = 0.01) -> float:
    """Share of the peak learning rate at this progress (0..1): a short warm-up, then a cosine to zero."""
    if progress < warmup:
        return progress / warmup
    return 0.5 + 0.5 * math.cos(math.pi * min(1.0, (progress - warmup) / (1 - warmup)))


class Average:
    """Exponential average of a model's weights."""

    def __init__(self, model: nn.Module, decay: float = 0.999) -> None:
        self.model: Any = copy.deepcopy(model).requires_grad_(False).eval()
        self.decay, self.steps = decay, 0

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        self.steps += 1
        decay = min(self.decay, self.steps / (self.steps + 10))
        for mean, now in zip(self.model.parameters(), model.parameters(), strict=True):
            mean.lerp_(now, 1 - decay)


class Clock:
    """Progress of a training that ends after so many steps or so many minutes, whichever comes first."""

    def __init__(self, steps: int, minutes: float | None) -> None:
        self.steps, self.minutes, self.before, self.start = steps, minutes, 0.0, time.monotonic()

    @property
    def elapsed(self) -> float:
        """Minutes trained, earlier stretches included."""
        return self.before + (time.monotonic() - self.start) / 60

    def progress(self, step: int) -> float:
        return min(1.0, max(step / self.steps, self.elapsed / self.minutes if self.minutes else 0.0))


def save_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Writes a checkpoint so that a kill leaves the old one or the new one, never half of one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    torch.save(state, part)
    os.replace(part, path)


def load_checkpoint(path: Path) -> dict[str, Any] | None:
    return torch.load(path, map_location="cpu", weights_only=False) if path.exists() else None


def save_grid(pictures: Tensor, columns: int, path: Path) -> None:
    """A sheet of pictures, [n, 3, h, w] in 0..1."""
    n, c, h, w = pictures.shape
    rows = math.ceil(n / columns)
    sheet = torch.ones(rows * columns, c, h, w)
    sheet[:n] = pictures.detach().float().cpu().clamp(0, 1)
    sheet = sheet.view(rows, columns, c, h, w).permute(0, 3, 1, 4, 2).reshape(rows * h, columns * w, c)
    Image.fromarray((sheet * 255).round().byte().numpy()).save(path)


def log(path: Path, **values: float | int | str) -> None:
    """One line of the training log."""
    with path.open("a") as f:
        f.write(json.dumps({k: round(v, 5) if isinstance(v, float) else v for k, v in values.items()}) + "\n")
