"""Plug-and-Play: its layers by the paper's names, and what it does at a strength."""

import torch
from diffusers import UNet2DConditionModel

from laser_cli.controls import pnp
from laser_cli.controls.base import QKV, within
from laser_cli.models.attention import feature_maps

ATTENTION = "transformer_blocks.0.attn1"
DECODER = {f"up_blocks.{b}.attentions.{i}.{ATTENTION}" for b in (1, 2, 3) for i in range(3)}


def names_of(unet):
    return [*(name.removesuffix(".processor") for name in unet.attn_processors), *feature_maps(unet)]


def sd15():
    with torch.device("meta"):
        return UNet2DConditionModel(sample_size=64, cross_attention_dim=768, attention_head_dim=8)


def test_its_layers_on_sd15_are_the_papers():
    names = names_of(sd15())
    assert set(pnp.attentions(names)) == DECODER - {f"up_blocks.1.attentions.0.{ATTENTION}"}
    assert pnp.features(names) == ["up_blocks.1.resnets.1.conv2"]
    assert sum(name.endswith(".attn1") for name in names) == 16


def test_storybook_has_those_of_its_own_decoder(storybook):
    names = [*storybook.backbone.attentions, *storybook.backbone.feature_maps]
    decoder = [name for name in names if name.startswith("up_blocks.") and name.endswith(".attn1")]
    assert pnp.attentions(names) == decoder[1:] and pnp.features(names) == ["up_blocks.1.resnets.1.conv2"]


def test_of_unknown_layers_it_chooses_none():
    assert pnp.attentions(["transformer_blocks.0.attn"]) == pnp.features(["transformer_blocks.0.attn"]) == []


def test_it_takes_the_first_half_of_the_steps_for_attention_and_0_8_for_features():
    assert [i for i in range(50) if within(i, 50, pnp.CONTROL.attention_steps)] == list(range(25))
    assert [i for i in range(50) if within(i, 50, pnp.CONTROL.feature_steps)] == list(range(40))


def test_a_strength_moves_queries_keys_and_features_and_leaves_the_values():
    own, source = (QKV(*torch.randn(3, 3, 2, 4, 4)[:, :n]) for n in (3, 1))
    moved = pnp.inject(own, source, torch.tensor([0.0, 1.0, 0.5]))
    for x, mine, theirs in ((moved.q, own.q, source.q), (moved.k, own.k, source.k)):
        assert torch.equal(x[0], mine[0]) and torch.allclose(x[1], theirs[0])
        assert torch.allclose(x[2], (mine[2] + theirs[0]) / 2, atol=1e-6)
    assert torch.equal(moved.v, own.v)
    assert torch.equal(pnp.move(own.q, source.q, torch.tensor([0.0, 1.0, 0.5])), moved.q)
