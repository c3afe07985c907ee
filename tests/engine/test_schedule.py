"""Schedule maths."""

from dataclasses import replace
from itertools import pairwise

import pytest
import torch

from laser_cli.engine.schedule import Schedule, every, guide, level_of, noise_like

SD15 = {
    "_class_name": "PNDMScheduler",
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "num_train_timesteps": 1000,
    "set_alpha_to_one": False,
    "skip_prk_steps": True,
    "steps_offset": 1,
    "clip_sample": False,
}


def test_levels_of_sd15_start_at_981_and_end_at_1():
    levels = Schedule.from_config(SD15).levels(50)
    assert [level.timestep for level in levels[:2]] == [981, 961]
    assert levels[-1].timestep == 1


def test_levels_join_end_to_end():
    levels = Schedule.from_config(SD15).levels(25)
    for a, b in pairwise(levels):
        assert (a.next_signal, a.next_noise) == pytest.approx((b.signal, b.noise), rel=1e-12)
        assert a.signal < a.next_signal


def test_the_last_step_ends_at_the_final_alpha():
    betas = torch.linspace(0.00085**0.5, 0.012**0.5, 1000, dtype=torch.float32) ** 2
    assert Schedule.from_config(SD15).levels(10)[-1].next_signal ** 2 == pytest.approx(float(1 - betas[0]), rel=1e-5)


def test_an_unknown_scheduler_class_keeps_its_prediction_type():
    assert Schedule.from_config({**SD15, "prediction_type": "v_prediction"}).prediction == "v_prediction"
    assert Schedule.from_config(SD15).prediction == "epsilon"


def test_guidance_one_is_the_prompt_alone():
    a, b = torch.randn(3), torch.randn(3)
    assert torch.allclose(guide(torch.stack([a, b]), 1.0), b)
    assert torch.allclose(guide(torch.stack([a, b]), 0.0), a)


def test_noise_depends_on_the_seed_alone():
    assert torch.equal(noise_like((4, 8, 8), 3), noise_like((4, 8, 8), 3))
    assert not torch.equal(noise_like((4, 8, 8), 3), noise_like((4, 8, 8), 4))


@pytest.mark.parametrize("stride", [1, 2, 3, 7, 30])
def test_fewer_levels_go_the_same_way(stride):
    levels = [level_of(10 * i, 1 - i / 20, 1 - (i - 1) / 20) for i in range(11, 0, -1)]
    levels = [
        replace(level, begin=(11 - i) / 11, end=(12 - i) / 11)
        for level, i in zip(levels, range(11, 0, -1), strict=True)
    ]
    fewer = every(levels, stride)
    assert len(fewer) == -(-11 // stride)
    assert fewer[0].signal == levels[0].signal and fewer[-1].next_signal == levels[-1].next_signal
    assert all((a.next_signal, a.next_noise, a.end) == (b.signal, b.noise, b.begin) for a, b in pairwise(fewer))
    assert (fewer == levels) == (stride == 1)
