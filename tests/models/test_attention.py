"""Patches come and go without a trace."""

import pytest
import torch

from laser_cli.engine import hooks


@pytest.fixture
def unet(tiny_unet):
    return tiny_unet


@torch.no_grad()
def run(unet):
    return unet(
        torch.linspace(-1, 1, 2 * 4 * 64).view(2, 4, 8, 8),
        500,
        encoder_hidden_states=torch.linspace(-1, 1, 2 * 5 * 12).view(2, 5, 12),
    ).sample


def test_plain_attention_through_the_hook_is_the_librarys(unet):
    before = run(unet)
    with hooks.attention(unet, hooks.plain):
        assert torch.allclose(run(unet), before, atol=1e-5)


def test_calls_carry_layer_names_and_shapes(unet):
    calls = []

    def attend(call):
        calls.append(call)
        return hooks.plain(call)

    with hooks.attention(unet, attend):
        run(unet)
    assert {c.layer + ".processor" for c in calls} == set(unet.attn_processors)
    assert all(c.cross == c.layer.endswith("attn2") for c in calls)
    assert all(c.k.shape[2] == (5 if c.cross else c.q.shape[2]) for c in calls)


def test_what_was_there_comes_back_after_an_exception(unet):
    before, expected = dict(unet.attn_processors), run(unet)
    with (
        pytest.raises(RuntimeError, match="stop"),
        hooks.attention(unet, hooks.plain),
        hooks.features(unet, ["mid_block"], lambda layer, x: x * 0),
    ):
        raise RuntimeError("stop")
    assert unet.attn_processors == before
    assert torch.equal(run(unet), expected)


def test_features_are_changed_by_name(unet):
    seen = []

    def change(layer, x):
        seen.append(layer)
        return x * 0

    expected = run(unet)
    with hooks.features(unet, ["up_blocks.1.resnets.1.conv2"], change):
        assert not torch.allclose(run(unet), expected)
    assert seen == ["up_blocks.1.resnets.1.conv2"]
    assert torch.equal(run(unet), expected)
