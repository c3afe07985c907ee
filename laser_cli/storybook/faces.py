"""Draws puppets: a head in space, turned, its features carried along in perspective; batched, at any resolution.

Features sit on the head at a longitude and latitude; hair and hats are cut from it by planes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from laser_cli.storybook.face_space import RADII, Face, oval, over, smooth
from laser_cli.storybook.look import SHIPPED, Look
from laser_cli.storybook.puppets import Puppet
from laser_cli.storybook.shapes import RGB, box, capsule, circle, ellipse

_SKIN: tuple[RGB, ...] = (
    (1.0, 0.87, 0.78),
    (0.97, 0.77, 0.62),
    (0.86, 0.63, 0.45),
    (0.62, 0.42, 0.28),
    (0.38, 0.25, 0.18),
)
_HAIR: dict[str, RGB] = {
    "black": (0.12, 0.11, 0.14),
    "brown": (0.40, 0.24, 0.14),
    "blonde": (0.95, 0.80, 0.42),
    "red": (0.80, 0.34, 0.12),
    "gray": (0.68, 0.69, 0.73),
}
_EYES: dict[str, RGB] = {
    "brown": (0.45, 0.25, 0.10),
    "blue": (0.15, 0.45, 0.90),
    "green": (0.15, 0.62, 0.25),
    "gray": (0.52, 0.56, 0.62),
}
_HATS: dict[str, RGB] = {
    "red": (0.85, 0.18, 0.18),
    "blue": (0.18, 0.35, 0.80),
    "green": (0.18, 0.58, 0.30),
    "yellow": (0.98, 0.80, 0.20),
    "black": (0.16, 0.16, 0.20),
}
_BACKGROUNDS: dict[str, RGB] = {
    "blue": (0.55, 0.75, 0.95),
    "green": (0.62, 0.85, 0.60),
    "yellow": (0.99, 0.90, 0.55),
    "pink": (0.98, 0.72, 0.80),
    "purple": (0.76, 0.66, 0.93),
    "gray": (0.78, 0.79, 0.81),
}


def draw_puppets(
    puppets: Sequence[Puppet], size: int | None = None, device: torch.device | str = "cpu", look: Look = SHIPPED
) -> tuple[Tensor, Tensor]:
    """Pictures, and how much each pixel matters (features most, then the head): [n, 3|1, size, size] in 0..1."""
    f = Face(puppets, size or look.size, torch.device(device), look)
    skin = _skin(f)
    picture = _behind(f, _background(f), skin)
    picture, head = _head(f, picture, skin)
    features = torch.zeros_like(head)
    for part in (_mouth, _nose, _eyes, _brows):
        picture, covered = part(f, picture, skin)
        features = torch.maximum(features, covered)
    picture = _hats(f, _glasses(f, _hair(f, picture)))
    return picture.clamp(0, 1), (0.5 * head + features).clamp(0, 1)[:, None]


def _skin(f: Face) -> Tensor:
    table = torch.tensor(_SKIN, device=f.device)
    at = f.column([p.skin for p in f.puppets]).flatten().clamp(0, 1) * (len(_SKIN) - 1)
    low = at.floor().long().clamp_max(len(_SKIN) - 2)
    return torch.lerp(table[low], table[low + 1], (at - low)[:, None])[:, :, None, None]


def _background(f: Face) -> Tensor:
    colour = f.colour("background", _BACKGROUNDS)
    glow = torch.exp(-1.1 * (f.x0**2 + (f.y0 + 0.15) ** 2))[:, None]
    return (colour * (0.86 + 0.2 * glow)).clamp(0, 1)


def _behind(f: Face, picture: Tensor, skin: Tensor) -> Tensor:
    """What the head hides: long or curly hair, a bun, neck and shoulders, ears."""
    hair = f.colour("hair_colour", _HAIR) * 0.82
    turn = -0.10 * f.yaw.sin()
    long = torch.minimum(
        ellipse(f.x - turn, f.y, 0.0, 0.0, 0.60, 0.64),
        box(f.x - turn * 1.4, f.y, 0.0, 0.42, 0.55, 0.46, 0.2),
    )
    picture = over(picture, hair, f.cover(long) * f.share("hair", "long"))
    curls = ellipse(f.x - turn, f.y, 0.0, -0.1, 0.56, 0.58)
    for i in range(13):
        angle = math.pi * (0.92 + 1.16 * i / 12)
        curls = torch.minimum(curls, circle(f.x - turn, f.y, 0.57 * math.cos(angle), 0.57 * math.sin(angle), 0.155))
    picture = over(picture, hair, f.cover(curls) * f.share("hair", "curly"))
    if f.look.refined:  # short hair goes on behind a turned head
        outline, y, _ = f.surface(1.09)
        back = torch.maximum(outline, y - 0.07)
        picture = over(picture, hair, f.cover(back) * (f.share("hair", "short") + f.share("hair", "bun")))
    x, y, scale, _ = f.project(0.0, -0.62, -0.08)
    picture = over(picture, hair, f.cover(torch.hypot(f.x - x, f.y - y) - 0.21 * scale) * f.share("hair", "bun"))
    neck = box(f.x0 - 0.3 * (f.x0 - f.x).mean((1, 2), keepdim=True), f.y0, 0.0, 0.68, 0.17, 0.3, 0.05)
    picture = over(picture, skin * 0.84, f.cover(neck))
    shirt = torch.minimum(ellipse(f.x0, f.y0, 0.0, 1.12, 0.74, 0.40), box(f.x0, f.y0, 0.0, 1.3, 0.74, 0.2))
    picture = over(picture, f.rgb(0.36, 0.42, 0.58), f.cover(torch.maximum(shirt, -circle(f.x0, f.y0, 0, 0.62, 0.19))))
    for side in (-1, 1):
        x, y, scale, depth = f.project(side * 0.49, 0.02, -0.04)
        ear = torch.hypot((f.x - x) / 0.72, f.y - y) - 0.12 * scale
        picture = over(picture, skin * 0.92, f.cover(ear) * ((depth + 0.36) / 0.1).clamp(0, 1))
    return picture


def _head(f: Face, picture: Tensor, skin: Tensor) -> tuple[Tensor, Tensor]:
    """Skull, jaw and cheeks in one outline, shaded."""
    outline, _, _ = f.surface(1.0)
    x, y, scale, _ = f.project(0.0, 0.36 + 0.13 * f.shape["jawOpen"], 0.16)
    jaw = torch.hypot(f.x - x, f.y - y) - 0.29 * scale
    outline = smooth(outline, jaw, 0.08)
    for side in (-1, 1):
        x, y, scale, _ = f.project(side * 0.31, 0.25, 0.2)
        puff = torch.hypot(f.x - x, f.y - y) - (0.08 + 0.20 * f.shape["cheekPuff"]) * scale
        outline = smooth(outline, puff, 0.05)
    shade = 1.05 - 0.10 * (0.5 * f.x + 0.7 * f.y) - 0.13 * (1 + outline * 5).clamp(0, 1)
    alpha = f.cover(outline)
    picture = over(picture, skin * shade[:, None], alpha)
    for side, name in ((-1, "Right"), (1, "Left")):
        cheek = f.spot(side * 0.68, 0.42)
        warm = 0.16 + 0.5 * f.shape["cheekPuff"] + 0.14 * f.shape[f"mouthSmile{name}"]
        blush = torch.exp(-((cheek.u**2 + cheek.v**2) / 0.013)) * warm * cheek.seen
        picture = over(picture, f.rgb(0.93, 0.36, 0.36), blush * alpha)
    return picture, alpha


def _mouth(f: Face, picture: Tensor, skin: Tensor) -> tuple[Tensor, Tensor]:
    s, shape = f.spot(0.0, 0.66, down=0.02 * f.shape["jawOpen"]), f.shape
    smile = 0.5 * (shape["mouthSmileLeft"] + shape["mouthSmileRight"])
    pucker = shape["mouthPucker"]
    wide = 0.185 * (1 + 0.28 * smile - 0.5 * pucker - 0.12 * shape["jawOpen"] - 0.1 * shape["cheekPuff"])
    q = (s.u / wide).clamp(-1.15, 1.15)
    left = (0.5 + 0.8 * q).clamp(0, 1)  # u > 0 is the puppet's left
    lift = torch.lerp(
        0.12 * shape["mouthSmileRight"] - 0.11 * shape["mouthFrownRight"],
        0.12 * shape["mouthSmileLeft"] - 0.11 * shape["mouthFrownLeft"],
        left,
    )
    middle = -lift * (q * q - 0.45)
    dome = (1 - q * q).clamp_min(0)
    lip = (0.004 if f.look.refined else 0.016) + ((0.034 if f.look.refined else 0.022) + 0.05 * pucker) * dome.sqrt()
    gape = (0.27 * shape["jawOpen"] + 0.05 * smile) * dome.sqrt()
    edge = s.u.abs() - wide
    lips = torch.maximum(torch.maximum(middle - lip - s.v, s.v - middle - lip - gape), edge)
    inside = torch.maximum(torch.maximum(middle - s.v, s.v - middle - gape), edge + 0.01)
    teeth = torch.maximum(inside, s.v - middle - (0.03 + 0.045 * smile) * dome.sqrt())
    rose = torch.lerp(skin, f.rgb(0.80, 0.24, 0.28).expand_as(skin), 0.72)
    picture = over(picture, rose * 0.92, f.cover(lips, s.grain) * s.seen)
    open_ = (gape / 0.03).clamp(0, 1)
    picture = over(picture, f.rgb(0.30, 0.06, 0.09), f.cover(inside, s.grain) * s.seen * open_)
    picture = over(picture, f.rgb(0.98, 0.97, 0.95), f.cover(teeth, s.grain) * s.seen * open_)
    return picture, f.cover(lips - 0.04) * s.seen


def _nose(f: Face, picture: Tensor, skin: Tensor) -> tuple[Tensor, Tensor]:
    """A tip that stands off the face: it moves farther than the rest when the head turns."""
    x, y, scale, _ = f.project(0.0, 0.12, RADII[2] * 1.22)
    bx, by, _, _ = f.project(0.0, -0.08, RADII[2] * 0.98)
    along = torch.stack([x - bx, y - by])
    t = (((f.x - bx) * along[0] + (f.y - by) * along[1]) / (along**2).sum(0)).clamp(0, 1)
    ridge = torch.hypot(f.x - bx - t * along[0], f.y - by - t * along[1]) - (0.018 + 0.04 * t * t)
    tip = torch.hypot((f.x - x) / 1.2, f.y - y) - 0.058 * scale
    picture = over(picture, skin * 0.90, f.cover(ridge, 2))
    picture = over(picture, skin * 0.80, f.cover(tip))
    return over(picture, skin * 1.06, f.cover(torch.hypot(f.x - x + 0.015, f.y - y + 0.02) - 0.024)), f.cover(tip)


def _eyes(f: Face, picture: Tensor, skin: Tensor) -> tuple[Tensor, Tensor]:
    iris = f.colour("eyes", _EYES)
    covered = torch.zeros_like(f.x)
    for side, name in ((-1, "Right"), (1, "Left")):
        s, shape = f.spot(side * 0.47, -0.12), {k: f.shape[k + name] for k in _EYE_SHAPES}
        opening = 1 - 0.93 * shape["eyeBlink"]
        rx, ry = 0.135, 0.115 * opening
        v = s.v - 0.05 * shape["eyeBlink"] * (1 - (s.u / rx) ** 2).clamp_min(0)  # a shut lid curves downwards
        eye = torch.maximum(oval(s.u, v, rx, ry), -ry)  # the oval of a shut lid has no inside
        white = f.cover(eye, s.grain) * s.seen
        picture = over(picture, f.rgb(0.99, 0.99, 0.98), white)
        gx = side * (shape["eyeLookOut"] - shape["eyeLookIn"]) * 0.068
        gy = (shape["eyeLookDown"] - shape["eyeLookUp"]) * 0.055
        d = torch.hypot(s.u - gx, s.v - gy)
        picture = over(picture, iris, f.cover(d - 0.074, s.grain) * white)
        picture = over(picture, f.rgb(0.05, 0.05, 0.07), f.cover(d - 0.036, s.grain) * white)
        glint = torch.hypot(s.u - gx + 0.025, s.v - gy + 0.028) - 0.017
        picture = over(picture, f.rgb(1.0, 1.0, 1.0), f.cover(glint, s.grain) * white)
        lid = eye.abs() - torch.where(v < 0, 0.017, 0.006 + 0.012 * shape["eyeBlink"]) * f.look.line
        lid = torch.maximum(lid, s.u.abs() - rx - 0.012)
        picture = over(picture, skin * 0.25, f.cover(lid, s.grain) * s.seen)
        covered = torch.maximum(covered, f.cover(torch.hypot(s.u, s.v) - 0.15) * s.seen)
    return picture, covered


_EYE_SHAPES = ("eyeBlink", "eyeLookUp", "eyeLookDown", "eyeLookIn", "eyeLookOut")


def _brows(f: Face, picture: Tensor, skin: Tensor) -> tuple[Tensor, Tensor]:
    colour = f.colour("hair_colour", _HAIR) * 0.7
    covered = torch.zeros_like(f.x)
    for side, name in ((-1, "Right"), (1, "Left")):
        s = f.spot(side * 0.47, -0.44)
        up, down = f.shape["browInnerUp"], f.shape[f"browDown{name}"]
        u = s.u * side  # 0 is the middle of the brow, negative its inner end
        inner, outer = 0.02 - 0.11 * up + 0.13 * down, 0.02 - 0.01 * up + 0.005 * down
        t = ((u + 0.13) / 0.26).clamp(0, 1)
        line = inner + (outer - inner) * t - 0.10 * t * (1 - t)
        brow = torch.hypot((u - u.clamp(-0.13, 0.13)), s.v - line) - 0.028 * f.look.line
        alpha = f.cover(brow, s.grain) * s.seen
        picture = over(picture, colour, alpha)
        covered = torch.maximum(covered, alpha)
    return picture, covered


def _glasses(f: Face, picture: Tensor) -> Tensor:
    worn = f.column([p.glasses for p in f.puppets])
    frame = f.rgb(0.13, 0.12, 0.16)
    for side in (-1, 1):
        s = f.spot(side * 0.47, -0.11, out=1.04)
        ring = (torch.hypot(s.u, s.v) - 0.185).abs() - 0.019 * f.look.line
        picture = over(picture, frame, f.cover(ring, s.grain) * s.seen * worn)
    s = f.spot(0.0, -0.14, out=1.06)
    bridge = capsule(s.u, s.v, -0.045, 0.0, 0.045, 0.0, 0.017 * f.look.line)
    return over(picture, frame, f.cover(bridge, s.grain) * worn)


def _hair(f: Face, picture: Tensor) -> Tensor:
    """The cap of hair: above a line that is high on the brow and falls to the ears."""
    colour = f.colour("hair_colour", _HAIR)
    gloss = (1.0 + 0.16 * torch.exp(-((f.x + 0.16) ** 2 + (f.y + 0.36) ** 2) / 0.03))[:, None]
    outline, y, z = f.surface(1.09)
    # Refined, the hair leaves the brows free and ends at the ears.
    brow, fall = (-0.41, 0.48) if f.look.refined else (-0.30, 0.62)
    high = brow + fall * ((0.30 - z) / 0.34).clamp(0, 1)
    for name, line in (
        ("short", high),
        ("long", high + 0.06),
        ("bun", high - 0.03),
        ("curly", high + 0.03 * torch.sin(f.x * 24)),
    ):
        cap = torch.maximum(outline, y - line)
        picture = over(picture, colour * gloss, f.cover(cap, 1.5) * f.share("hair", name))
    return picture


def _hats(f: Face, picture: Tensor) -> Tensor:
    colour = f.colour("hat_colour", _HATS)
    outline, y, _ = f.surface(1.15)
    up = 0.10 if f.look.refined else 0.0  # brows show under the hat
    shade = (1.04 - 0.14 * (f.x * 0.7 + 0.2))[:, None]
    worn = f.share("hat", "beanie")
    x, top, scale, _ = f.project(0.0, -0.70, 0.0)
    picture = over(picture, colour * 1.25, f.cover(torch.hypot(f.x - x, f.y - top) - 0.13 * scale) * worn)
    picture = over(picture, colour * shade, f.cover(torch.maximum(outline, y + 0.26 + up), 1.5) * worn)
    fold = torch.maximum(outline - 0.02, (y + 0.30 + up).abs() - 0.07)
    picture = over(picture, colour * 0.72, f.cover(fold, 1.5) * worn)
    worn = f.share("hat", "cap")
    picture = over(picture, colour * shade, f.cover(torch.maximum(outline, y + 0.29 + up), 1.5) * worn)
    x, y1, scale, _ = f.project(0.0, -0.30 - 1.3 * up, 0.60)
    brim = oval(f.x - x, f.y - y1, 0.36 * scale, (0.075 + 0.12 * (f.pitch + 0.25).sin().clamp_min(0)) * scale)
    picture = over(picture, colour * 0.68, f.cover(brim) * worn)
    worn = f.share("hat", "top hat")
    x, y1, scale, _ = f.project(0.0, -0.40 - up, 0.0)
    x2, y2, _, _ = f.project(0.0, -0.80 - up / 2, 0.0)
    t = ((f.y - y1) / (y2 - y1)).clamp(0, 1)
    crown = torch.maximum((f.x - torch.lerp(x, x2, t)).abs() - 0.36, torch.maximum(f.y - y1, y2 - f.y))
    picture = over(picture, colour * shade, f.cover(crown) * worn)
    band = torch.maximum(crown, (t - 0.16).abs() * (y1 - y2) - 0.05)
    picture = over(picture, (colour + 0.28).clamp(0, 1), f.cover(band) * worn)
    return over(picture, colour * 0.85, f.cover(oval(f.x - x, f.y - y1, 0.60, 0.085)) * worn)
