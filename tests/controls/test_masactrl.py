"""Injection blends between a frame's own and the source's."""

import torch

from laser_cli.controls import inject


def test_texture_at_0_is_the_own_and_at_1_the_sources():
    own, source = torch.randn(3, 2, 4, 4), torch.randn(1, 2, 4, 4)
    out = inject.texture(own, source, torch.tensor([0.0, 1.0, 0.5]))
    assert torch.equal(out[0], own[0])
    assert torch.allclose(out[1], source[0])
    assert torch.allclose(out[2], (own[2] + source[0]) / 2, atol=1e-6)


def test_motion_reads_the_sources_keys_and_values():
    q, k, v, out = torch.randn(2, 2, 6, 8), torch.randn(1, 2, 6, 8), torch.randn(1, 2, 6, 8), torch.randn(2, 2, 6, 8)
    mixed = inject.motion(out, q, k, v, torch.tensor([0.0, 1.0]))
    assert torch.equal(mixed[0], out[0])
    expected = torch.softmax(q[1] @ k[0].mT / 8**0.5, dim=-1) @ v[0]
    assert torch.allclose(mixed[1], expected, atol=1e-5)
