"""What stands behind the subject: the sky and its lights, the far land, the ground and what grows on it."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from laser_cli.storybook.canvas import HORIZON, Canvas
from laser_cli.storybook.scenes import SETTINGS
from laser_cli.storybook.shapes import box, capsule, circle, ellipse, polygon

_GROUND = {  # near the horizon, at the viewer's feet
    "meadow": ((0.56, 0.78, 0.42), (0.30, 0.58, 0.26)),
    "desert": ((0.96, 0.84, 0.58), (0.85, 0.66, 0.38)),
    "sea": ((0.30, 0.62, 0.80), (0.10, 0.36, 0.62)),
    "city": ((0.66, 0.66, 0.70), (0.46, 0.47, 0.53)),
    "mountains": ((0.55, 0.66, 0.45), (0.40, 0.50, 0.34)),
}
_SNOW = ((0.93, 0.95, 0.99), (0.84, 0.88, 0.96))
_STARS = (
    (-0.82, -0.86),
    (-0.55, -0.6),
    (-0.3, -0.9),
    (-0.08, -0.66),
    (0.2, -0.86),
    (0.44, -0.58),
    (0.68, -0.88),
    (0.88, -0.5),
    (-0.9, -0.38),
    (0.62, -0.3),
    (-0.5, -0.26),
    (0.12, -0.4),
)
_CLOUDS = (
    (-0.55, -0.62, 0.30),
    (0.5, -0.74, 0.34),
    (-0.05, -0.42, 0.26),
    (0.82, -0.34, 0.30),
    (-0.88, -0.22, 0.28),
    (0.1, -0.92, 0.36),
)
_TOWERS = (
    (-0.9, 0.15, 0.62),
    (-0.58, 0.13, 0.86),
    (-0.28, 0.15, 0.5),
    (0.3, 0.14, 0.66),
    (0.6, 0.13, 0.94),
    (0.9, 0.14, 0.56),
)


def sky(c: Canvas) -> Tensor:
    depth = ((c.y + 1) / (1 + HORIZON)).clamp(0, 1)[:, None]
    picture = torch.lerp(
        c.hourly(1).expand(-1, -1, c.size, c.size),
        c.hourly(2).expand(-1, -1, c.size, c.size),
        depth,
    )
    overcast = ((c.clouds - 0.45) / 0.55).clamp(0, 1)
    grey = c.light.mean(1, keepdim=True) * c.rgb(0.70, 0.74, 0.80)
    picture = c.over(picture, grey, overcast * 0.8)
    for x, y in _STARS:
        picture = c.over(
            picture,
            c.rgb(1.0, 0.98, 0.86),
            c.cover(circle(c.x, c.y, x, y, 0.022 * c.look.line)) * c.night * (1 - overcast),
        )
    for rise, length, radius, colour in (
        (5.0, 15.0, 0.17, (1.0, 0.90, 0.45)),
        (19.6, 10.6, 0.15, (0.97, 0.96, 0.86)),
    ):
        t = ((c.hour - rise) % 24) / length
        up = ((0.5 - (t - 0.5).abs()) * length).clamp(0, 1)  # fades in and out within an hour
        d = (
            torch.hypot(c.x - (1.56 * t - 0.78), c.y - (HORIZON - 0.02 - 0.92 * torch.sin(math.pi * t.clamp(0, 1))))
            - radius
        )
        glow = torch.exp(-d.clamp_min(0) * 7) * 0.35
        picture = c.over(picture, c.rgb(*colour), torch.maximum(c.cover(d), glow) * up * (1 - overcast))
    shade = torch.lerp(c.rgb(1.0, 1.0, 1.0), c.rgb(0.80, 0.82, 0.87), overcast[:, None])
    for i, (cx, cy, r) in enumerate(_CLOUDS):
        grown = ((c.clouds - 0.03 - i * 0.13) * 6).clamp(0, 1)
        scale = r * (0.75 + 0.25 * grown)
        u, v = (c.x - cx - (c.sway - 0.5) * 0.12) / scale, (c.y - cy) / scale
        puff = torch.minimum(
            torch.minimum(circle(u, v, -0.45, 0.05, 0.36), circle(u, v, 0.02, -0.12, 0.46)),
            torch.minimum(circle(u, v, 0.5, 0.04, 0.36), box(u, v, 0, 0.22, 0.84, 0.2, 0.19)),
        )
        picture = c.over(picture, c.light.mean(1, keepdim=True).sqrt() * shade, c.cover(puff * scale, 2) * grown * 0.92)
    return picture


def land(c: Canvas, picture: Tensor) -> Tensor:
    light, snow = c.light, c.snow[:, None]
    haze = torch.lerp(c.rgb(0.62, 0.68, 0.78), c.rgb(0.9, 0.93, 0.98), snow * 0.5)
    picture = picture.clone()
    for name, far in (("mountains", _mountains), ("city", _towers)):
        rows = c.setting[name].flatten().nonzero().flatten()
        if len(rows):
            picture[rows] = far(c.only(rows), picture[rows])
    for name in ("meadow", "desert"):
        hill = ellipse(c.x, c.y, 0.55 if name == "meadow" else -0.5, HORIZON + 0.16, 0.95, 0.34)
        colour = torch.tensor(_GROUND[name][0], device=c.device).view(1, 3, 1, 1) * 0.86
        colour = torch.lerp(colour, c.rgb(0.86, 0.89, 0.95), snow)
        picture = c.over(picture, torch.lerp(colour, haze, torch.tensor(0.2)) * light, c.cover(hill) * c.setting[name])
    wave = HORIZON + 0.025 * torch.sin(c.x * 3.1 + c.sway * 2) * (1 - c.setting["sea"] - c.setting["city"])
    depth = ((c.y - HORIZON) / (1 - HORIZON)).clamp(0, 1)[:, None]
    near, foot = (mixed_ground(c, i) for i in (0, 1))
    ground = torch.lerp(near.expand(-1, -1, c.size, c.size), foot.expand(-1, -1, c.size, c.size), depth)
    ripples = torch.sin((c.y - HORIZON).clamp_min(0).sqrt() * 46 + 1.2 * torch.sin(c.x * 5 + c.sway * 3))
    ground = ground + (ripples * 0.05 * c.setting["sea"])[:, None]
    dunes = torch.sin((c.y - HORIZON) * 13 - 1.6 * torch.sin(c.x * 2.2 + c.sway * 2))
    ground = ground + (dunes * 0.03 * c.setting["desert"])[:, None]
    lane = (((c.x / (0.35 + depth[:, 0])) * 2.2) % 1 - 0.5).abs()
    ground = ground - (c.cover((lane - 0.03) * 0.3, 2) * 0.07 * c.setting["city"])[:, None]
    blanket = c.snow * (1 - 0.55 * c.setting["sea"])
    white = torch.lerp(c.rgb(*_SNOW[0]), c.rgb(*_SNOW[1]), depth)
    picture = c.over(
        picture, torch.lerp(ground, white.expand_as(ground), blanket[:, None]) * light, c.cover(wave - c.y)
    )
    return tufts(c, picture)


def _mountains(c: Canvas, picture: Tensor) -> Tensor:
    light = c.light
    weight = c.setting["mountains"]
    for cx, half, height, shade in ((-0.45, 0.75, 0.86, 0.86), (0.55, 0.62, 0.62, 1.0)):
        h = height * weight.clamp_min(1e-3)
        d = c.y - (HORIZON + 0.1 - h * (1 - (c.x - cx).abs() / half).clamp_min(0))
        rock = c.cover(-d, 1.5) * ((c.x - cx).abs() < half) * (weight > 0.02)
        lit = torch.where(c.x < cx, 1.0, 0.84)[:, None]
        body = c.rgb(0.50, 0.50, 0.58) * lit * shade
        peak = ((HORIZON + 0.1 - c.y) / h - 0.62 + c.snow * 0.62) * 8 + 0.6 * torch.sin(c.x * 26)
        body = torch.lerp(body, c.rgb(0.95, 0.96, 1.0) * lit.clamp_min(0.9), peak.clamp(0, 1)[:, None])
        picture = c.over(picture, body * light, rock)
    return picture


def _towers(c: Canvas, picture: Tensor) -> Tensor:
    light = c.light
    weight = c.setting["city"]
    for i, (cx, half, height) in enumerate(_TOWERS):
        h = height * weight
        tower = box(c.x, c.y, cx, HORIZON + 0.15, half, 10.0)
        tower = torch.maximum(tower, HORIZON + 0.05 - h - c.y)
        alpha = c.cover(tower) * (weight > 0.02)
        wall = c.rgb(*((0.55, 0.52, 0.60), (0.66, 0.56, 0.52), (0.48, 0.55, 0.64))[i % 3])
        cap = c.cover((c.y - (HORIZON + 0.05 - h + 0.07 * c.snow)), 1.5) * c.snow
        wall = c.over((wall * light).expand(-1, -1, c.size, c.size), c.rgb(0.95, 0.97, 1.0) * light, cap)
        u, v = ((c.x - cx) / 0.12 + 0.5) % 1 - 0.5, ((c.y - HORIZON + 0.02) / 0.17) % 1 - 0.5
        panes = c.cover(box(u, v, 0, 0, 0.26, 0.26) * 0.12) * ((c.x - cx).abs() < 0.13) * (c.y > HORIZON + 0.12 - h)
        glass = torch.lerp(c.rgb(0.36, 0.42, 0.52) * light, c.rgb(1.0, 0.86, 0.45), c.night[:, None])
        picture = c.over(picture, c.over(wall, glass, panes), alpha)
    return picture


def tufts(c: Canvas, picture: Tensor) -> Tensor:
    """What grows on the ground: flowers in a meadow, a cactus in the desert, pines below the mountains."""
    bare = 1 - c.snow
    for i, (x, y) in enumerate(((-0.8, 0.5), (-0.3, 0.88), (0.35, 0.9), (0.78, 0.56), (0.88, 0.86), (-0.85, 0.84))):
        bloom = c.cover(circle(c.x, c.y, x, y, 0.045))
        picture = c.over(
            picture,
            c.rgb(*((0.98, 0.95, 0.9), (0.98, 0.8, 0.3), (0.94, 0.5, 0.6))[i % 3]) * c.light,
            bloom * c.setting["meadow"] * bare,
        )
    cactus = torch.minimum(
        capsule(c.x, c.y, 0.86, 0.34, 0.86, -0.06, 0.055),
        torch.minimum(capsule(c.x, c.y, 0.86, 0.2, 0.7, 0.14, 0.04), capsule(c.x, c.y, 0.7, 0.14, 0.7, 0.02, 0.04)),
    )
    picture = c.over(
        picture,
        torch.lerp(c.rgb(0.30, 0.55, 0.34), c.rgb(0.9, 0.94, 0.97), c.snow[:, None] * 0.75) * c.light,
        c.cover(cactus) * c.setting["desert"],
    )
    for x, foot, h in ((-0.88, 0.4, 0.42), (0.84, 0.36, 0.36)):
        pine = polygon(c.x, c.y, [(x - h * 0.36, foot), (x, foot - h), (x + h * 0.36, foot)])
        picture = c.over(
            picture,
            torch.lerp(c.rgb(0.18, 0.38, 0.28), c.rgb(0.88, 0.92, 0.97), c.snow[:, None] * 0.75) * c.light,
            c.cover(pine) * c.setting["mountains"],
        )
    return picture


def mixed_ground(c: Canvas, which: int) -> Tensor:
    """The settings' ground colours by their weights, [n, 3, 1, 1]; 0 is at the horizon, 1 at the viewer's feet."""
    weights = torch.stack([c.setting[k] for k in SETTINGS])
    colours = torch.stack([c.rgb(*_GROUND[k][which]) for k in SETTINGS])
    return (weights[:, :, None] * colours).sum(0) / weights.sum(0)[:, None]
