"""Noise levels and what a backbone's output stands for."""

import pytest
import torch

from laser_cli.engine.schedule import level_of
from laser_cli.models.base import AttentionCall, NoiseLevel, plain_attention, to_x0_eps


def latents():
    return torch.randn(2, 4, 8, 8, dtype=torch.float64), torch.randn(2, 4, 8, 8, dtype=torch.float64)


@pytest.mark.parametrize("alpha", [0.005, 0.3, 0.99])
def test_every_prediction_type_tells_the_same_clean_latents_and_noise(alpha):
    x0, eps = latents()
    level = level_of(1, alpha, 1.0)
    x = alpha**0.5 * x0 + (1 - alpha) ** 0.5 * eps
    v = alpha**0.5 * eps - (1 - alpha) ** 0.5 * x0
    for output, kind in ((eps, "epsilon"), (v, "v_prediction"), (x0, "sample")):
        told = to_x0_eps(output, x, level, kind)
        assert all(torch.allclose(a, b, atol=1e-9) for a, b in zip(told, (x0, eps), strict=True)), kind


@pytest.mark.parametrize("noise", [0.02, 0.5, 1.0])
def test_rectified_flow_tells_them_too(noise):
    x0, eps = latents()
    level = NoiseLevel(1000 * noise, 1 - noise, noise, 1.0, 0.0)
    told = to_x0_eps(eps - x0, (1 - noise) * x0 + noise * eps, level, "flow")
    assert all(torch.allclose(a, b, atol=1e-12) for a, b in zip(told, (x0, eps), strict=True))


def test_a_step_is_ddims_equation_12():
    x, eps = latents()
    level = level_of(1, 0.2, 0.7)
    x0, _ = to_x0_eps(eps, x, level, "epsilon")
    expected = 0.7**0.5 * (x - 0.8**0.5 * eps) / 0.2**0.5 + 0.3**0.5 * eps
    assert torch.allclose(level.step(x0, eps), expected)


def test_a_step_there_and_back_is_the_identity():
    x, eps = latents()
    level = level_of(1, 0.2, 0.7)
    assert torch.allclose(level.step(*to_x0_eps(eps, level.step_back(x, eps), level, "epsilon")), x)


@pytest.mark.parametrize("prediction", ["v_prediction", "sample", "flow"])
def test_a_terminal_signal_of_zero_is_no_division_by_zero(prediction):
    """The first step of a zero-terminal-SNR schedule: x is all noise (a step that divides by the signal gives NaN)."""
    x0, eps = latents()
    output = {"v_prediction": -x0, "sample": x0, "flow": eps - x0}[prediction]
    level = NoiseLevel(999, 0.0, 1.0, 0.6, 0.8)
    told = to_x0_eps(output, eps, level, prediction)
    assert torch.allclose(level.step(*told), 0.6 * x0 + 0.8 * eps)
    assert torch.isfinite(level.step_back(eps, eps)).all()


def test_the_rows_of_a_call_bring_their_masks():
    q, k, v = (torch.randn(3, 2, 5, 8) for _ in range(3))
    mask = torch.zeros(3, 2, 1, 5)
    mask[1, :, :, 3:] = -1e4
    call = AttentionCall("a", "cross", q, k, v, mask)
    whole = plain_attention(call)
    assert torch.allclose(plain_attention(call.rows(slice(1, 2))), whole[1:2], atol=1e-6)
    unmasked = plain_attention(AttentionCall("a", "cross", q[1:2], k[1:2, :, :3], v[1:2, :, :3]))
    assert torch.allclose(whole[1:2], unmasked, atol=1e-6)
