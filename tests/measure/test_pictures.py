"""Distances between pictures."""

import math

import pytest
import torch

from laser_cli.measure.pictures import psnr


def test_psnr():
    a = torch.zeros(1, 3, 4, 4)
    assert psnr(a, a) == math.inf
    assert psnr(a, a + 0.1) == pytest.approx(20, abs=1e-3)
