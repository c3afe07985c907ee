"""Distances between pictures."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor


def psnr(a: Tensor, b: Tensor) -> float:
    """Peak signal-to-noise ratio in dB of two pictures in 0..1; infinite when they are equal."""
    mse = float((a.double() - b.double()).square().mean())
    return math.inf if mse == 0 else -10 * math.log10(mse)


def ssim(a: Tensor, b: Tensor) -> float:
    """Structural similarity of two pictures [3, h, w] in 0..1 (Wang et al. 2004): 1 when they are equal.

    Gaussian windows of 11 px with a deviation of 1.5, by channel.
    """
    at = torch.arange(11, dtype=torch.float64) - 5
    line = torch.exp(-at.square() / (2 * 1.5**2))
    window = torch.outer(line / line.sum(), line / line.sum()).expand(a.shape[0], 1, 11, 11)

    def mean(x: Tensor) -> Tensor:
        return F.conv2d(x[None], window, groups=len(x))[0]

    p, q = a.double(), b.double()
    mp, mq = mean(p), mean(q)
    vp, vq, both = mean(p * p) - mp * mp, mean(q * q) - mq * mq, mean(p * q) - mp * mq
    c1, c2 = 0.01**2, 0.03**2
    top, bottom = (2 * mp * mq + c1) * (2 * both + c2), (mp * mp + mq * mq + c1) * (vp + vq + c2)
    return float((top / bottom).mean())
