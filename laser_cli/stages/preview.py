"""Previews: what the pictures are heading for, decoded now and then while they are drawn."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import numpy as np
import torch

from laser_cli.engine.spec import RenderState
from laser_cli.models.model import Model
from laser_cli.stages.invert import to_array

EVERY, MOST = 2.0, 8
Show = Callable[[list[tuple[int, np.ndarray]]], object]


class PreviewWriter:
    """Shows at most MOST pictures, evenly chosen, whenever EVERY seconds have passed since the last time."""

    def __init__(self, show: Show, clock: Callable[[], float] = time.monotonic) -> None:
        self.show, self.clock, self.last = show, clock, -EVERY

    def update(self, model: Model, state: RenderState, keyframes: Sequence[int], frames: Sequence[int]) -> None:
        """Decodes and shows what a state is heading for; its pictures stand at these places of the animation."""
        now = self.clock()
        if state.clean is None or now - self.last < EVERY:
            return
        self.last = now
        latents = dict(zip((*keyframes, *frames), torch.cat(state.clean), strict=True))
        count = len(latents)
        chosen = sorted({round(i * (count - 1) / (min(MOST, count) - 1)) for i in range(min(MOST, count))})
        pictures = model.decode(torch.stack([latents[i] for i in chosen]))
        self.show([(i, to_array(picture)) for i, picture in zip(chosen, pictures, strict=True)])
