"""Attention interpolation: its identities, and equality with a plain transcription of the formula."""

import pytest
import torch

from laser_cli.controls.aid import KeysValues, blend_of, fused_outer, merged_outer, slerp, slerp_rows, slerp_states

torch.manual_seed(0)
Q, K, V = (torch.randn(5, 2, 9, 8, dtype=torch.float64) for _ in range(3))
T = torch.tensor([0.0, 0.25, 0.5, 0.8, 1.0], dtype=torch.float64)


def attention(q, k, v):
    return torch.softmax(q @ k.mT / q.shape[-1] ** 0.5, dim=-1) @ v


def anchor(i):
    return KeysValues(K[i : i + 1], V[i : i + 1])


@pytest.mark.parametrize(("row", "t"), [(0, 0.0), (4, 1.0)])
def test_an_anchor_reading_itself_is_ordinary_attention(row, t):
    out = fused_outer(Q[row : row + 1], anchor(row), anchor(0), anchor(4), torch.tensor([t]))
    assert torch.allclose(out, attention(Q[row : row + 1], *anchor(row)[:2]))


def test_equals_the_formula_written_out():
    out = fused_outer(Q, KeysValues(K, V), anchor(0), anchor(4), T)
    for i, t in enumerate(T):
        first = attention(Q[i], torch.cat([K[i], K[0]], 1), torch.cat([V[i], V[0]], 1))
        last = attention(Q[i], torch.cat([K[i], K[4]], 1), torch.cat([V[i], V[4]], 1))
        assert torch.allclose(out[i], (1 - t) * first + t * last)


VARIANTS = [(kind, fused) for kind in ("outer", "inner") for fused in (True, False)]


def written_out(kind, fused, i, t):
    """The published formulas (AID, eq. 5 to 8), one frame at a time, with explicit softmax and concatenation."""
    own = (K[i], V[i])
    beside = lambda k, v: (torch.cat([own[0], k], 1), torch.cat([own[1], v], 1)) if fused else (k, v)  # noqa: E731
    if kind == "inner":
        return attention(Q[i], *beside((1 - t) * K[0] + t * K[4], (1 - t) * V[0] + t * V[4]))
    return (1 - t) * attention(Q[i], *beside(K[0], V[0])) + t * attention(Q[i], *beside(K[4], V[4]))


@pytest.mark.parametrize(("kind", "fused"), VARIANTS)
def test_every_variant_equals_its_formula(kind, fused):
    out = blend_of(kind, fused)(Q, KeysValues(K, V), anchor(0), anchor(4), T)
    for i, t in enumerate(T):
        assert torch.allclose(out[i], written_out(kind, fused, i, t))


@pytest.mark.parametrize(("kind", "fused"), VARIANTS)
@pytest.mark.parametrize(("row", "t"), [(0, 0.0), (4, 1.0)])
def test_every_variant_is_ordinary_attention_at_the_ends(kind, fused, row, t):
    out = blend_of(kind, fused)(Q[row : row + 1], anchor(row), anchor(0), anchor(4), torch.tensor([t]))
    assert torch.allclose(out, attention(Q[row : row + 1], *anchor(row)[:2]))


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_merging_blocks_changes_nothing(dtype):
    q, k, v = (torch.randn(3, 2, 200, 16).to(dtype) for _ in range(3))
    begin, end = (KeysValues(*torch.randn(2, 1, 2, 200, 16).to(dtype)) for _ in range(2))
    t = torch.tensor([0.0, 0.3, 1.0])
    merged, fused = (f(q, KeysValues(k, v), begin, end, t) for f in (merged_outer, fused_outer))
    assert merged.dtype == dtype and torch.allclose(merged, fused, atol=2e-2 if dtype == torch.bfloat16 else 1e-5)
    assert torch.equal(blend_of("outer")(q, KeysValues(k, v), begin, end, t), merged)
    short = [KeysValues(a.k[:, :, :20], a.v[:, :, :20]) for a in (KeysValues(k, v), begin, end)]
    assert torch.equal(blend_of("outer")(q, *short, t), fused_outer(q, *short, t))


