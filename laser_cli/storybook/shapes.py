"""The subjects of the storybook world as signed distances: negative inside, Euclidean enough for anti-aliasing.

Every subject lives in local coordinates: x to the right, y **down**, feet at y = 1, about two units wide and high.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from laser_cli.storybook.look import Look

RGB = tuple[float, float, float]


class Part(NamedTuple):
    """A detail drawn over the body: its own colour, or the body's scaled by ``shade``; ``lit`` parts glow at night."""

    distance: Tensor
    rgb: RGB | None = None
    shade: float = 1.0
    lit: bool = False


class Shape(NamedTuple):
    """A body (takes the subject's colour and pattern), the parts behind it and those before it."""

    body: Tensor
    front: Sequence[Part] = ()
    back: Sequence[Part] = ()


def circle(x: Tensor, y: Tensor, cx: float, cy: float, r: float) -> Tensor:
    return torch.hypot(x - cx, y - cy) - r


def ellipse(x: Tensor, y: Tensor, cx: float, cy: float, rx: float, ry: float) -> Tensor:
    """First-order distance to an ellipse: k0 (k0 - 1) / k1 (Quilez)."""
    u, v = (x - cx) / rx, (y - cy) / ry
    k0 = torch.hypot(u, v)
    k1 = torch.hypot(u / rx, v / ry).clamp_min(1e-6)
    return k0 * (k0 - 1) / k1


def box(x: Tensor, y: Tensor, cx: float, cy: float, hx: float, hy: float, r: float = 0.0) -> Tensor:
    """Box of half sizes hx, hy with corners rounded by r."""
    dx, dy = (x - cx).abs() - hx + r, (y - cy).abs() - hy + r
    return torch.hypot(dx.clamp_min(0), dy.clamp_min(0)) + torch.maximum(dx, dy).clamp_max(0) - r


def capsule(x: Tensor, y: Tensor, ax: float, ay: float, bx: float, by: float, r: float) -> Tensor:
    """All points within r of the segment a-b."""
    ex, ey = bx - ax, by - ay
    t = (((x - ax) * ex + (y - ay) * ey) / (ex * ex + ey * ey)).clamp(0, 1)
    return torch.hypot(x - ax - t * ex, y - ay - t * ey) - r


def polygon(x: Tensor, y: Tensor, points: Sequence[tuple[float, float]], r: float = 0.0) -> Tensor:
    """Exact distance to a simple polygon (winding by crossings), grown by r."""
    d2 = torch.full_like(x, 1e9)
    sign = torch.ones_like(x)
    ax, ay = points[-1]
    for bx, by in points:
        ex, ey = ax - bx, ay - by
        wx, wy = x - bx, y - by
        t = ((wx * ex + wy * ey) / (ex * ex + ey * ey)).clamp(0, 1)
        d2 = torch.minimum(d2, (wx - t * ex) ** 2 + (wy - t * ey) ** 2)
        above, below, side = y >= by, y < ay, ex * wy > ey * wx
        crosses = (above & below & side) | (~above & ~below & ~side)
        sign = torch.where(crosses, -sign, sign)
        ax, ay = bx, by
    return sign * d2.sqrt() - r


def union(*distances: Tensor) -> Tensor:
    out = distances[0]
    for d in distances[1:]:
        out = torch.minimum(out, d)
    return out


INK: RGB = (0.13, 0.12, 0.16)
CREAM: RGB = (0.97, 0.93, 0.84)
WOOD: RGB = (0.45, 0.30, 0.18)
GLASS: RGB = (0.72, 0.86, 0.95)
WHISKER: RGB = (0.42, 0.36, 0.36)


def ball(x: Tensor, y: Tensor, look: Look) -> Shape:
    return Shape(circle(x, y, 0, 0.05, 0.92), [Part(ellipse(x, y, -0.32, -0.36, 0.2, 0.13), (1.0, 1.0, 1.0))])


