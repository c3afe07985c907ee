"""What every training shares: drawn batches, averaged weights, learning rate schedule, clock, checkpoints, sheets."""

from __future__ import annotations

import copy
import json
import math
import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor, nn

from laser_cli.models.load import fast_bfloat16
from laser_cli.storybook.look import Look
from laser_cli.storybook.world import Item, draw_with_masks

STOP = threading.Event()
"""Once set, trainings end after the step they are at, with a checkpoint."""
HELD_OUT = 10_000_019
"""The seed of items that no training draws."""
REPORT_EVERY = 20.0
"""Minutes between two sheets and tables of held-out errors."""
SAVE_EVERY = 4.0
"""Minutes between two checkpoints."""


def drawn(items: Sequence[Item], look: Look, device: torch.device | str = "cpu") -> tuple[Tensor, Tensor]:
    """Pictures [n, 3, size, size] and masks [n, 1, size, size] in 0..1, drawn a few at a time (faster on CPUs)."""
    few = 16 if torch.device(device).type == "cpu" else 256
    parts = [draw_with_masks(items[i : i + few], device=device, look=look) for i in range(0, len(items), few)]
    pictures, masks = zip(*parts, strict=True)
    return torch.cat(pictures), torch.cat(masks)


def learning_rate(progress: float, warmup: float = 0.01, level: float = 0.0) -> float:
    """Share of the peak learning rate at ``progress`` (0..1): linear warm-up, ``level`` held at 1, cosine to zero."""
    if progress < warmup:
        return progress / warmup
    fall = (progress - warmup - level) / (1 - warmup - level)
    return 0.5 + 0.5 * math.cos(math.pi * min(1.0, max(0.0, fall)))


class Average:
    """Exponential moving average of a model's weights."""

    def __init__(self, model: nn.Module, decay: float = 0.999) -> None:
        self.model: Any = copy.deepcopy(model).requires_grad_(False).eval()
        self.decay, self.steps = decay, 0

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        self.steps += 1
        decay = min(self.decay, self.steps / (self.steps + 10))
        for mean, now in zip(self.model.parameters(), model.parameters(), strict=True):
            mean.lerp_(now, 1 - decay)


class Run:
    """An interruptible training: models, averages, optimizers, clock and step, saved in one checkpoint.

    It goes on from the checkpoint at ``path`` if there is one, else starts with the models as they are. ``rate`` gives
    the share of the peak learning rate at a progress in 0..1.
    """

    def __init__(
        self,
        path: Path,
        models: Mapping[str, nn.Module],
        optimizers: Sequence[torch.optim.Optimizer],
        decay: float,
        clock: Clock,
        rate: Callable[[float], float] = learning_rate,
    ) -> None:
        self.path, self.models, self.optimizers, self.clock, self.step = path, models, optimizers, clock, 0
        self.rate = rate
        self.means = {name: Average(model, decay) for name, model in models.items()}
        self.peaks = [o.param_groups[0]["lr"] for o in optimizers]
        if state := load_checkpoint(path):
            for name, model in models.items():
                model.load_state_dict(state[name])
                self.means[name].model.load_state_dict(state[f"{name}_average"])
                self.means[name].steps = state["step"]
            for o, s in zip(optimizers, state["optimizers"], strict=True):
                o.load_state_dict(s)
            self.step, clock.before = state["step"], state["minutes"]
        self.saved = self.reported = clock.elapsed

    @property
    def progress(self) -> float:
        """Share of the training that is done, 0..1."""
        return self.clock.progress(self.step)

    @property
    def done(self) -> bool:
        """Whether all of the training is done."""
        return self.progress >= 1

    def going(self) -> bool:
        """Whether to train on (not finished, not told to stop); sets the learning rates of the next step."""
        progress = self.progress
        for o, peak in zip(self.optimizers, self.peaks, strict=True):
            o.param_groups[0]["lr"] = peak * self.rate(progress)
        return progress < 1 and not STOP.is_set()

    def learn(self, loss: Tensor) -> None:
        """One step down the gradient of a loss."""
        loss.backward()
        self.descend()

    def descend(self) -> None:
        """One step down the gradients that are there, their norm clipped at 1; none that is not finite is taken."""
        weights = [p for model in self.models.values() for p in model.parameters()]
        sound = bool(torch.isfinite(torch.nn.utils.clip_grad_norm_(weights, 1.0)))
        for o in self.optimizers:
            if sound:
                o.step()
            o.zero_grad(set_to_none=True)
        if sound:
            for name, model in self.models.items():
                self.means[name].update(model)
        self.step += 1

    def due(self) -> bool:
        """Whether a report is due; saves a checkpoint in between when one is."""
        now = self.clock.elapsed
        if now > self.saved + SAVE_EVERY:
            self.save()
        if now <= self.reported + REPORT_EVERY:
            return False
        self.reported = now
        return True

    def save(self) -> None:
        """Writes the checkpoint."""
        state: dict[str, Any] = {"step": self.step, "minutes": self.clock.elapsed}
        for name, model in self.models.items():
            state |= {name: model.state_dict(), f"{name}_average": self.means[name].model.state_dict()}
        save_checkpoint(self.path, state | {"optimizers": [o.state_dict() for o in self.optimizers]})
        self.saved = self.clock.elapsed


def mixed(device: torch.device | str) -> torch.autocast:
    """bfloat16 autocast on GPUs and on CPUs with bfloat16 matrix instructions; a no-op elsewhere."""
    kind = torch.device(device).type
    return torch.autocast(kind, torch.bfloat16, enabled=kind != "cpu" or fast_bfloat16())


class Clock:
    """Progress of a training that ends after so many steps or so many minutes, whichever comes first.

    Time in which the process lay still (stopped, or the machine asleep) does not count.
    """

    LONGEST = 20.0
    """Seconds between two looks beyond which the process cannot have been at work."""

    def __init__(self, steps: int, minutes: float | None) -> None:
        self.steps, self.minutes, self.before, self.looked = steps, minutes, 0.0, time.monotonic()

    @property
    def elapsed(self) -> float:
        """Minutes trained, earlier stretches included."""
        now = time.monotonic()
        self.before += min(now - self.looked, self.LONGEST) / 60
        self.looked = now
        return self.before

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


def gradient_energy(pictures: Tensor) -> float:
    """Mean squared difference of neighbouring pixels, of pictures [n, c, h, w]: how sharp they are."""
    return float(pictures.diff(dim=-1).square().mean() + pictures.diff(dim=-2).square().mean())


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