@pytest.mark.parametrize(("kind", "fused"), VARIANTS)
def test_masks_reach_every_block(kind, fused):
    """Keys that a mask leaves out might as well not be there."""
    lengths = {0: 6, 4: 7}

    def masked(rows, length):
        mask = torch.zeros(1, 1, 1, 9, dtype=torch.float64)
        mask[..., length:] = float("-inf")
        return KeysValues(K[rows], V[rows], mask)

    def cut(rows, length):
        return KeysValues(K[rows][:, :, :length], V[rows][:, :, :length])

    if kind == "inner":  # what is blended key by key has to be there on both sides
        lengths = {0: 6, 4: 6}
    ways = []
    for take in (masked, cut):
        begin, end = (take(slice(i, i + 1), lengths[i]) for i in (0, 4))
        ways.append(blend_of(kind, fused)(Q, take(slice(None), 5), begin, end, T))
    assert torch.allclose(*ways)


@pytest.mark.parametrize("kind", ["outer", "inner"])
def test_endpoints_are_shared_not_copied(kind, monkeypatch):
    seen = []
    real = torch.nn.functional.scaled_dot_product_attention
    monkeypatch.setattr(
        torch.nn.functional, "scaled_dot_product_attention", lambda q, k, v, attn_mask: seen.append(k) or real(q, k, v)
    )
    blend_of(kind, False)(Q, KeysValues(K, V), anchor(0), anchor(4), T)
    assert seen and (kind == "inner" or all(k.stride(0) == 0 for k in seen))


def test_text_states_keep_their_length_on_the_way():
    a, b = torch.randn(1, 6, 32, dtype=torch.float64), torch.randn(1, 6, 32, dtype=torch.float64)
    a, b = a / a.norm(dim=-1, keepdim=True), b / b.norm(dim=-1, keepdim=True)
    a[:, 5] = 0
    way = slerp_states(a, b, T)
    assert way.shape == (5, 6, 32)
    assert torch.allclose(way[0], a[0]) and torch.allclose(way[4], b[0])
    assert torch.allclose(way[:, :5].norm(dim=-1), torch.ones(5, 5, dtype=torch.float64))
    assert torch.allclose(way[:, 5], T[:, None] * b[:, 5])
    assert torch.allclose(slerp_states(a, a, T), a.expand(5, -1, -1))


def test_a_row_does_not_depend_on_the_others():
    together = fused_outer(Q, KeysValues(K, V), anchor(0), anchor(4), T)
    alone = torch.cat([fused_outer(Q[i : i + 1], anchor(i), anchor(0), anchor(4), T[i : i + 1]) for i in range(5)])
    assert torch.allclose(together, alone)


def test_slerp_of_rows_is_that_of_aids_code():
    """Row by row over the width: sin((1 - t) w) / sin(w) a + sin(t w) / sin(w) b, w the angle between them."""
    a, b = torch.randn(1, 4, 8, 16, dtype=torch.float64), torch.randn(1, 4, 8, 16, dtype=torch.float64)
    b[0, 0, 0] = a[0, 0, 0] * 1.5  # parallel: a straight line
    drawn = slerp_rows(a, b, 0.3)
    for c in range(4):
        for row in range(8):
            u, v = a[0, c, row], b[0, c, row]
            omega = torch.arccos((u @ v / (u.norm() * v.norm())).clamp(-1, 1))
            expected = (torch.sin(0.7 * omega) * u + torch.sin(0.3 * omega) * v) / torch.sin(omega)
            if (c, row) == (0, 0):
                expected = torch.lerp(u, v, 0.3)
            assert torch.allclose(drawn[0, c, row], expected, atol=1e-6)
    assert not torch.allclose(drawn, slerp(a, b, 0.3), atol=1e-3)
    assert torch.allclose(slerp_rows(a, b, 0.0), a) and torch.allclose(slerp_rows(a, b, 1.0), b)


def test_slerp_takes_a_share_for_each_place():
    a, b, share = torch.randn(1, 4, 8, 8), torch.randn(1, 4, 8, 8), torch.zeros(1, 1, 8, 8)
    share[..., 2:5, :], share[..., 5:, :] = 0.3, 1.0
    drawn = slerp(a, b, share)
    for rows, t in ((slice(0, 2), 0.0), (slice(2, 5), 0.3), (slice(5, 8), 1.0)):
        assert torch.allclose(drawn[..., rows, :], slerp(a, b, t)[..., rows, :], atol=1e-6)
    assert torch.equal(slerp(a, a, share), a)


def test_slerp_keeps_the_length_of_noise():
    a, b = torch.randn(4, 64, 64), torch.randn(4, 64, 64)
    assert torch.equal(slerp(a, a, 0.3), a)
    assert torch.allclose(slerp(a, b, 0.0), a, atol=1e-5) and torch.allclose(slerp(a, b, 1.0), b, atol=1e-5)
    assert float(slerp(a, b, 0.5).std()) == pytest.approx(1.0, abs=0.02)