def cube(x: Tensor, y: Tensor, look: Look) -> Shape:
    top = [(-0.85, -0.42), (-0.4, -0.85), (0.95, -0.85), (0.5, -0.42)]
    side = [(0.5, -0.42), (0.95, -0.85), (0.95, 0.5), (0.5, 0.97)]
    front = box(x, y, -0.175, 0.28, 0.675, 0.7)
    tops, sides = polygon(x, y, top), polygon(x, y, side)
    return Shape(union(front, tops, sides), [Part(tops, shade=1.35), Part(sides, shade=0.62)])


def star(x: Tensor, y: Tensor, look: Look) -> Shape:
    corners = [
        (r * math.sin(k * math.pi / 5), -r * math.cos(k * math.pi / 5))
        for k in range(10)
        for r in [1.02 if k % 2 == 0 else 0.44]
    ]
    return Shape(polygon(x, y, corners, 0.04))


def heart(x: Tensor, y: Tensor, look: Look) -> Shape:
    lobes = union(circle(x, y, -0.44, -0.33, 0.52), circle(x, y, 0.44, -0.33, 0.52))
    tip = polygon(x, y, [(-0.86, -0.03), (0.0, -0.5), (0.86, -0.03), (0.0, 0.96)], 0.02)
    return Shape(union(lobes, tip))


def tree(x: Tensor, y: Tensor, look: Look) -> Shape:
    crown = union(
        circle(x, y, 0, -0.5, 0.5),
        circle(x, y, -0.45, -0.08, 0.42),
        circle(x, y, 0.45, -0.08, 0.42),
        circle(x, y, 0, 0.0, 0.42),
    )
    trunk = polygon(x, y, [(-0.14, 0.2), (0.14, 0.2), (0.22, 1.0), (-0.22, 1.0)])
    return Shape(crown, back=[Part(trunk, WOOD)])


def house(x: Tensor, y: Tensor, look: Look) -> Shape:
    roof = polygon(x, y, [(-0.98, -0.12), (0.0, -0.95), (0.98, -0.12)], 0.02)
    wall = box(x, y, 0, 0.42, 0.76, 0.58)
    door = box(x, y, 0.0, 0.68, 0.17, 0.32)
    left, right = box(x, y, -0.46, 0.28, 0.16, 0.17), box(x, y, 0.46, 0.28, 0.16, 0.17)
    chimney = box(x, y, 0.5, -0.66, 0.12, 0.25)
    return Shape(
        union(wall, roof),
        [Part(roof, shade=0.55), Part(door, WOOD), Part(union(left, right), GLASS, lit=True)],
        [Part(chimney, (0.5, 0.32, 0.28))],
    )


def mushroom(x: Tensor, y: Tensor, look: Look) -> Shape:
    dome = torch.maximum(ellipse(x, y, 0, 0.12, 1.0, 1.0), y - 0.14)
    stem = box(x, y, 0, 0.55, 0.26, 0.45, 0.12)
    return Shape(dome, back=[Part(stem, CREAM)])


def boat(x: Tensor, y: Tensor, look: Look) -> Shape:
    hull = polygon(x, y, [(-0.98, 0.36), (0.98, 0.36), (0.62, 0.94), (-0.62, 0.94)], 0.02)
    mast = box(x, y, -0.02, -0.3, 0.045 * look.line, 0.68)
    main = polygon(x, y, [(0.08, -0.92), (0.8, 0.22), (0.08, 0.22)])
    jib = polygon(x, y, [(-0.1, -0.7), (-0.1, 0.22), (-0.62, 0.22)])
    return Shape(hull, back=[Part(mast, WOOD), Part(union(main, jib), CREAM)])


def fish(x: Tensor, y: Tensor, look: Look) -> Shape:
    body = ellipse(x, y, -0.16, 0.1, 0.76, 0.54)
    tail = polygon(x, y, [(0.42, 0.1), (0.98, -0.42), (0.84, 0.1), (0.98, 0.62)], 0.02)
    fin = polygon(x, y, [(-0.42, -0.3), (0.1, -0.78), (0.28, -0.26)], 0.02)
    eye, pupil = circle(x, y, -0.54, -0.04, 0.14), circle(x, y, -0.56, -0.04, 0.07)
    return Shape(
        union(body, tail, fin),
        [
            Part(union(torch.maximum(tail, 0.5 - x), torch.maximum(fin, y + 0.3)), shade=0.7),
            Part(eye, (1.0, 1.0, 1.0)),
            Part(pupil, INK),
        ],
    )


