"""Distances between pictures, and between sets of their features."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

WINDOW = 11
"""Pixels that a window of SSIM is wide."""


def psnr(a: Tensor, b: Tensor) -> float:
    """Peak signal-to-noise ratio in dB of two pictures in 0..1; infinite when they are equal."""
    mse = float((a.double() - b.double()).square().mean())
    return math.inf if mse == 0 else -10 * math.log10(mse)


def ssim(a: Tensor, b: Tensor) -> float:
    """Structural similarity of two pictures [3, h, w] in 0..1, over all windows that lie inside: 1 when equal."""
    inside = slice(WINDOW // 2, -(WINDOW // 2))
    return float(ssim_map(a[None].double(), b[None].double())[:, inside, inside].mean())


def ssim_map(a: Tensor, b: Tensor) -> Tensor:
    """Structural similarity [n, h, w] of pictures [n, 3, h, w] in 0..1 at every place, the mean of their colours.

    Wang et al. 2004: Gaussian windows of 11 px, deviation 1.5; edges are repeated outwards.
    """
    at = torch.arange(WINDOW, dtype=a.dtype) - WINDOW // 2
    bell = torch.exp(-at.square() / (2 * 1.5**2))
    kernel = (torch.outer(bell, bell) / bell.sum() ** 2).expand(a.shape[1], 1, -1, -1)

    def mean(x: Tensor) -> Tensor:
        return F.conv2d(F.pad(x, (WINDOW // 2,) * 4, mode="replicate"), kernel, groups=x.shape[1])

    b, c1, c2 = b.expand_as(a), 0.01**2, 0.03**2
    mp, mq = mean(a), mean(b)
    vp, vq, both = mean(a * a) - mp * mp, mean(b * b) - mq * mq, mean(a * b) - mp * mq
    top, bottom = (2 * mp * mq + c1) * (2 * both + c2), (mp * mp + mq * mq + c1) * (vp + vq + c2)
    return (top / bottom).mean(1)


def frechet(a: Tensor, b: Tensor) -> float:
    """Frechet distance of two sets of features [n, d], each as a Gaussian (Heusel et al. 2017); nan of one row."""
    if min(len(a), len(b)) < 2:
        return math.nan  # no covariance
    a, b = a.double(), b.double()
    apart = (a.mean(0) - b.mean(0)).square().sum()
    p, q = torch.cov(a.T), torch.cov(b.T)
    root = torch.linalg.eigvals(p @ q).real.clamp_min(0).sqrt().sum()
    return float((apart + p.trace() + q.trace() - 2 * root).clamp_min(0))
