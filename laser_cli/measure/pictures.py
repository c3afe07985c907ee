"""Distances between pictures."""

from __future__ import annotations

import math

from torch import Tensor


def psnr(a: Tensor, b: Tensor) -> float:
    """Peak signal-to-noise ratio in dB of two pictures in 0..1; infinite when they are equal."""
    mse = float((a.double() - b.double()).square().mean())
    return math.inf if mse == 0 else -10 * math.log10(mse)
