"""Attention interpolation: its identities, and equality with a plain transcription of the formula."""

import pytest
import torch

from laser_cli.controls.aid import KeysValues, fused_outer, slerp

torch.manual_seed(0)
Q, K, V = (torch.randn(5, 2, 9, 8, dtype=torch.float64) for _ in range(3))
T = torch.tensor([0.0, 0.25, 0.5, 0.8, 1.0], dtype=torch.float64)


def attention(q, k, v):
    return torch.softmax(q @ k.mT / q.shape[-1] ** 0.5, dim=-1) @ v


def anchor(i):
    return KeysValues(K[i : i + 1], V[i : i + 1])


@pytest.mark.parametrize(("row", "t"), [(0, 0.0), (4, 1.0)])
def test_an_anchor_reading_itself_is_ordinary_attention(row, t):
    out = fused_outer(Q[row : row + 1], *anchor(row), anchor(0), anchor(4), torch.tensor([t]))
    assert torch.allclose(out, attention(Q[row : row + 1], *anchor(row)))


def test_equals_the_formula_written_out():
    out = fused_outer(Q, K, V, anchor(0), anchor(4), T)
    for i, t in enumerate(T):
        first = attention(Q[i], torch.cat([K[i], K[0]], 1), torch.cat([V[i], V[0]], 1))
        last = attention(Q[i], torch.cat([K[i], K[4]], 1), torch.cat([V[i], V[4]], 1))
        assert torch.allclose(out[i], (1 - t) * first + t * last)


def test_a_row_does_not_depend_on_the_others():
    together = fused_outer(Q, K, V, anchor(0), anchor(4), T)
    alone = torch.cat([fused_outer(Q[i : i + 1], *anchor(i), anchor(0), anchor(4), T[i : i + 1]) for i in range(5)])
    assert torch.allclose(together, alone)


def test_slerp_keeps_the_length_of_noise():
    a, b = torch.randn(4, 64, 64), torch.randn(4, 64, 64)
    assert torch.equal(slerp(a, a, 0.3), a)
    assert torch.allclose(slerp(a, b, 0.0), a, atol=1e-5) and torch.allclose(slerp(a, b, 1.0), b, atol=1e-5)
    assert float(slerp(a, b, 0.5).std()) == pytest.approx(1.0, abs=0.02)
