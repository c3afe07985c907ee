"""What lies over the picture: rain and snowfall, and the style it is drawn in."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from laser_cli.storybook.canvas import Canvas
from laser_cli.storybook.shapes import capsule, circle

_RAIN = tuple((((i * 0.377) % 1) * 2.3 - 1.1, ((i * 0.619 + 0.11 * (i % 3)) % 1) * 2.2 - 1.1) for i in range(26))
_FLAKES = tuple(
    (((i * 0.283 + 0.07) % 1) * 2.1 - 1.05, ((i * 0.617 + 0.05 * (i % 4)) % 1) * 2.1 - 1.05) for i in range(38)
)


def _scattered(count: int) -> tuple[tuple[float, float], ...]:
    """Places in -1.1..1.1, evenly spread for every count (R2 sequence, Roberts 2018)."""
    return tuple(((i * 0.7548776662 % 1) * 2.2 - 1.1, (i * 0.5698402910 % 1) * 2.2 - 1.1) for i in range(count))


def weather(c: Canvas, picture: Tensor) -> Tensor:
    rain, snow = (_scattered(26), _scattered(38)) if c.look.refined else (_RAIN, _FLAKES)
    thin = 0.017 * c.look.line
    streaks = [capsule(c.x, c.y, x + 0.035, y - 0.11, x - 0.035, y + 0.11, thin) for x, y in rain]
    flakes = [circle(c.x, c.y, x, y, 0.03 + 0.008 * (i % 3)) for i, (x, y) in enumerate(snow)]
    for amount, drops, colour, strength in (
        (c.rain, streaks, (0.80, 0.88, 0.97), 0.85),
        (c.snowfall, flakes, (1.0, 1.0, 1.0), 1.0),
    ):
        rows = amount.flatten().nonzero().flatten()
        if len(rows) == 0:
            continue
        shown = (amount[rows] * len(drops) * 1.04 - torch.arange(len(drops), device=c.device)).clamp(0, 1)
        alpha = torch.zeros(len(rows), c.size, c.size, device=c.device)
        for i, drop in enumerate(drops):
            alpha = torch.maximum(alpha, c.cover(drop) * shown[..., i : i + 1])
        picture[rows] = c.over(picture[rows], c.rgb(*colour) * c.light[rows].sqrt(), alpha * strength)
    return picture


def styled(c: Canvas, picture: Tensor) -> Tensor:
    """The pictures in their styles, each mixed in by its weight."""
    picture = picture.clone()
    for name, style in (("flat", _flat), ("sketch", _sketch), ("watercolour", _watercolour)):
        rows = c.style[name].flatten().nonzero().flatten()
        if len(rows):
            drawn = picture[rows]
            picture[rows] = torch.lerp(drawn, style(c.only(rows), drawn), c.style[name][rows][:, None])
    return picture


def _flat(c: Canvas, picture: Tensor) -> Tensor:
    tone = picture.mean(1, keepdim=True)
    return picture * ((tone * 5 + 0.5).floor().clamp_min(0.6) / 5 / tone.clamp_min(0.02))


def _sketch(c: Canvas, picture: Tensor) -> Tensor:
    grey = picture.mean(1, keepdim=True)
    colour, dark, bright = 0.3, 0.5, 0.62
    if c.look.refined:  # a light pencil: what is dark stays legible, and colours show
        grey, colour, dark, bright = 0.2 + 0.8 * grey, 0.45, 0.3, 0.5
    kernel = max(3, c.size // 42) | 1
    near = F.avg_pool2d(F.pad(grey, (kernel // 2,) * 4, mode="replicate"), kernel, 1)
    line = ((near - grey) * 6).abs().clamp(0, 1)
    hatch = c.cover(((((c.x + c.y) / 0.11) % 1 - 0.5).abs() - 0.16) * 0.11, 2)[:, None] * (bright - grey).clamp(0, 1)
    paper = 0.96 - 0.30 * (1 - grey) - 0.55 * line - dark * hatch
    return torch.lerp(paper * c.rgb(1.0, 0.985, 0.94), picture, colour)


def _watercolour(c: Canvas, picture: Tensor) -> Tensor:
    wide = max(3, c.size // 24) | 1
    soft = F.avg_pool2d(F.pad(picture, (wide // 2,) * 4, mode="replicate"), wide, 1)
    pools = 0.5 + 0.5 * torch.sin(c.x * 7 + 2 * torch.sin(c.y * 5)) * torch.sin(c.y * 6 + 1.5 * torch.sin(c.x * 4))
    edge = (soft.mean(1, keepdim=True) - picture.mean(1, keepdim=True)).abs().clamp(0, 0.25)
    paper = c.rgb(1.0, 0.99, 0.95).expand_as(picture)
    return torch.lerp(torch.lerp(picture, soft, 0.55), paper, (0.2 + 0.12 * pools)[:, None]) - 0.5 * edge
