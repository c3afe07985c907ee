"""Adapters for U-Nets of any width: what they leave alone untrained, what their maps tell, their files."""

import copy
import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from laser_cli.controls.knit.drive import Drive, no_parts
from laser_cli.controls.knit.insertion import Insertion, insert
from laser_cli.controls.knit.narrow import NarrowControl, NarrowCross, NarrowReference, narrow_reference
from laser_cli.controls.knit.own import (
    SETTINGS,
    WEIGHTS,
    AdapterSettings,
    as_nets,
    base_probe,
    fits,
    load_own,
    new_adapters,
    read_settings,
    save_adapters,
)
from laser_cli.controls.knit.pose import HeadPose, corners, draw_square, soft_pose_maps
from laser_cli.errors import BadInputError, NotFoundError

BLOCKS = (16, 16, 32, 32)
STORYBOOKS = ((48, 96, 192, 192), (32, 48, 96, 192, 192))
"""The widths of the embedded U-Nets: with latents of 16 and of 32 a side."""


def settings(unet, **other) -> AdapterSettings:
    return AdapterSettings(blocks=BLOCKS, base=base_probe(unet), pixels=8, place=(0, 0, -2.1), **other)


def drive(count: int, side: int) -> Drive:
    torch.manual_seed(3)
    return Drive(torch.rand(count, 3, side, side) * 2 - 1, torch.rand(count, 51), no_parts(count))


def passed(unet, adapters, x, tokens, told, cache=None):
    reference, control = adapters
    features: dict = {}
    with insert(unet, Insertion(), features):
        unet(x[:1], 0, encoder_hidden_states=tokens[:1])
    with insert(unet, Insertion(control(told), reference, reference.prepare(features))):
        return unet(x, 500, encoder_hidden_states=tokens).sample


@pytest.mark.parametrize("plain", [False, True])
@pytest.mark.parametrize("size", [(16, 16), (12, 16), (11, 13)])
def test_untrained_ones_leave_every_picture_alone(unet, plain, size):
    x, tokens = torch.randn(2, 4, *size), torch.randn(2, 5, 24)
    told = Drive(torch.rand(2, 3, 2 * size[0], 2 * size[1]), torch.rand(2, 51), no_parts(2))
    drawn = passed(unet, new_adapters(settings(unet, plain=plain)), x, tokens, told)
    assert torch.allclose(drawn, unet(x, 500, encoder_hidden_states=tokens).sample, atol=1e-6)


def test_trained_ones_read_the_reference_the_pose_and_every_coefficient(unet):
    adapters = random_adapters(unet)
    x, tokens, told = torch.randn(2, 4, 16, 16), torch.randn(2, 5, 24), drive(2, 32)
    drawn = passed(unet, adapters, x, tokens, told)
    assert not torch.allclose(drawn, unet(x, 500, encoder_hidden_states=tokens).sample, atol=1e-3)
    for other in (
        Drive(-told.condition, told.coefficients, told.parts),
        Drive(told.condition, 1 - told.coefficients, told.parts),
    ):
        assert not torch.allclose(drawn, passed(unet, adapters, x, tokens, other), atol=1e-4)
    turned = torch.cat([x[:1].flip(3), x[1:]])
    assert not torch.allclose(drawn[1], passed(unet, adapters, turned, tokens, told)[1], atol=1e-4)


def random_adapters(unet, **other):
    torch.manual_seed(5)
    adapters = new_adapters(settings(unet, **other))
    for part in adapters:
        for parameter in part.parameters():
            parameter.data.add_(torch.randn_like(parameter) * 0.1)
        part.eval().requires_grad_(False)
    return adapters


def test_a_u_net_is_known_in_every_precision(unet):
    """A bfloat16 one, too, whose file was in half precision."""
    probe = base_probe(unet)
    for first, then in ((torch.float32, torch.bfloat16), (torch.float16, torch.bfloat16), (torch.float16,) * 2):
        assert fits(probe, copy.deepcopy(unet).to(first).to(then))
    other = copy.deepcopy(unet)
    torch.nn.init.normal_(other.conv_in.weight, std=0.1)
    assert not fits(probe, other) and not fits(probe[:-1], unet)


@pytest.mark.parametrize("blocks", STORYBOOKS)
def test_control_maps_fit_every_point_of_the_embedded_unets(blocks):
    levels, side = len(blocks), 16 if len(blocks) == 4 else 32
    maps = NarrowControl(blocks)(drive(1, 2 * side))
    inputs = [blocks[-1], *reversed(blocks[1:])]
    for i in range(levels):
        low = side // 2 ** (levels - 1 - i)
        assert maps[f"up_{i}"].shape == (1, inputs[i], low, low)
        half = side // 2 ** min(i + 1, levels - 1)
        assert maps[f"down_{i}"].shape == (1, blocks[i], half, half)


