"""MasaCtrl: its layers by the paper's numbers, and what it does at a strength."""

import torch

from laser_cli.controls import masactrl
from laser_cli.controls.base import QKV, within
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
