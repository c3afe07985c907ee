"""Conditioning: rows are selected, joined and blended field by field."""

from dataclasses import replace

import pytest
import torch

from laser_cli.models.conditioning import Conditioning


def whole(seed):
    made = torch.Generator().manual_seed(seed)
    random = lambda *shape: torch.randn(*shape, generator=made)  # noqa: E731
    mask = torch.arange(5)[None] < 2 + seed
    return Conditioning(random(1, 5, 3), mask, random(1, 7), random(1, 2, 3), {"mid": random(1, 4, 2, 2)})


def tensors(told):
    return [told.prompt_embeds, told.mask, told.pooled, told.image_embeds, told.spatial["mid"]]


def test_rows_come_back_as_they_went_in():
    a, b = whole(0), whole(1)
    both = Conditioning.cat([a, b])
    assert len(both) == 2
    for one, rows in ((a, [0]), (b, slice(1, 2))):
        assert all(torch.equal(x, y) for x, y in zip(tensors(both.select(rows)), tensors(one), strict=True))
    assert all(len(x) == 4 and x.stride(0) == 0 for x in tensors(a.expand(4)))


def test_every_field_is_interpolated_and_a_token_is_read_if_either_reads_it():
    a, b, t = whole(0), whole(1), torch.tensor([0.0, 0.25, 1.0])
    between = a.lerp(b, t)
    for x, y, z in zip(tensors(a), tensors(b), tensors(between), strict=True):
        if x.dtype == torch.bool:
            assert torch.equal(z, (x | y).expand(3, -1))
        else:
            share = t.view(-1, *[1] * (x.dim() - 1))
            assert torch.allclose(z, (1 - share) * x + share * y, atol=1e-6)


def test_half_a_field_is_an_error():
    with pytest.raises(ValueError, match="pooled is set in 1 of 2"):
        Conditioning.cat([whole(0), Conditioning(torch.zeros(1, 5, 3), whole(0).mask)])


def test_prompts_are_read_side_by_side_where_no_mask_forbids_it():
    a, b, t = whole(0), whole(1), torch.tensor([0.25, 1.0])
    assert a.reading(b, t).other is None, "their masks would have to be both"
    a, b = (replace(one, mask=None) for one in (a, b))
    told = a.reading(b, t)
    assert torch.equal(told.prompt_embeds[1], a.prompt_embeds[0]) and torch.equal(told.other[0], b.prompt_embeds[0])
    assert torch.equal(told.share, t) and torch.equal(told.pooled, a.lerp(b, t).pooled)
    away = replace(whole(2), mask=None).beside(told)
    assert not away.share.any() and len(Conditioning.cat([away, told])) == 4


def test_the_unguided_half_is_led_by_the_same_maps():
    base = Conditioning(torch.zeros(1, 2, 3))
    told = Conditioning(torch.ones(4, 2, 3), spatial={"condition.0": torch.rand(4, 3, 8, 8)})
    beside = base.beside(told)
    assert len(beside) == 4 and not beside.prompt_embeds.any()
    assert torch.equal(beside.spatial["condition.0"], told.spatial["condition.0"])
    own = Conditioning(torch.zeros(1, 2, 3), spatial={"condition.0": torch.zeros(1, 3, 8, 8)})
    assert not own.beside(told).spatial["condition.0"].any()
    assert len(Conditioning.cat([beside, told])) == 8
