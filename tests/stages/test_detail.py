"""What a VAE loses, given back between two keyframes."""

import pytest
import torch

from laser_cli.stages.detail import given_back, likeness


@pytest.mark.parametrize("t", [0.0, 0.3, 0.5, 1.0])
def test_between_copies_of_a_picture_all_is_given_back(t):
    lost = torch.randn(3, 8, 8, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(torch.as_tensor(given_back(t, lost, lost)), lost, atol=1e-6)


def test_detail_of_one_end_alone_leaves_soon():
    lost = torch.ones(3, 4, 4)
    shares = [float(torch.as_tensor(given_back(t, lost, None)).mean()) for t in (0.0, 0.25, 0.5, 1.0)]
    assert shares == pytest.approx([1.0, 0.5625, 0.25, 0.0])
    assert torch.equal(torch.as_tensor(given_back(0.25, None, lost)), 0.0625 * lost)
    assert given_back(0.5, None, None) == 0.0


def test_details_mix_only_where_they_are_alike():
    a, b = torch.zeros(3, 64, 64), torch.zeros(3, 64, 64)
    a[:, :20], b[:, 44:] = 1, 1
    assert not likeness(a, b).any() and not likeness(a, -a).any() and not likeness(a, torch.zeros_like(a)).any()
    assert torch.equal(torch.as_tensor(given_back(0.5, a, b)), 0.25 * a + 0.25 * b)
    a[:, 30:34], b[:, 30:34] = 1, 1  # what both show
    mixed = torch.as_tensor(given_back(0.5, a, b))
    assert torch.allclose(mixed[:, 31:33], torch.ones(3, 2, 64)) and torch.allclose(
        mixed[:, :8], torch.full((3, 8, 64), 0.25)
    )
