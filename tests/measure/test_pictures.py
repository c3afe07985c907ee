"""Distances between pictures."""

import math
from math import exp

import pytest
import torch

from laser_cli.measure.pictures import frechet, psnr, ssim, ssim_map


def test_psnr():
    a = torch.zeros(1, 3, 4, 4)
    assert psnr(a, a) == math.inf
    assert psnr(a, a + 0.1) == pytest.approx(20, abs=1e-3)


def test_ssim_is_the_published_formula():
    torch.manual_seed(0)
    a, b = torch.rand(1, 3, 24, 24), torch.rand(1, 3, 24, 24)
    weights = torch.tensor([[exp(-(x**2 + y**2) / 4.5) for x in range(-5, 6)] for y in range(-5, 6)])
    weights /= weights.sum()
    told = []
    for c in range(3):
        p, q = a[0, c, 5:16, 6:17], b[0, c, 5:16, 6:17]
        mp, mq = (weights * p).sum(), (weights * q).sum()
        vp, vq, cov = (
            (weights * (p - mp) ** 2).sum(),
            (weights * (q - mq) ** 2).sum(),
            (weights * (p - mp) * (q - mq)).sum(),
        )
        told.append((2 * mp * mq + 1e-4) * (2 * cov + 9e-4) / ((mp**2 + mq**2 + 1e-4) * (vp + vq + 9e-4)))
    assert float(ssim_map(a, b)[0, 10, 11]) == pytest.approx(float(sum(told) / 3), abs=1e-5)
    assert ssim(a[0], a[0]) == pytest.approx(1) and ssim(a[0], b[0]) == pytest.approx(
        float(ssim_map(a, b)[0, 5:-5, 5:-5].mean()), abs=1e-5
    )
    assert torch.allclose(ssim_map(a, a), torch.ones(1, 24, 24), atol=1e-5)


def test_frechet_is_zero_for_the_same_and_grows_with_the_distance():
    features = torch.randn(300, 8, generator=torch.Generator().manual_seed(0))
    assert frechet(features, features) < 1e-6
    assert abs(frechet(features + 2, features) - 8 * 4) < 1e-3  # equal spreads: the squared distance of the means
    assert abs(frechet(2 * features, features) - float(features.var(0).sum() + features.mean(0).square().sum())) < 1e-2
