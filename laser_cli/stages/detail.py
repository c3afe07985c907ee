"""What a VAE loses of a picture, given back to the frames around it, so that nothing pops between the two."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def given_back(t: float, begin: Tensor | None, end: Tensor | None) -> Tensor | float:
    """What a frame at t of a segment gets of what was lost [3, h, w] at its two ends; 0 where neither lost anything.

    (1 - t)^2 of the one and t^2 of the other, which soon leaves detail that only one of them shows. The rest, 2 t
    (1 - t), goes to what both lost where they are alike: all of it between two copies of one picture.
    """
    given: Tensor | float = 0.0
    for lost, share in ((begin, (1 - t) ** 2), (end, t**2)):
        given = given + share * lost if lost is not None else given
    if begin is not None and end is not None:
        given = given + 2 * t * (1 - t) * likeness(begin, end) * (begin + end) / 2
    return given


def likeness(a: Tensor, b: Tensor) -> Tensor:
    """The cosine between two pictures' details [3, h, w] around each place, [1, h, w].

    1 where they are the same, 0 where they have nothing in common.
    """
    side = max(1, min(a.shape[-2:]) // 32)

    def around(x: Tensor) -> Tensor:
        return F.avg_pool2d(x.sum(0, keepdim=True), 2 * side + 1, 1, side, count_include_pad=False)

    norms = (around(a * a) * around(b * b)).sqrt()
    return torch.where(norms > 0, around(a * b) / norms, 0.0).clamp(0, 1)
