"""MasaCtrl: its layers by the paper's numbers, and what it does at a strength."""

import pytest
import torch
from diffusers import UNet2DConditionModel

from laser_cli.controls import masactrl
from laser_cli.controls.base import QKV, from_layer, self_attentions, within
from laser_cli.errors import UsageError
from tests.controls.test_pnp import ATTENTION, names_of, sd15


def test_its_layers_on_sd15_are_10_to_15():
    unet = sd15()
    down, up = (
        [name for name in names_of(unet) if name.startswith(f"{part}_blocks") and name.endswith("attn1")]
        for part in ("down", "up")
    )
    ordered = [*down, f"mid_block.attentions.0.{ATTENTION}", *up]
    assert masactrl.attentions(names_of(unet)) == ordered[10:16]


def test_it_begins_at_step_4_of_50():
    assert [i for i in range(50) if within(i, 50, masactrl.CONTROL.attention_steps)] == list(range(4, 50))


def test_a_strength_moves_the_output_to_what_the_queries_read_of_the_source():
    q, k, v, out = torch.randn(2, 2, 6, 8), torch.randn(1, 2, 6, 8), torch.randn(1, 2, 6, 8), torch.randn(2, 2, 6, 8)
    mixed = masactrl.mix(out, QKV(q, q, q), QKV(q[:1], k, v), torch.tensor([0.0, 1.0]))
    assert torch.equal(mixed[0], out[0])
    expected = torch.softmax(q[1] @ k[0].mT / 8**0.5, dim=-1) @ v[0]
    assert torch.allclose(mixed[1], expected, atol=1e-5)


def sdxl():
    from laser_cli.models.layout import config_folder, read_json

    with torch.device("meta"):
        return UNet2DConditionModel.from_config(read_json(config_folder("SDXL") / "unet" / "config.json"))


def test_its_layers_on_sdxl_are_those_of_the_decoder_or_from_where_one_says():
    """Published numbers count 24 self-attentions on the way down, 10 in the middle, 36 on the way up."""
    names = names_of(sdxl())
    ordered = self_attentions(names)
    assert len(ordered) == 70 and masactrl.attentions(names) == ordered[34:]
    assert [name.partition(".")[0] for name in (ordered[23], ordered[24], ordered[33], ordered[34])] == [
        "down_blocks",
        "mid_block",
        "mid_block",
        "up_blocks",
    ]
    for first, block in ((44, "up_blocks.0.attentions.1."), (54, "up_blocks.0.attentions.2."), (64, "up_blocks.1.")):
        control = from_layer(masactrl.CONTROL, first, names)
        chosen = control.attentions(names)
        assert chosen == ordered[first:] and chosen[0].startswith(block)
        assert (control.mix, control.attention_steps) == (masactrl.CONTROL.mix, masactrl.CONTROL.attention_steps)
    with pytest.raises(UsageError, match="cannot begin at self-attention 70"):
        from_layer(masactrl.CONTROL, 70, names)


def test_a_render_begins_where_one_says():
    from laser_cli.engine.spec import Frame, SamplingParams
    from laser_cli.models.unet import UNetBackbone
    from tests.engine.toy import animation, finished
    from tests.models import tiny

    torch.manual_seed(0)
    backbone = UNetBackbone(tiny.unet(12).eval().requires_grad_(False), "epsilon", 2)
    spec, count = (
        animation([Frame(0, 0.4)], {"motion": 1.0}, {"motion": 1.0}),
        len(self_attentions(backbone.attentions)),
    )
    params = [SamplingParams(3.0, motion_from=first) for first in (None, 0, count - 1)]
    own, whole, late = (finished(backbone, spec, each)[1][0] for each in params)
    decoder = count - len(masactrl.attentions(backbone.attentions))
    assert torch.equal(finished(backbone, spec, SamplingParams(3.0, motion_from=decoder))[1][0], own)
    assert not torch.allclose(own, whole, atol=1e-3) and not torch.allclose(whole, late, atol=1e-3)
    with pytest.raises(UsageError, match="cannot begin"):
        finished(backbone, spec, SamplingParams(3.0, motion_from=count))
