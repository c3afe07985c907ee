"""Schedule maths."""

from itertools import pairwise

import pytest
import torch

from laser_cli.engine.schedule import Level, Schedule, ddim_step, every, guide, noise_like, to_eps, to_x0

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
        assert a.alpha_prev == pytest.approx(b.alpha, rel=1e-12)
        assert a.alpha < a.alpha_prev


def test_the_last_step_ends_at_the_final_alpha():
    betas = torch.linspace(0.00085**0.5, 0.012**0.5, 1000, dtype=torch.float32) ** 2
    assert Schedule.from_config(SD15).levels(10)[-1].alpha_prev == pytest.approx(float(1 - betas[0]), rel=1e-5)


def test_an_unknown_scheduler_class_keeps_its_prediction_type():
    assert Schedule.from_config({**SD15, "prediction_type": "v_prediction"}).prediction == "v_prediction"
    assert Schedule.from_config(SD15).prediction == "epsilon"


@pytest.mark.parametrize("alpha", [0.005, 0.3, 0.99])
def test_every_prediction_type_tells_the_same_noise(alpha):
    x0, eps = torch.randn(2, 4, 8, 8, dtype=torch.float64), torch.randn(2, 4, 8, 8, dtype=torch.float64)
    x = alpha**0.5 * x0 + (1 - alpha) ** 0.5 * eps
    v = alpha**0.5 * eps - (1 - alpha) ** 0.5 * x0
    for output, kind in ((eps, "epsilon"), (v, "v_prediction"), (x0, "sample")):
        assert torch.allclose(to_eps(output, x, alpha, kind), eps, atol=1e-9)
    assert torch.allclose(to_x0(eps, x, alpha), x0, atol=1e-9)


def test_a_step_there_and_back_is_the_identity():
    x, eps = torch.randn(1, 4, 8, 8, dtype=torch.float64), torch.randn(1, 4, 8, 8, dtype=torch.float64)
    assert torch.allclose(ddim_step(ddim_step(x, eps, 0.2, 0.7), eps, 0.7, 0.2), x)


def test_guidance_one_is_the_prompt_alone():
    a, b = torch.randn(3), torch.randn(3)
    assert torch.allclose(guide(torch.stack([a, b]), 1.0), b)
    assert torch.allclose(guide(torch.stack([a, b]), 0.0), a)


def test_noise_depends_on_the_seed_alone():
    assert torch.equal(noise_like((4, 8, 8), 3), noise_like((4, 8, 8), 3))
    assert not torch.equal(noise_like((4, 8, 8), 3), noise_like((4, 8, 8), 4))


@pytest.mark.parametrize("stride", [1, 2, 3, 7, 30])
def test_fewer_levels_go_the_same_way(stride):
    levels = [Level(10 * i, 1 - i / 20, 1 - (i - 1) / 20) for i in range(11, 0, -1)]
    fewer = every(levels, stride)
    assert len(fewer) == -(-11 // stride)
    assert fewer[0].alpha == levels[0].alpha and fewer[-1].alpha_prev == levels[-1].alpha_prev
    assert all(a.alpha_prev == b.alpha for a, b in pairwise(fewer))
    assert (fewer == levels) == (stride == 1)
