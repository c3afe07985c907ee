"""Taps: silent until a call brings hooks, and then that call's alone."""

import copy
import threading

import pytest
import torch

from laser_cli.engine.schedule import level_of
from laser_cli.errors import UsageError
from laser_cli.models.base import plain_attention
from laser_cli.models.conditioning import Conditioning
from laser_cli.models.unet import UNetBackbone
from tests.small import small_unet

X = torch.linspace(-1, 1, 2 * 4 * 64).view(2, 4, 8, 8)
TOLD = Conditioning(torch.linspace(-1, 1, 2 * 5 * 12).view(2, 5, 12))
LEVEL = level_of(500, 0.5, 0.6)


class Hooks:
    """Attention as it is, and feature maps times a number."""

    features = ("up_blocks.1.resnets.1.conv2",)

    def __init__(self, times=1.0):
        self.times, self.calls, self.maps = times, [], []

    def attend(self, call):
        self.calls.append(call)
        return plain_attention(call)

    def feature(self, name, x):
        self.maps.append(name)
        return x * self.times


@pytest.fixture(scope="module")
def plain():
    """A U-Net as the library makes it."""
    return small_unet(12)


@pytest.fixture(scope="module")
def backbone(plain):
    return UNetBackbone(copy.deepcopy(plain), "epsilon", 2)


@torch.no_grad()
def noise(backbone, told=TOLD, hooks=None):
    return backbone.predict(X, LEVEL, told, hooks)[1]


@torch.no_grad()
def library(unet, told=TOLD):
    return unet(X, 500, encoder_hidden_states=told.prompt_embeds, encoder_attention_mask=told.mask).sample


def test_without_hooks_the_unet_is_the_librarys_to_the_bit(plain, backbone):
    assert torch.equal(noise(backbone), library(plain))
    assert torch.equal(library(backbone.unet), library(plain)), "taps change a U-Net that others call"


def test_plain_attention_through_hooks_is_the_librarys(plain, backbone):
    assert torch.allclose(noise(backbone, hooks=Hooks()), library(plain), atol=1e-5)


def test_calls_carry_layer_names_and_shapes(backbone):
    hooks = Hooks()
    noise(backbone, hooks=hooks)
    assert {c.layer for c in hooks.calls} == set(backbone.attentions)
    assert all((c.kind == "cross") == c.layer.endswith("attn2") for c in hooks.calls)
    assert all(c.k.shape[2] == (5 if c.kind == "cross" else c.q.shape[2]) for c in hooks.calls)
    assert set(hooks.maps) == set(hooks.features) <= set(backbone.feature_maps)


def test_attention_masks_reach_the_attention(plain, backbone):
    mask = torch.tensor([[True, True, True, False, False], [True] * 5])
    masked = Conditioning(TOLD.prompt_embeds, mask)
    expected = library(plain, masked)
    assert not torch.allclose(expected, library(plain), atol=1e-4)
    assert torch.allclose(noise(backbone, masked, Hooks()), expected, atol=1e-5)
    assert torch.equal(noise(backbone, masked), expected)


def test_a_row_reads_two_prompts_by_its_share(backbone):
    """(1 - t) Attn(Q, K_1, V_1) + t Attn(Q, K_2, V_2) in every cross-attention; t = 0 and 1 are the prompts alone."""

    class Mixed(Hooks):
        """Rows of the first prompt and of the second; those after them read the two's keys at their share."""

        def attend(self, call):
            out = plain_attention(call)
            if call.kind == "cross":
                first, second = (
                    call._replace(k=call.k[i].expand_as(call.k), v=call.v[i].expand_as(call.v)) for i in (0, 1)
                )
                out[2] = torch.lerp(plain_attention(first), plain_attention(second), 0.25)[2]
            return out

    a, b = (Conditioning(30 * TOLD.prompt_embeds[i : i + 1]) for i in (0, 1))
    rows = Conditioning.cat([a, b, a])
    x = X[:1].expand(3, -1, -1, -1)
    with torch.no_grad():
        by_hand = backbone.predict(x, LEVEL, rows, Mixed())[1]
        told = a.reading(b, torch.tensor([0.0, 1.0, 0.25]))
        aside = backbone.predict(x, LEVEL, told)[1]
        alone = backbone.predict(x, LEVEL, rows)[1]
        assert torch.equal(backbone.predict(x, LEVEL, a.reading(b, torch.zeros(3)))[1][0], alone[0])
    assert torch.allclose(aside, by_hand, atol=1e-5) and torch.allclose(aside[:2], alone[:2], atol=1e-5)
    assert not torch.allclose(aside[2], alone[0], atol=1e-3)


def test_a_control_nets_residuals_reach_the_unet(plain, backbone):
    made = torch.Generator().manual_seed(0)
    shapes = [(16, 8), (16, 8), (16, 4), (32, 4)]
    down = [torch.randn(2, channels, side, side, generator=made) for channels, side in shapes]
    mid = torch.randn(2, 32, 4, 4, generator=made)
    told = Conditioning(TOLD.prompt_embeds, spatial={f"down.{i}": x for i, x in enumerate(down)} | {"mid": mid})
    with torch.no_grad():
        residuals = {"down_block_additional_residuals": tuple(down), "mid_block_additional_residual": mid}
        expected = plain(X, 500, encoder_hidden_states=TOLD.prompt_embeds, **residuals).sample
    assert torch.equal(noise(backbone, told), expected) and not torch.allclose(expected, library(plain), atol=1e-3)


def test_features_are_changed_by_name_and_only_for_the_call(plain, backbone):
    assert not torch.allclose(noise(backbone, hooks=Hooks(0.0)), library(plain))
    assert torch.equal(noise(backbone), library(plain))


def test_after_an_exception_nothing_is_left(plain, backbone):
    class Failing(Hooks):
        def attend(self, call):
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        noise(backbone, hooks=Failing())
    assert torch.equal(noise(backbone), library(plain))


def test_calls_side_by_side_have_their_own_hooks(plain, backbone):
    expected = {times: noise(backbone, hooks=Hooks(times)) for times in (0.0, 0.5, 2.0)}
    told, start = {}, threading.Barrier(3)

    def run(times):
        start.wait()
        told[times] = [noise(backbone, hooks=Hooks(times)) for _ in range(5)]

    threads = [threading.Thread(target=run, args=(times,)) for times in expected]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(torch.allclose(x, expected[times], atol=1e-5) for times, all_ in told.items() for x in all_)


def test_two_backbones_share_the_taps_of_a_unet(backbone):
    before = backbone.unet.attn_processors
    other = UNetBackbone(backbone.unet, "epsilon", 2)
    assert backbone.unet.attn_processors == before
    assert torch.equal(noise(other, hooks=Hooks(0.0)), noise(backbone, hooks=Hooks(0.0)))


def test_attentions_of_another_kind_are_refused_by_name():
    class Strange:
        def __call__(self, attn, hidden_states, **_):
            return hidden_states

    unet = small_unet(12)
    unet.set_attn_processor(Strange())
    with pytest.raises(UsageError, match="Strange"):
        UNetBackbone(unet, "epsilon", 2)
