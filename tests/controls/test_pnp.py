"""The layer map, held against the papers' names on SD 1.5's layout and against storybook's."""

import torch
from diffusers import UNet2DConditionModel
from laser_cli.controls.layers import layers_of

ATTENTION = "transformer_blocks.0.attn1"
TEXTURE = {f"up_blocks.1.attentions.{i}.{ATTENTION}" for i in (1, 2)} | {
    f"up_blocks.{b}.attentions.{i}.{ATTENTION}" for b in (2, 3) for i in range(3)
}
MOTION = {f"up_blocks.{b}.attentions.{i}.{ATTENTION}" for b in (2, 3) for i in range(3)}


def test_sd15_layout_maps_to_plug_and_play_and_masactrl():
    with torch.device("meta"):
        unet = UNet2DConditionModel(sample_size=64, cross_attention_dim=768, attention_head_dim=8)
    layers = layers_of(unet.attn_processors)
    assert layers.texture == TEXTURE
    assert layers.motion == MOTION
    assert layers.features == ("up_blocks.1.resnets.1.conv2",)
    unet.get_submodule(layers.features[0])
    own = [n for n in unet.attn_processors if ".attn1" in n]
    assert len(own) == 16 and len(layers.motion) == 6


def test_storybook_has_the_same_map(storybook):
    layers = layers_of(storybook.unet.attn_processors)
    assert layers.texture == TEXTURE and layers.motion == MOTION


def test_a_model_without_attention_has_an_empty_map():
    assert layers_of([]).texture == frozenset()