def cat(x: Tensor, y: Tensor, look: Look) -> Shape:
    body = ellipse(x, y, 0.08, 0.52, 0.52, 0.5)
    head = ellipse(x, y, -0.1, -0.32, 0.5, 0.42)
    ears = union(
        polygon(x, y, [(-0.58, -0.45), (-0.54, -0.98), (-0.18, -0.66)]),
        polygon(x, y, [(0.38, -0.45), (0.34, -0.98), (-0.02, -0.66)]),
    )
    tail = union(capsule(x, y, 0.5, 0.86, 0.84, 0.6, 0.1), capsule(x, y, 0.84, 0.6, 0.82, 0.1, 0.1))
    nose = Part(polygon(x, y, [(-0.18, -0.17), (-0.02, -0.17), (-0.1, -0.08)], 0.01), (0.95, 0.55, 0.6))
    whole = union(body, head, ears, tail)
    if not look.refined:
        eyes = union(ellipse(x, y, -0.29, -0.36, 0.085, 0.12), ellipse(x, y, 0.09, -0.36, 0.085, 0.12))
        return Shape(whole, [Part(eyes, INK), nose])
    eyes = union(ellipse(x, y, -0.30, -0.37, 0.125, 0.14), ellipse(x, y, 0.10, -0.37, 0.125, 0.14))
    pupils = union(ellipse(x, y, -0.29, -0.36, 0.065, 0.105), ellipse(x, y, 0.09, -0.36, 0.065, 0.105))
    whiskers = union(
        *(
            capsule(x, y, -0.1 + side * 0.26, -0.14 + 0.05 * fan, -0.1 + side * 0.68, -0.16 + 0.16 * fan, 0.024)
            for side in (-1, 1)
            for fan in (-1, 0, 1)
        )
    )
    return Shape(whole, [Part(whiskers, WHISKER), Part(eyes, (0.98, 0.93, 0.62)), Part(pupils, INK), nose])


def flower(x: Tensor, y: Tensor, look: Look) -> Shape:
    petals = union(
        *(
            circle(x, y, 0.42 * math.cos(a), -0.36 + 0.42 * math.sin(a), 0.29)
            for a in [k * math.tau / 6 + 0.52 for k in range(6)]
        )
    )
    stem = box(x, y, 0, 0.55, 0.06 * look.line, 0.5)
    leaf = union(ellipse(x, y, 0.24, 0.66, 0.24, 0.11), ellipse(x, y, -0.24, 0.78, 0.24, 0.11))
    return Shape(
        union(petals, circle(x, y, 0, -0.36, 0.4)),
        [Part(circle(x, y, 0, -0.36, 0.25), (0.98, 0.82, 0.25))],
        [Part(union(stem, leaf), (0.25, 0.55, 0.25))],
    )


def balloon(x: Tensor, y: Tensor, look: Look) -> Shape:
    bag = ellipse(x, y, 0, -0.34, 0.62, 0.66)
    knot = polygon(x, y, [(0.0, 0.26), (0.12, 0.42), (-0.12, 0.42)])
    thin = 0.035 * look.line
    string = union(capsule(x, y, 0, 0.42, 0.07, 0.7, thin), capsule(x, y, 0.07, 0.7, -0.03, 1.0, thin))
    return Shape(
        union(bag, knot),
        [Part(ellipse(x, y, -0.24, -0.6, 0.12, 0.17), (1.0, 1.0, 1.0))],
        [Part(string, WOOD if look.refined else INK)],
    )


