"""A head in space: an ellipsoid, turned, with places on it and planes through it, as a picture shows them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from laser_cli.storybook.look import Look
from laser_cli.storybook.puppets import BLENDSHAPES, Puppet
from laser_cli.storybook.scenes import Mix
from laser_cli.storybook.shapes import RGB, ellipse

RADII = (0.47, 0.56, 0.47)
CENTRE = 0.02
CAMERA = 3.0
NEAR = 0.82
"""Half the width of what the picture shows, in the units of the head."""


class Spot(NamedTuple):
    """A place on the turned head: coordinates about it as if seen from straight on, and whether it is in sight."""

    u: Tensor
    v: Tensor
    seen: Tensor
    grain: Tensor
    """Size of a pixel in u and v, for anti-aliasing."""


class Face:
    """Tensors of one batch of puppets; x0 and y0 run to the right and downwards, x and y along the tilted head."""

    def __init__(self, puppets: Sequence[Puppet], size: int, device: torch.device, look: Look) -> None:
        self.puppets, self.px, self.device, self.look = puppets, 2.0 * NEAR / size, device, look
        axis = (torch.arange(size, device=device) + 0.5) * self.px - NEAR
        self.y0, self.x0 = (g[None] for g in torch.meshgrid(axis, axis, indexing="ij"))
        self.yaw, self.pitch, self.roll = (
            torch.deg2rad(self.column([getattr(p, angle) for p in puppets])) for angle in ("yaw", "pitch", "roll")
        )
        cos, sin = self.roll.cos(), self.roll.sin()
        pivot = 0.5  # the head tilts about the neck
        self.x = self.x0 * cos + (self.y0 - pivot) * sin
        self.y = -self.x0 * sin + (self.y0 - pivot) * cos + pivot
        self.shape = {name: self.column([p.value(name) for p in puppets]) for name in BLENDSHAPES}

    def column(self, values: Sequence[float]) -> Tensor:
        return torch.tensor(values, device=self.device, dtype=torch.float32).view(-1, 1, 1)

    def share(self, attribute: str, name: str) -> Tensor:
        return self.column([dict(getattr(p, attribute)).get(name, 0.0) for p in self.puppets])

    def colour(self, attribute: str, table: dict[str, RGB]) -> Tensor:
        """The mean colour of a mixture, [n, 3, 1, 1]."""

        def mean(mix: Mix) -> list[float]:
            total = sum(w for _, w in mix)
            return [sum(table[name][i] * w for name, w in mix) / total for i in range(3)]

        rows = [mean(getattr(p, attribute)) for p in self.puppets]
        return torch.tensor(rows, device=self.device)[:, :, None, None]

    def rgb(self, *values: float) -> Tensor:
        return torch.tensor(values, device=self.device).view(1, 3, 1, 1)

    def cover(self, distance: Tensor, grain: Tensor | float = 1.0) -> Tensor:
        return (0.5 - distance / (self.px * grain)).clamp(0, 1)

    def project(self, x: Tensor | float, y: Tensor | float, z: Tensor | float) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """A point of the head, turned by yaw, then pitch: its x, y on the picture, its scale and its depth."""
        across = x * self.yaw.cos() + z * self.yaw.sin()
        depth = -x * self.yaw.sin() + z * self.yaw.cos()
        down = y * self.pitch.cos() - depth * self.pitch.sin()
        depth = y * self.pitch.sin() + depth * self.pitch.cos()
        scale = (CAMERA - RADII[2]) / (CAMERA - depth)
        return across * scale, down * scale + CENTRE, scale, depth

    def spot(self, longitude: float, latitude: float, out: float = 1.0, down: Tensor | float = 0.0) -> Spot:
        """The place at a longitude (to the viewer's right) and a latitude (downwards), in radians."""
        rx, ry, rz = (r * out for r in RADII)
        cx, cy, scale, depth = self.project(
            rx * math.sin(longitude) * math.cos(latitude),
            ry * math.sin(latitude) + down,
            rz * math.cos(longitude) * math.cos(latitude),
        )
        narrow = (self.yaw + longitude).cos().clamp_min(0.12)
        flat = (self.pitch - latitude * 0.6).cos().clamp_min(0.4)
        u, v = (self.x - cx) / (scale * narrow), (self.y - cy) / (scale * flat)
        return Spot(u, v, ((depth - 0.02) / 0.08).clamp(0, 1), 1 / (scale * narrow.sqrt()))

    def surface(self, out: float) -> tuple[Tensor, Tensor, Tensor]:
        """Distance to the outline of the head grown by ``out``; height and depth on it of what each pixel sees."""
        rx, ry, rz = (r * out for r in RADII)
        outline = ellipse(self.x, self.y, 0.0, CENTRE, rx, ry)
        u, v = self.x / rx, (self.y - CENTRE) / ry
        z = (1 - u * u - v * v).clamp_min(0).sqrt() * rz
        y = (self.y - CENTRE) * self.pitch.cos() + z * self.pitch.sin()
        z = -(self.y - CENTRE) * self.pitch.sin() + z * self.pitch.cos()
        return outline, y, self.x * self.yaw.sin() + z * self.yaw.cos()


def over(picture: Tensor, colour: Tensor, alpha: Tensor) -> Tensor:
    return torch.lerp(picture, colour.expand_as(picture), alpha[:, None])


def smooth(a: Tensor, b: Tensor, k: float) -> Tensor:
    """Smooth union of two distances (Quilez, polynomial)."""
    h = (k - (a - b).abs()).clamp_min(0) / k
    return torch.minimum(a, b) - h * h * k * 0.25


def oval(x: Tensor, y: Tensor, rx: Tensor | float, ry: Tensor | float) -> Tensor:
    """First-order distance to an ellipse whose radii may differ by row."""
    k0 = torch.hypot(x / rx, y / ry)
    return k0 * (k0 - 1) / torch.hypot(x / rx**2, y / ry**2).clamp_min(1e-6)
