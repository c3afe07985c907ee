"""The subject: its blended shape, colour, pattern and shading, its shadow and its cap of snow."""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
import torch.nn.functional as F
from torch import Tensor

from laser_cli.storybook.canvas import Canvas, hsl
from laser_cli.storybook.scenes import PATTERNS
from laser_cli.storybook.shapes import SUBJECTS

Layer = tuple[Tensor, Tensor]
"""Coverage [n, h, w] and colour [n, 3, 1, 1]."""


def subject(c: Canvas, picture: Tensor) -> tuple[Tensor, Tensor]:
    """The subject with its shadow; returns the picture and the subject's coverage."""
    size, place = c.column([s.size for s in c.scenes]), c.column([s.place for s in c.scenes])
    (least, most), (far, near) = c.look.radius, c.look.foot
    radius, foot = least + (most - least) * size, far + (near - far) * size
    cx = place * (c.look.margin - radius).clamp_max(0.52)
    lift = c.column(
        [
            sum(w * (0.16 if n in ("star", "heart", "balloon", "rocket") else 0.0) for n, w in s.subject)
            for s in c.scenes
        ]
    )
    x, y = (c.x - cx) / radius, (c.y - (foot - lift - radius)) / radius
    island = c.cover(_spread(c.x - cx, c.y - foot - 0.02, radius * 1.3, radius * 0.34))
    afloat = c.column([sum(w for n, w in s.subject if n in ("boat", "fish")) for s in c.scenes])
    sand = torch.lerp(c.rgb(0.93, 0.84, 0.62), c.rgb(0.93, 0.95, 0.99), c.snow[:, None])
    picture = c.over(picture, sand * c.light, island * c.setting["sea"] * (1 - afloat))
    shadow = torch.exp(-2.2 * (((c.x - cx) / (radius * 0.85)) ** 2 + ((c.y - foot) / (radius * 0.2)) ** 2))
    picture = picture * (1 - 0.42 * shadow * (1 - lift * 2.5))[:, None]
    body, back, front = shapes(c, x, y, radius)
    for part_alpha, colour in back:
        picture = c.over(picture, colour, part_alpha)
    alpha = c.cover(body * radius)
    picture = c.over(picture, body_colour(c, x, y, body, radius), alpha)
    for part_alpha, colour in front:
        picture = c.over(picture, colour, part_alpha)
    mask = alpha
    for part_alpha, _ in back:
        mask = torch.maximum(mask, part_alpha)
    # The cap of snow: what the body covers and the body moved down a little does not.
    shift = int(c.size * 0.035) + 1
    below = F.pad(body[:, None], (0, 0, shift, 0), value=10.0)[:, 0, : c.size]
    capped = alpha * (1 - c.cover(below * radius, 1.5)) * (c.snow * 1.4 - 0.3).clamp(0, 1)
    return c.over(picture, c.rgb(0.97, 0.98, 1.0) * c.light, capped), mask[:, None]


def shapes(c: Canvas, x: Tensor, y: Tensor, radius: Tensor) -> tuple[Tensor, list[Layer], list[Layer]]:
    """Blended body distance, and the coverage and colour of parts behind and before it."""
    n = len(c.scenes)
    body = torch.zeros(n, c.size, c.size, device=c.device)
    layers: tuple[list[Layer], list[Layer]] = ([], [])
    tint = hsl([(s.hue, s.saturation, s.lightness) for s in c.scenes], c.device)
    for name, shape_of in SUBJECTS.items():
        rows = [i for i, s in enumerate(c.scenes) if dict(s.subject).get(name, 0.0) > 0]
        if not rows:
            continue
        at = torch.tensor(rows, device=c.device)
        weight = c.column([dict(c.scenes[i].subject)[name] for i in rows])
        shape = shape_of(x[at], y[at], c.look)
        body.index_add_(0, at, shape.body * weight)
        seen = ((weight - 0.35) / 0.4).clamp(0, 1)
        for parts, layer in ((shape.back, layers[0]), (shape.front, layers[1])):
            for slot, part in enumerate(parts):
                colour = (
                    c.rgb(*part.rgb).expand(len(rows), -1, -1, -1) if part.rgb else (tint[at] * part.shade).clamp(0, 1)
                )
                shown = colour * c.subject_light[at]
                if part.lit:
                    glow = c.rgb(1.0, 0.84, 0.42)
                    shown = torch.lerp(shown, glow.expand_as(shown), c.night[at][:, None])
                coverage = c.cover(part.distance * radius[at]) * seen
                if len(layer) <= slot:
                    layer.append(
                        (
                            torch.zeros(n, c.size, c.size, device=c.device),
                            torch.zeros(n, 3, 1, 1, device=c.device),
                        )
                    )
                # Two blended subjects share a slot: the stronger part's coverage, the mean colour.
                alpha, mean = layer[slot]
                alpha[at] = torch.maximum(alpha[at], coverage)
                mean[at] = torch.where(seen[:, None] > 0, shown, mean[at])
    return body, layers[0], layers[1]


