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


def weather(c: Canvas, picture: Tensor) -> Tensor:
    streaks = [capsule(c.x, c.y, x + 0.035, y - 0.11, x - 0.035, y + 0.11, 0.017) for x, y in _RAIN]
    flakes = [circle(c.x, c.y, x, y, 0.03 + 0.008 * (i % 3)) for i, (x, y) in enumerate(_FLAKES)]
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
    if not any(s.style for s in c.scenes):
        return picture
    tone = picture.mean(1, keepdim=True)
    flat = picture * ((tone * 5 + 0.5).floor().clamp_min(0.6) / 5 / tone.clamp_min(0.02))
    picture = torch.lerp(picture, flat, c.style["flat"][:, None])
    grey = picture.mean(1, keepdim=True)
    kernel = max(3, c.size // 42) | 1
    near = F.avg_pool2d(F.pad(grey, (kernel // 2,) * 4, mode="replicate"), kernel, 1)
    line = ((near - grey) * 6).abs().clamp(0, 1)
    hatch = c.cover(((((c.x + c.y) / 0.11) % 1 - 0.5).abs() - 0.16) * 0.11, 2)[:, None] * (0.62 - grey).clamp(0, 1)
    paper = 0.96 - 0.30 * (1 - grey) - 0.55 * line - 0.5 * hatch
    sketch = torch.lerp(paper * c.rgb(1.0, 0.985, 0.94), picture, 0.3)
    picture = torch.lerp(picture, sketch.expand_as(picture), c.style["sketch"][:, None])
    wide = max(3, c.size // 24) | 1
    soft = F.avg_pool2d(F.pad(picture, (wide // 2,) * 4, mode="replicate"), wide, 1)
    pools = 0.5 + 0.5 * torch.sin(c.x * 7 + 2 * torch.sin(c.y * 5)) * torch.sin(c.y * 6 + 1.5 * torch.sin(c.x * 4))
    edge = (soft.mean(1, keepdim=True) - picture.mean(1, keepdim=True)).abs().clamp(0, 0.25)
    wash = (
        torch.lerp(
            torch.lerp(picture, soft, 0.55),
            c.rgb(1.0, 0.99, 0.95).expand_as(picture),
            (0.2 + 0.12 * pools)[:, None],
        )
        - 0.5 * edge
    )
    return torch.lerp(picture, wash, c.style["watercolour"][:, None])
