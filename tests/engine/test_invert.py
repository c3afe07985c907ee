"""Sampling and inversion with toy models: the engine takes any callable."""

import pytest
import torch

from laser_cli.engine.invert import METHODS, evaluations, invert
from laser_cli.engine.sample import denoise, last
from laser_cli.engine.schedule import Schedule

LEVELS = Schedule.from_config(
    {
        "beta_start": 0.00085,
        "beta_end": 0.012,
        "beta_schedule": "scaled_linear",
        "num_train_timesteps": 1000,
        "set_alpha_to_one": False,
        "steps_offset": 1,
    }
).levels(20)
STATES = torch.zeros(1, 2, 3)


class Counted:
    """A smooth toy model: the noise it sees bends with the latents, so that inversion is not exact by itself."""

    def __init__(self, bend: float) -> None:
        self.bend, self.rows = bend, 0

    def __call__(self, x, level, states):
        self.rows += len(x)
        return self.bend * torch.tanh(x) + 0.1 * states.sum((1, 2)).view(-1, 1, 1, 1)


@pytest.mark.parametrize("method", METHODS)
def test_inverting_then_denoising_with_constant_noise_is_the_identity(method):
    noise = torch.randn(1, 4, 8, 8, dtype=torch.float64)
    z = torch.randn(1, 4, 8, 8, dtype=torch.float64)
    there = last(invert(lambda x, level, s: noise, z, LEVELS, STATES, method))
    assert torch.allclose(last(denoise(lambda x, level, s: noise, there, LEVELS, STATES)), z, atol=1e-9)


def test_fixed_point_draws_the_source_again_better_than_plain_ddim():
    z = torch.randn(1, 4, 8, 8, dtype=torch.float64)
    errors = {}
    for method in ("ddim", "fixed-point"):
        there = last(invert(Counted(0.3), z, LEVELS, STATES, method))
        errors[method] = (last(denoise(Counted(0.3), there, LEVELS, STATES)) - z).abs().mean()
    assert errors["fixed-point"] < errors["ddim"] / 3


@pytest.mark.parametrize("method", METHODS)
def test_evaluations_are_counted_as_made(method):
    model = Counted(0.1)
    assert len(list(invert(model, torch.zeros(1, 4, 4, 4), LEVELS, STATES, method))) == len(LEVELS)
    assert model.rows == evaluations(len(LEVELS), method)


def test_guidance_costs_two_rows_and_guidance_one_costs_one():
    for guidance, rows in ((1.0, 1), (3.0, 2)):
        model = Counted(0.1)
        last(
            denoise(
                model, torch.zeros(3, 4, 4, 4), LEVELS, STATES.expand(3, -1, -1), STATES.expand(3, -1, -1), guidance
            )
        )
        assert model.rows == 3 * rows * len(LEVELS)
