"""Outlines and the training of storybook's ControlNet, in miniature: it learns, goes on, and fits what it stands on."""

import json
import shutil

import pytest
import torch
from diffusers import AutoencoderKL, ControlNetModel, DDIMScheduler, UNet2DConditionModel
from transformers import CLIPTextModel

from laser_cli.errors import NotFoundError
from laser_cli.models.find import WEIGHTS
from laser_cli.storybook.look import FIRST, SECOND, look_of
from laser_cli.storybook.outlines import edges, outlines
from laser_cli.storybook.scenes import Scene
from laser_cli.storybook.train import edges as training
from laser_cli.storybook.train import edges_net
from laser_cli.storybook.train.install import install
from laser_cli.storybook.train.unet import SCHEDULE, unet_config
from laser_cli.storybook.world import draw_with_masks
from tests.models import tiny

BLOCKS = {"down_block_types": ("DownEncoderBlock2D",) * 4, "up_block_types": ("UpDecoderBlock2D",) * 4}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A training folder with a tiny pipeline of the first look: 16 x 16 latents of 4 channels."""
    made = tmp_path_factory.mktemp("training") / "pipeline"
    torch.manual_seed(0)
    shape = unet_config("S1A", 4, 16) | {"block_out_channels": (16, 16, 16, 32), "cross_attention_dim": 16}
    UNet2DConditionModel(**shape).save_pretrained(made / "unet")
    AutoencoderKL(block_out_channels=(4,) * 4, norm_num_groups=2, **BLOCKS).save_pretrained(made / "vae")
    CLIPTextModel(tiny.text_config()).save_pretrained(made / "text_encoder")
    DDIMScheduler(**SCHEDULE).save_pretrained(made / "scheduler")
    shutil.copytree(WEIGHTS / "tokenizer", made / "tokenizer")
    return made.parent


@pytest.mark.parametrize("size", [128, 256])
def test_an_outline_runs_along_the_mask_and_is_as_thick_at_every_size(size):
    (mask,) = draw_with_masks([Scene()], size)[1]
    line = edges(mask[None])[0, 0]
    middle = line[:, size // 2].nonzero().flatten()
    inside = (mask[0, :, size // 2] > 0.5).nonzero().flatten()
    reach = max(1, size // 128)
    assert 4 * reach <= len(middle) <= 4 * reach + 2  # the two levels of a soft edge lie apart by a pixel at most
    assert all(min(abs(at - end) for end in (inside.min(), inside.max())) <= reach + 1 for at in middle)
    drawn = outlines(mask[None])
    assert drawn.shape == (1, 3, size, size) and set(drawn.unique().tolist()) == {0.0, 1.0}


def test_a_subject_at_the_border_has_no_line_along_the_border():
    mask = torch.zeros(1, 1, 64, 64)
    mask[:, :, :, :20] = 1
    assert edges(mask)[0, 0].any(0).nonzero().flatten().tolist() == [19, 20]


def test_the_look_is_that_of_the_pipelines_size():
    assert look_of(128) is FIRST and look_of(256) is SECOND


@pytest.mark.parametrize("widths", [(32, 48, 96, 192, 192), (48, 96, 192, 192)])
def test_its_settings_follow_the_u_net_and_one_layer_a_block_is_small_enough_to_ship(widths):
    levels, side = len(widths), 2 ** len(widths)
    unet = {"in_channels": 8, "block_out_channels": widths, "layers_per_block": 1, "cross_attention_dim": 256}
    unet |= {"attention_head_dim": (2,) * levels, "norm_num_groups": 16, "sample_size": side}
    with torch.device("meta"):
        net = ControlNetModel(**edges_net.net_config(unet, 3))
    assert 2 * sum(p.numel() for p in net.parameters()) <= 6e6  # bytes, in half precision
    attended = [name for name in net.attn_processors if "attn1" in name]
    assert len(attended) == 1 and attended[0].startswith(f"down_blocks.{levels - 4}.")
    assert net.controlnet_cond_embedding.conv_out.out_channels == widths[0]


def test_it_begins_as_the_u_net_and_adds_nothing(folder):
    base = edges_net.load_base(folder / "pipeline", "cpu")
    net = edges_net.new_net(base)
    assert torch.equal(net.conv_in.weight, base.unet.conv_in.weight)
    assert torch.equal(net.down_blocks[1].resnets[0].conv1.weight, base.unet.down_blocks[1].resnets[0].conv1.weight)
    x, states, t = torch.randn(2, 4, 16, 16), torch.randn(2, 77, 16), torch.tensor([500, 900])
    shown = torch.ones(2, 1, 128, 128, dtype=torch.uint8)
    with torch.no_grad():
        alone, led = (edges_net.predict(base, each, x, t, states, shown) for each in (None, net))
    assert torch.allclose(alone, led, atol=1e-6)


def test_it_learns_from_outlines_goes_on_and_is_installed(folder, tmp_path):
    few = {"batch": 2, "number": 64, "first": 64, "held": 64, "shown": 1}
    before = {
        name: tensor.clone()
        for name, tensor in edges_net.load_base(folder / "pipeline", "cpu").unet.state_dict().items()
    }
    training.train(folder, steps=2, **few)
    state = torch.load(folder / "edges.pt", weights_only=False)
    assert state["step"] == 2 and (folder / "edges.png").is_file()
    training.train(folder, steps=3, **few)
    assert torch.load(folder / "edges.pt", weights_only=False)["step"] == 3
    lines = [json.loads(line) for line in (folder / "edges.log").read_text().splitlines()]
    assert [line["step"] for line in lines if "led" in line] == [2, 3]
    net = ControlNetModel.from_pretrained(folder / "edges")
    assert net.controlnet_mid_block.weight.abs().max() > 0
    after = edges_net.load_base(folder / "pipeline", "cpu").unet.state_dict()
    assert all(torch.equal(before[name], tensor) for name, tensor in after.items())
    (folder / "pipeline").rename(folder / "elsewhere")  # only the net is installed
    try:
        assert install(folder, tmp_path) == ["ControlNet"]
    finally:
        (folder / "elsewhere").rename(folder / "pipeline")
    assert ControlNetModel.from_pretrained(tmp_path / "edges", torch_dtype=torch.float16).dtype == torch.float16
    assert "_name_or_path" not in json.loads((tmp_path / "edges" / "config.json").read_text())


def test_an_outline_is_what_it_learns_from():
    """Gradients reach the embedding of the condition as soon as what it adds is more than nothing."""
    torch.manual_seed(0)
    unet = UNet2DConditionModel(
        **(unet_config("S1A", 4, 16) | {"block_out_channels": (16, 16, 16, 32), "cross_attention_dim": 8})
    )
    vae = AutoencoderKL(block_out_channels=(4,) * 4, norm_num_groups=2, **BLOCKS)
    base = edges_net.Base(unet, vae, None, None, None, FIRST, "cpu")
    net = edges_net.new_net(base)
    for block in net.controlnet_down_blocks:
        torch.nn.init.normal_(block.weight, std=0.1)
    x, t, states = torch.randn(1, 4, 16, 16), torch.tensor([500]), torch.randn(1, 77, 8)
    edges_net.predict(base, net, x, t, states, torch.ones(1, 1, 128, 128)).square().mean().backward()
    assert net.controlnet_cond_embedding.conv_out.weight.grad.abs().max() > 0


def test_without_a_pipeline_it_says_what_to_do(tmp_path):
    with pytest.raises(NotFoundError) as caught:
        training.train(tmp_path, steps=1, start=tmp_path / "none")
    assert "train unet" in caught.value.render()
