"""Prompt-to-Prompt: how prompts are aligned, and its formulas beside plain transcriptions of them."""

import pytest
import torch

from laser_cli.controls.base import QKV, Words, within
from laser_cli.controls.registry import find_controls, signal
from laser_cli.controls.words import (
    CONTROL,
    LAYOUT,
    LOCAL,
    align,
    blend_mask,
    cover,
    cross_attentions,
    inject,
    mix,
    self_attentions,
    side_by_side,
)
from tests.controls.test_pnp import names_of, sd15

ROOM = 8


def qkv(rows, n=5, m=ROOM, heads=2, seed=0):
    make = torch.Generator().manual_seed(seed)
    shapes = ((rows, heads, n, 4), (rows, heads, m, 4), (rows, heads, m, 4))
    return QKV(*(torch.randn(shape, generator=make) for shape in shapes))


def attention_maps(q, k):
    """softmax(q k / sqrt(d)) of one row, number by number."""
    h, n, d = q.shape
    told = torch.zeros(h, n, k.shape[1])
    for i in range(h):
        for a in range(n):
            scores = torch.stack([(q[i, a] * k[i, b]).sum() / d**0.5 for b in range(k.shape[1])])
            told[i, a] = scores.exp() / scores.exp().sum()
    return told


def test_a_prompt_beside_itself_keeps_everything():
    same = align([7, 8, 9], [7, 8, 9], ROOM)
    assert torch.equal(same.mapper[0], torch.eye(ROOM)) and same.kept.eq(1).all()
    assert not same.changed.any() and not same.lost.any() and same.weights.eq(1).all()


def test_a_word_in_the_place_of_another_takes_its_map():
    words = align([7, 8, 9], [7, 5, 9], ROOM)
    assert torch.equal(words.mapper[0], torch.eye(ROOM)) and words.kept.eq(1).all()
    assert words.changed[0].nonzero().flatten().tolist() == words.lost[0].nonzero().flatten().tolist() == [2]


def test_a_word_becomes_several_which_share_its_map():
    words = align([7, 8, 9], [7, 5, 6, 9], ROOM)
    assert words.mapper[0, 2].tolist() == [0, 0, 0.5, 0.5, 0, 0, 0, 0]
    assert words.mapper[0, 3, 4] == 1 and words.mapper[0, 4, 5] == 1  # the last word, and the end
    assert words.changed[0].nonzero().flatten().tolist() == [2, 3]


def test_a_new_word_has_its_own_map_and_a_lost_one_none():
    more = align([7, 9], [7, 5, 9], ROOM)
    assert more.kept[0].tolist() == [1, 1, 0, 1, 1, 1, 1, 1] and more.changed[0, 2] == 1 and not more.lost.any()
    assert more.mapper[0, 2, 3] == 1 and more.mapper[0, 3, 4] == 1
    fewer = align([7, 5, 9], [7, 9], ROOM)
    assert fewer.kept.eq(1).all() and not fewer.mapper[0, 2].any() and fewer.lost[0, 2] == 1
    assert fewer.mapper[0, 4, 3] == 1  # the end stays the end


def test_prompts_longer_than_the_room_are_cut_and_chunks_stand_side_by_side():
    words = align(list(range(20)), list(range(20)), ROOM, [2.0] * 20)
    assert torch.equal(words.mapper[0], torch.eye(ROOM)) and words.weights[0].tolist() == [1, *[2.0] * 6, 1]
    two = side_by_side([align([7], [7], 4), align([7], [8, 9], 4)])
    assert two.mapper.shape == (1, 8, 8) and not two.mapper[0, :4, 4:].any() and two.changed[0].sum() == 2


