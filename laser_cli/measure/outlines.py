"""Whether a picture follows an outline: where the outline's edges fit it best, and which subject's fit it best."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor

from laser_cli.storybook.look import Look, look_of
from laser_cli.storybook.outlines import edges
from laser_cli.storybook.scenes import Scene, pure
from laser_cli.storybook.shapes import SUBJECTS
from laser_cli.storybook.world import draw_with_masks

REACH, STEP, NEAR = 0.2, 1 / 64, 0.04
"""How far an outline is moved, by which steps, and what is still its own place: shares of the picture's side."""


def outline_of(scenes: Sequence[Scene], size: int) -> Tensor:
    """The outlines of scenes' subjects, [n, 1, size, size], True on them."""
    return edges(masks_of(scenes, look_of(size)))


def masks_of(scenes: Sequence[Scene], look: Look) -> Tensor:
    """The masks of scenes' subjects, [n, 1, s, s] in 0..1."""
    return draw_with_masks(scenes, look=look)[1]


def follows(picture: Tensor, scene: Scene) -> bool:
    """Whether a picture [3, s, s] in 0..1 has the scene's subject where the scene has it, by its edges alone.

    No other place within REACH may fit its outline better, and no other subject's outline may fit the picture better.
    """
    size, found = picture.shape[-1], contrast(picture)
    others = [replace(scene, subject=pure(name)) for name in SUBJECTS]
    names = list(SUBJECTS)
    lines = outline_of(others, size).float()
    fits = (lines * found).sum((1, 2, 3)) / lines.sum((1, 2, 3)).clamp_min(1)
    told = names.index(scene.subject[0][0])
    return int(fits.argmax()) == told and in_place(found, lines[told])


def in_place(found: Tensor, line: Tensor) -> bool:
    """Whether edges [1, s, s] fit a line [1, s, s] best where it is, or within NEAR of that."""
    size = line.shape[-1]
    step = max(1, round(STEP * size))
    reach = round(REACH * size / step) * step
    moved = F.conv2d(F.pad(found[None], (reach,) * 4), line[None], stride=step)[0, 0]
    best, across = int(moved.argmax()), moved.shape[1]
    down, right = (step * at - reach for at in divmod(best, across))
    return max(abs(down), abs(right)) <= NEAR * size


def contrast(picture: Tensor) -> Tensor:
    """How much of an edge there is at each place of a picture [3, s, s]: [1, s, s], 1 at the strongest fifth."""
    blurred = F.avg_pool2d(F.pad(picture[None], (1, 1, 1, 1), mode="replicate"), 3, stride=1)
    padded = F.pad(blurred, (1, 1, 1, 1), mode="replicate")
    across = padded[..., 1:-1, 2:] - padded[..., 1:-1, :-2]
    down = padded[..., 2:, 1:-1] - padded[..., :-2, 1:-1]
    strength = (across.square() + down.square()).sum(1).sqrt()
    return (strength / torch.quantile(strength, 0.8).clamp_min(1e-3)).clamp_max(1.0)
