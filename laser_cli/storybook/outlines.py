"""Outlines: the edges of what a picture is of, drawn from its mask, as storybook's ControlNet is shown them."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

LEVELS = (0.25, 0.75)
"""Coverages at which a mask has an edge: a subject's or a head's outline, and the features of a face."""


def outlines(masks: Tensor) -> Tensor:
    """White outlines on black, [n, 3, s, s] in 0..1, of masks [n, 1, s, s] in 0..1 (world.draw_with_masks)."""
    return edges(masks).float().expand(-1, 3, -1, -1)


def edges(masks: Tensor) -> Tensor:
    """Where a mask's outlines are, [n, 1, s, s]: as wide as 2 px of a picture of 128 px."""
    reach = max(1, round(masks.shape[-1] / 128))
    found = torch.zeros_like(masks, dtype=torch.bool)
    for level in LEVELS:
        inside = F.pad((masks >= level).float(), (reach,) * 4, mode="replicate")
        wide, narrow = (F.max_pool2d(sign * inside, 2 * reach + 1, stride=1) for sign in (1, -1))
        found |= wide + narrow > 0
    return found
