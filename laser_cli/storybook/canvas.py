"""The canvas of a batch: coordinates, the light of the hour, and how colours are laid over each other."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from laser_cli.storybook.look import Look
from laser_cli.storybook.scenes import SETTINGS, STYLES, Scene

HORIZON = 0.2

# hour, top of the sky, bottom of the sky, colour of the light
_HOURS: tuple[tuple[float, tuple[float, ...], tuple[float, ...], tuple[float, ...]], ...] = (
    (0.0, (0.04, 0.06, 0.20), (0.14, 0.19, 0.40), (0.50, 0.54, 0.76)),
    (4.5, (0.06, 0.08, 0.24), (0.22, 0.24, 0.46), (0.52, 0.56, 0.77)),
    (6.0, (0.40, 0.44, 0.70), (0.98, 0.72, 0.62), (0.86, 0.76, 0.78)),
    (9.0, (0.45, 0.71, 0.95), (0.90, 0.94, 0.94), (0.97, 0.96, 0.93)),
    (12.5, (0.24, 0.58, 0.93), (0.70, 0.88, 0.99), (1.00, 1.00, 1.00)),
    (15.5, (0.36, 0.62, 0.88), (0.96, 0.92, 0.80), (1.00, 0.96, 0.88)),
    (18.8, (0.42, 0.32, 0.58), (1.00, 0.56, 0.26), (0.98, 0.76, 0.60)),
    (20.3, (0.18, 0.16, 0.42), (0.66, 0.38, 0.56), (0.68, 0.60, 0.76)),
    (22.0, (0.06, 0.08, 0.24), (0.20, 0.20, 0.44), (0.51, 0.54, 0.77)),
    (24.0, (0.04, 0.06, 0.20), (0.14, 0.19, 0.40), (0.50, 0.54, 0.76)),
)


class Canvas:
    """Tensors of one batch while it is painted; x and y run from -1 to 1, to the right and downwards."""

    def __init__(self, scenes: Sequence[Scene], size: int, device: torch.device, look: Look) -> None:
        self.scenes, self.size, self.device, self.look = scenes, size, device, look
        self.px = 2.0 / size
        axis = (torch.arange(size, device=device) + 0.5) * self.px - 1
        self.y, self.x = (g[None] for g in torch.meshgrid(axis, axis, indexing="ij"))
        self.hour = self.column([s.hour for s in scenes])
        self.clouds, self.rain = self.column([s.clouds for s in scenes]), self.column([s.rain for s in scenes])
        self.snowfall, self.snow = self.column([s.snowfall for s in scenes]), self.column([s.snow for s in scenes])
        self.sway = self.column([s.sway for s in scenes])
        self.setting = {k: self.column([dict(s.setting).get(k, 0.0) for s in scenes]) for k in SETTINGS}
        self.style = {k: self.column([dict(s.style).get(k, 0.0) for s in scenes]) for k in STYLES}
        self.light = self.hourly(3)
        self.night = 1 - ((self.light.mean(1, keepdim=True)[:, 0] - 0.62) / 0.16).clamp(0, 1)
        gloom = (self.clouds - 0.5).clamp_min(0) * 2 * 0.18
        self.light = self.light * (1 - gloom[:, None])
        self.subject_light = torch.lerp(self.light, torch.ones_like(self.light), look.glow)

    def only(self, rows: Tensor) -> Canvas:
        """The canvas of some of the scenes."""
        return Canvas([self.scenes[i] for i in rows.tolist()], self.size, self.device, self.look)

    def column(self, values: Sequence[float]) -> Tensor:
        return torch.tensor(values, device=self.device, dtype=torch.float32).view(-1, 1, 1)

    def hourly(self, which: int) -> Tensor:
        """Colour table of the hours, interpolated: [n, 3, 1, 1]."""
        marks = torch.tensor([h[0] for h in _HOURS], device=self.device)
        table = torch.tensor([h[which] for h in _HOURS], device=self.device)
        h = self.hour.flatten() % 24
        i = torch.searchsorted(marks, h, right=True).clamp(1, len(_HOURS) - 1)
        t = ((h - marks[i - 1]) / (marks[i] - marks[i - 1]))[:, None]
        return (table[i - 1] * (1 - t) + table[i] * t)[:, :, None, None]

    def cover(self, distance: Tensor, soft: float = 1.0) -> Tensor:
        """Anti-aliased coverage of a distance, softened over so many pixels."""
        return (0.5 - distance / (self.px * soft)).clamp(0, 1)

    def over(self, picture: Tensor, colour: Tensor, alpha: Tensor) -> Tensor:
        return torch.lerp(picture, colour.expand_as(picture), alpha[:, None] if alpha.dim() == 3 else alpha)

    def rgb(self, *values: float) -> Tensor:
        return torch.tensor(values, device=self.device).view(1, 3, 1, 1)


def hsl(colours: Sequence[tuple[float, float, float]], device: torch.device) -> Tensor:
    """Colours as [n, 3, 1, 1] in RGB."""
    hsl = torch.tensor(colours, device=device, dtype=torch.float32)
    h, s, lightness = hsl[:, 0:1] / 30, hsl[:, 1:2], hsl[:, 2:3]
    k = (torch.tensor([0.0, 8.0, 4.0], device=device) + h) % 12
    a = s * torch.minimum(lightness, 1 - lightness)
    return (lightness - a * torch.minimum(k - 3, 9 - k).clamp(-1, 1))[:, :, None, None]
