"""Driven portraits as clips: windows of frames that read each other over time, by HelloMeme's motion modules.

As published for videos (v3 to v5): at each depth all windows go through the steps together, and a frame of two windows
takes the mean of what they predict. All noise comes from the seed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache, partial

import torch
from torch import Tensor

from laser_cli.controls.knit.backbone import KnitBackbone
from laser_cli.controls.knit.clip import WINDOW, ClipBackbone, Pads, depths, windows
from laser_cli.controls.knit.insertion import hooked
from laser_cli.controls.knit.portrait import read_picture
from laser_cli.engine.sample import denoise, last
from laser_cli.engine.schedule import guide, noise_like
from laser_cli.engine.spec import SamplingParams
from laser_cli.models.base import NoiseLevel
from laser_cli.models.conditioning import Conditioning
from laser_cli.models.model import Model
from laser_cli.stages.invert import Report
from laser_cli.stages.sitting import READ, Sitting

KEPT = 32
"""Frames whose maps are kept while a depth is drawn (about 40 MB each in float32 at 512 px); of longer clips they are
read again at every step, so that memory does not grow."""


def nfe(count: int, steps: int, guidance: float, stills: bool) -> int:
    """Function evaluations of a clip. `stills`: whether its two ends are drawn as stills first (v3, v4)."""
    halves, deep = 2 if guidance != 1 else 1, depths(count)
    drawn = sum(len(window) for numbers in deep for window in windows(len(numbers)))
    padded = deep if stills else deep[:-1]
    ends = [len({end for window in windows(len(numbers)) for end in (window[0], window[-1])}) for numbers in padded]
    read = READ * sum(n if n <= KEPT else n * steps for n in ends)
    return steps * halves * (drawn + (min(count, 2) if stills else 0)) + read


class Clip:
    """A clip under way. `reader`: the U-Net that reads frames, which has no adapters."""

    def __init__(
        self,
        model: Model,
        backbone: KnitBackbone,
        sitting: Sitting,
        params: SamplingParams,
        levels: Sequence[NoiseLevel],
        seed: int,
        report: Report,
        reader: Model,
    ) -> None:
        self.model, self.sitting, self.levels, self.seed = model, sitting, levels, seed
        self.knit, self.backbone, self.report, self.reader = backbone, ClipBackbone(backbone), report, reader
        self.guidance, self.together = params.guidance, params.batch_size >= WINDOW
        self.halves = 2 if params.guidance != 1 else 1
        self.stills = sitting.portrait.nets.animatediff is not None

    def frames(self) -> Iterator[Tensor]:
        """The latents [1, c, h, w] of all frames in order."""
        deep = depths(self.sitting.count)
        shape = (len(deep[0]), *self.sitting.noise.shape[1:])
        noise = noise_like(shape, self.seed).to(self.model.device)
        found: dict[int, Tensor] = {}
        with hooked(self.backbone.unet):
            if self.stills:
                found = self._stills(sorted({deep[0][0], deep[0][-1]}))
            for numbers in reversed(deep):
                rows = [self.sitting.noise_of(number, noise[i : i + 1]) for i, number in enumerate(numbers)]
                drawn = self._depth(numbers, torch.cat(rows), found)
                # v3 and v4 keep what has been read of a frame, v5 reads what was drawn last
                found = {**drawn, **found} if self.stills else {**found, **drawn}
        yield from drawn.values()

    def _stills(self, numbers: Sequence[int]) -> dict[int, Tensor]:
        """Frames drawn one by one, from one noise."""
        told, x = self.sitting.conditioning(numbers), torch.cat([self.sitting.noise_of(number) for number in numbers])
        away = self.sitting.base.beside(told)
        drawn = last(denoise(self.knit, x, self.levels, told, away, self.guidance))
        self.report(len(numbers) * len(self.levels) * self.halves)
        return dict(zip(numbers, drawn.split(1), strict=True))

    def _depth(self, numbers: Sequence[int], x: Tensor, found: dict[int, Tensor]) -> dict[int, Tensor]:
        """Frames in windows, between those that are found already."""
        every, padded = windows(len(numbers)), bool(found)

        @lru_cache(maxsize=KEPT)
        def read(number: int) -> dict[str, Tensor]:
            self.report(READ)
            self.knit.inner.count(READ)
            prompts = torch.cat([self.sitting.negative.prompt_embeds, self.sitting.told([number]).prompt_embeds])
            return read_picture(self.reader.unet, found[number], prompts)

        def pads_of(window: range) -> Pads | None:
            return Pads.between(read(numbers[window[0]]), read(numbers[window[-1]])) if padded else None

        for level in self.levels:
            x0, eps, seen = torch.zeros_like(x), torch.zeros_like(x), x.new_zeros(len(x), 1, 1, 1)
            predict = partial(self._window, numbers, x, level)
            for first in range(0, len(every), self.model.workers.count):
                some = every[first : first + self.model.workers.count]
                tasks = [(window, pads_of(window)) for window in some]
                for window, made in zip(some, self.model.workers.map(predict, tasks), strict=True):
                    rows = slice(window.start, window.stop)
                    x0[rows], eps[rows], seen[rows] = x0[rows] + made[0], eps[rows] + made[1], seen[rows] + 1
                    self.report(len(window) * self.halves)
            x = level.step(x0 / seen, eps / seen)
        return dict(zip(numbers, x.split(1), strict=True))

    def _window(
        self, numbers: Sequence[int], x: Tensor, level: NoiseLevel, task: tuple[range, Pads | None]
    ) -> tuple[Tensor, Tensor]:
        """What is predicted of a window's frames, guided."""
        window, pads = task
        rows, count = x[window.start : window.stop], len(window)
        told = self.sitting.conditioning([numbers[i] for i in window])
        if self.halves == 1:
            return self.backbone.predict(rows, level, told, count, pads.half(1) if pads else None)
        away = self.sitting.base.beside(told)
        if self.together:
            x0, eps = self.backbone.predict(torch.cat([rows, rows]), level, Conditioning.cat([away, told]), count, pads)
        else:
            halves = [
                self.backbone.predict(rows, level, half, count, pads.half(i) if pads else None)
                for i, half in enumerate((away, told))
            ]
            x0, eps = (torch.cat(parts) for parts in zip(*halves, strict=True))
        return guide(x0, self.guidance), guide(eps, self.guidance)