def car(x: Tensor, y: Tensor, look: Look) -> Shape:
    lower = box(x, y, 0, 0.42, 0.98, 0.28, 0.14)
    cabin = polygon(x, y, [(-0.62, 0.2), (-0.4, -0.3), (0.32, -0.3), (0.6, 0.2)], 0.06)
    windows = union(
        polygon(x, y, [(-0.46, 0.12), (-0.31, -0.2), (-0.06, -0.2), (-0.06, 0.12)]),
        polygon(x, y, [(0.06, 0.12), (0.06, -0.2), (0.26, -0.2), (0.43, 0.12)]),
    )
    wheels = union(circle(x, y, -0.52, 0.72, 0.27), circle(x, y, 0.52, 0.72, 0.27))
    hubs = union(circle(x, y, -0.52, 0.72, 0.11), circle(x, y, 0.52, 0.72, 0.11))
    return Shape(union(lower, cabin), [Part(windows, GLASS, lit=True), Part(wheels, INK), Part(hubs, (0.8, 0.8, 0.82))])


def bird(x: Tensor, y: Tensor, look: Look) -> Shape:
    body = ellipse(x, y, 0.08, 0.22, 0.62, 0.46)
    head = circle(x, y, -0.46, -0.32, 0.36)
    tail = polygon(x, y, [(0.5, 0.02), (1.0, -0.3), (0.98, 0.16), (0.56, 0.4)], 0.02)
    beak = polygon(x, y, [(-0.76, -0.42), (-0.76, -0.18), (-1.08, -0.26)])
    thin = 0.045 * look.line
    legs = union(capsule(x, y, -0.08, 0.62, -0.08, 0.96, thin), capsule(x, y, 0.22, 0.62, 0.22, 0.96, thin))
    wing = ellipse(x, y, 0.2, 0.18, 0.38, 0.22)
    white = [Part(circle(x, y, -0.55, -0.39, 0.13), (1.0, 1.0, 1.0))] if look.refined else []
    return Shape(
        union(body, head, tail),
        [Part(wing, shade=0.65), *white, Part(circle(x, y, -0.54, -0.38, 0.08), INK)],
        [Part(union(beak, legs), (0.95, 0.6, 0.15))],
    )


def rocket(x: Tensor, y: Tensor, look: Look) -> Shape:
    hull = union(torch.maximum(ellipse(x, y, 0, 0.1, 0.4, 1.1), y - 0.62))
    fins = union(
        polygon(x, y, [(-0.3, 0.16), (-0.74, 0.78), (-0.28, 0.62)], 0.02),
        polygon(x, y, [(0.3, 0.16), (0.74, 0.78), (0.28, 0.62)], 0.02),
    )
    flame = polygon(x, y, [(-0.2, 0.6), (0.2, 0.6), (0.0, 1.04)], 0.01)
    return Shape(
        union(hull, fins),
        [
            Part(torch.maximum(fins, 0.32 - x.abs()), shade=0.6),
            Part(circle(x, y, 0, -0.24, 0.2), INK),
            Part(circle(x, y, 0, -0.24, 0.15), GLASS, lit=True),
        ],
        [Part(flame, (1.0, 0.62, 0.15), lit=True)],
    )


def cup(x: Tensor, y: Tensor, look: Look) -> Shape:
    bowl = polygon(x, y, [(-0.72, -0.5), (0.48, -0.5), (0.36, 0.88), (-0.6, 0.88)], 0.08)
    handle = circle(x, y, 0.56, 0.14, 0.34).abs() - 0.1
    rim = ellipse(x, y, -0.12, -0.52, 0.6, 0.15)
    return Shape(union(bowl, handle), [Part(rim, (0.33, 0.2, 0.13))])


SUBJECTS: dict[str, Callable[[Tensor, Tensor, Look], Shape]] = {
    "ball": ball,
    "cube": cube,
    "star": star,
    "heart": heart,
    "tree": tree,
    "house": house,
    "mushroom": mushroom,
    "boat": boat,
    "fish": fish,
    "cat": cat,
    "flower": flower,
    "balloon": balloon,
    "car": car,
    "bird": bird,
    "rocket": rocket,
    "cup": cup,
}