@pytest.mark.parametrize("blocks", STORYBOOKS)
def test_they_ship_in_15_megabytes_and_plain_attention_has_as_many_weights(blocks):
    def numbers(plain: bool) -> int:
        parts = (narrow_reference(blocks, plain), NarrowControl(blocks, plain=plain))
        return sum(p.numel() for part in parts for p in part.parameters())

    assert numbers(False) == numbers(True)
    assert 2 * numbers(False) < 15e6


def test_knitting_sees_places_and_plain_cross_attention_sees_none():
    tokens, x = torch.randn(1, 16, 128), torch.ones(1, 8, 6, 6)
    for plain in (False, True):
        torch.manual_seed(0)
        inner = NarrowCross(8, plain)(x, tokens)[0, :, 2:4, 2:4].flatten(1)
        assert torch.allclose(inner, inner[:, :1].expand_as(inner), atol=1e-5) == plain


def test_a_row_reads_all_of_the_reference_in_two_passes():
    """Rows, then columns: what stands in another row and another column still reaches a place."""
    torch.manual_seed(0)
    module = NarrowReference(8, 4)
    torch.nn.init.normal_(module.proj.weight)
    for attn in (module.attn1, module.attn2):
        for layer in (attn.to_q, attn.to_k, attn.to_v):
            layer.weight.mul_(5)
    hidden, reference = torch.randn(1, 8, 6, 6), torch.randn(1, 4, 6, 6)
    other = reference.clone()
    other[:, 0, 5, 5] += 5
    apart = (module(hidden, other) - module(hidden, reference)).abs().sum(1)[0]
    assert (apart > 1e-5).all()


def test_soft_maps_are_the_published_ones_made_small():
    pose = HeadPose(np.radians([[5.0, 20.0, -10.0]]), np.array([[0.1, -0.1, -2.4]]))
    (points,) = corners(pose)
    drawn = torch.from_numpy(draw_square(points, 512, 512).copy()).permute(2, 0, 1).float() / 127.5 - 1
    small = torch.nn.functional.avg_pool2d(drawn, 16)
    (soft,) = soft_pose_maps(pose, 32, 32)
    assert soft.shape == small.shape and (soft - small).abs().mean() < 0.03


def test_soft_maps_tell_small_turns():
    def mapped(yaw: float) -> torch.Tensor:
        return soft_pose_maps(HeadPose(np.radians([[0.0, yaw, 0.0]]), np.array([[0, 0, -2.1]])), 32, 32)

    assert (mapped(1) - mapped(0)).abs().max() > 0.02
    assert (mapped(4) - mapped(0)).abs().mean() > 3 * (mapped(1) - mapped(0)).abs().mean()


def test_files_hold_them_and_another_unets_are_refused(unet, tmp_path):
    told, adapters = settings(unet), random_adapters(unet)
    save_adapters(tmp_path, told, *adapters)
    assert read_settings(tmp_path) == told
    nets = load_own(tmp_path, unet, torch.float32, "cpu")
    assert nets.own and nets.place == (0, 0, -2.1)
    for name, tensor in adapters[1].state_dict().items():
        assert torch.equal(nets.control.state_dict()[name], tensor.half().float())
    pose = HeadPose(np.zeros((1, 3)), np.array([nets.place]))
    assert nets.maps(pose, 128, 96).shape == (1, 3, 32, 24)
    strange = SimpleNamespace(conv_in=SimpleNamespace(weight=unet.conv_in.weight + 1))
    with pytest.raises(BadInputError, match="do not fit this model"):
        load_own(tmp_path, strange, torch.float32, "cpu")


def test_damaged_files_are_told(unet, tmp_path):
    save_adapters(tmp_path, settings(unet), *new_adapters(settings(unet)))
    weights = load_file(tmp_path / WEIGHTS)
    save_file({key: x for key, x in weights.items() if "attn1" not in key}, tmp_path / WEIGHTS)
    with pytest.raises(NotFoundError, match="not whole"):
        load_own(tmp_path, unet, torch.float32, "cpu")
    (tmp_path / SETTINGS).write_text(json.dumps({"version": 1, "blocks": "wide"}))
    with pytest.raises(NotFoundError, match="no portrait adapters"):
        load_own(tmp_path, unet, torch.float32, "cpu")


def test_a_drive_without_coefficients_is_an_error(unet):
    nets = as_nets(settings(unet), *new_adapters(settings(unet)))
    with pytest.raises(ValueError, match="coefficients"):
        nets.control(Drive(torch.zeros(1, 3, 32, 32), pdfgc=torch.zeros(1, 548)))