def body_colour(c: Canvas, x: Tensor, y: Tensor, body: Tensor, radius: Tensor) -> Tensor:
    """Hue, pattern and shading of the body, under the light."""
    tint = hsl([(s.hue, s.saturation, s.lightness) for s in c.scenes], c.device)
    bright = c.column([s.lightness for s in c.scenes])[:, None]
    shaded: Tensor | float = 0.45
    if c.look.refined:  # white with light marks, lest it be taken for gray with white ones
        shaded = c.column([0.72 if s.saturation < 0.2 else 0.5 for s in c.scenes])[:, None]
    mark = torch.where(bright < 0.68, torch.lerp(tint, c.rgb(1.0, 0.99, 0.94).expand_as(tint), 0.82), tint * shaded)
    stripe, dot = (
        ((x / 0.5 + 0.25) % 1 - 0.5).abs() - 0.25,
        torch.hypot((x / 0.56) % 1 - 0.5, (y / 0.56) % 1 - 0.5) - 0.29,
    )
    if c.look.refined:
        marks = {
            "striped": c.cover(stripe * 0.5 * radius),
            "dotted": c.cover(dot * 0.56 * radius),
            "checkered": c.cover(_checks(x / 0.4, y / 0.4) * 0.4 * radius),
        }
    else:
        marks = {
            "striped": c.cover(stripe * 0.2),
            "dotted": c.cover(dot * 0.22),
            "checkered": c.cover(torch.sign(torch.sin(x * math.pi / 0.4) * torch.sin(y * math.pi / 0.4)) * 0.1),
        }
    amount = _total(marks[k] * c.column([dict(s.pattern).get(k, 0.0) for s in c.scenes]) for k in PATTERNS)
    colour = torch.lerp(
        tint.expand(-1, -1, c.size, c.size), mark.expand(-1, -1, c.size, c.size), amount[:, None] * 0.95
    )
    shading = (1.06 - 0.2 * (0.55 * x + 0.75 * y)).clamp(0.62, 1.25) - 0.16 * (1 + body * 5).clamp(0, 1)
    shading = torch.lerp(shading, torch.ones_like(shading), c.style["flat"])
    if c.look.refined:  # a darker rim: the outline stands off from ground of the same colour
        shading = shading * (1 - 0.4 * c.cover(-body * radius - 0.022))
    return (colour * shading[:, None]).clamp(0, 1) * c.subject_light


def _checks(x: Tensor, y: Tensor) -> Tensor:
    """Distance to the nearest edge of a chessboard with fields of one unit, negative in every other field."""
    u, v = (x + 0.5) % 1 - 0.5, (y + 0.5) % 1 - 0.5  # from the nearest corner
    return torch.minimum(u.abs(), v.abs()) * torch.sign(torch.sin(x * math.pi) * torch.sin(y * math.pi))


def _spread(x: Tensor, y: Tensor, rx: Tensor, ry: Tensor) -> Tensor:
    """Distance to an ellipse whose radii differ by row."""
    k0 = torch.hypot(x / rx, y / ry)
    k1 = torch.hypot(x / rx**2, y / ry**2).clamp_min(1e-6)
    return k0 * (k0 - 1) / k1


def _total(parts: Iterable[Tensor]) -> Tensor:
    return torch.stack(list(parts)).sum(0)