@pytest.mark.parametrize(
    ("source", "target", "weights"),
    [([7, 8, 9], [7, 5, 9], ()), ([7, 9], [7, 5, 9], ()), ([7, 8], [7, 8], (1, 3.0))],
    ids=["replace", "refine", "reweight"],
)
def test_the_output_is_the_published_formula(source, target, weights):
    own, read, words = qkv(1), qkv(1, seed=1), align(source, target, ROOM, weights)
    theirs, mine = attention_maps(read.q[0], read.k[0]), attention_maps(own.q[0], own.k[0])
    edited = torch.zeros_like(mine)
    for n in range(ROOM):
        a = words.kept[0, n]
        taken = sum(theirs[:, :, i] * words.mapper[0, i, n] for i in range(ROOM))
        edited[:, :, n] = words.weights[0, n] * (taken * a + mine[:, :, n] * (1 - a))
    wanted = torch.einsum("hnm,hmd->hnd", edited, own.v[0])
    plain = torch.einsum("hnm,hmd->hnd", mine, own.v[0])
    out = mix(plain[None].expand(2, -1, -1, -1), QKV(*(x.expand(2, -1, -1, -1) for x in own)), read,
              torch.tensor([0.0, 1.0]), Words(*(x.expand(2, *x.shape[1:]) for x in words)))  # fmt: skip
    assert torch.allclose(out[0], plain, atol=1e-6) and torch.allclose(out[1], wanted, atol=1e-5)


def test_under_its_own_prompt_and_queries_the_source_stays_as_it_is():
    own = qkv(1)
    maps = attention_maps(own.q[0], own.k[0])
    plain = torch.einsum("hnm,hmd->hnd", maps, own.v[0])[None]
    assert torch.allclose(mix(plain, own, own, torch.ones(1), align([7, 8], [7, 8], ROOM)), plain, atol=1e-5)


def test_words_between_two_prompts():
    one, other = align([7, 8], [7, 8], ROOM), align([7, 8], [7, 5], ROOM)
    half = one.lerp(other, torch.tensor([0.0, 0.5]))
    assert half.changed[:, 2].tolist() == [0, 0.5] and half.mapper.shape == (2, ROOM, ROOM)


def test_self_attention_maps_are_the_sources_at_few_places():
    own, source = qkv(2, n=4, m=4), qkv(1, n=4, m=4, seed=1)
    moved = inject(own, source, torch.tensor([0.0, 1.0]))
    assert torch.equal(moved.q[0], own.q[0]) and torch.equal(moved.k[1], source.k[0]) and moved.v is own.v
    many = qkv(1, n=33 * 32, m=2)
    assert inject(many, many, torch.ones(1)) is many


def test_a_mask_covers_what_changed_and_lost_words_look_at():
    own, source, words = qkv(1, n=16), qkv(1, n=16, seed=1), align([7, 8], [7, 5], ROOM)
    told = cover(own, source, words)
    assert torch.allclose(told[0, 0], attention_maps(own.q[0], own.k[0]).mean(0)[:, 2], atol=1e-6)
    assert torch.allclose(told[0, 1], attention_maps(source.q[0], source.k[0]).mean(0)[:, 2], atol=1e-6)
    assert cover(qkv(1, n=17 * 16), qkv(1, n=17 * 16), words) is None


def test_local_blend_is_the_published_formula():
    spot = torch.zeros(1, 2, 64)
    spot[0, 0, 9 * 1] = 1.0  # row 1, column 1 of 8 x 8
    spot[0, 1, 63] = 0.5  # of a map of its own
    mask = blend_mask([spot, torch.ones(1, 2, 16)], (8, 8))[0, 0]
    wanted = torch.zeros(8, 8)
    wanted[0:3, 0:3] = 1  # the largest of 3 x 3
    wanted[6:8, 6:8] = 1
    assert torch.equal(mask, wanted)
    wide = blend_mask([torch.rand(2, 2, 32)], (8, 16))
    assert wide.shape == (2, 1, 8, 16) and set(wide.unique().tolist()) <= {0.0, 1.0}
    assert blend_mask([torch.zeros(1, 2, 64)], (8, 8)).eq(1).all()


def test_layers_and_steps_are_the_published_ones():
    names = names_of(sd15())
    assert len(cross_attentions(names)) == len(self_attentions(names)) == 16
    ends = [max(i for i in range(50) if within(i, 50, c.attention_steps)) for c in (CONTROL, LAYOUT)]
    assert ends == [39, 19] and min(i for i in range(50) if within(i, 50, LOCAL.attention_steps)) == 10
    assert find_controls(signal("words")) == [CONTROL, LAYOUT] and find_controls(signal("local"))[-1] is LOCAL
