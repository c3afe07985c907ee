"""Sampling and inversion with toy models: the engine takes any callable."""

import diffusers
import pytest
import torch

from laser_cli.engine.invert import METHODS, invert, nfe
from laser_cli.engine.sample import denoise, last
from laser_cli.engine.schedule import Schedule
from laser_cli.engine.workers import Workers
from laser_cli.models.base import to_x0_eps
from laser_cli.models.conditioning import Conditioning

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
TOLD = Conditioning(torch.zeros(1, 2, 3))


class Toy:
    """A backbone whose noise is any function of the latents; it counts its rows."""

    def __init__(self, noise, prediction="epsilon") -> None:
        self.noise, self.prediction, self.nfe = noise, prediction, 0

    def predict(self, latents, level, conditioning, hooks=None):
        self.nfe += len(latents)
        return to_x0_eps(self.noise(latents), latents, level, self.prediction)


def bending(bend):
    """Noise that bends with the latents, so that inversion is not exact by itself."""
    return Toy(lambda x: bend * torch.tanh(x))


@pytest.mark.parametrize("method", METHODS)
def test_inverting_then_denoising_with_constant_noise_is_the_identity(method):
    noise, z = torch.randn(2, 1, 4, 8, 8, dtype=torch.float64)
    backbone = Toy(lambda x: noise)
    there = last(invert(backbone, z, LEVELS, TOLD, method))
    assert torch.allclose(last(denoise(backbone, there, LEVELS, TOLD)), z, atol=1e-9)


def test_ddim_inversion_is_its_equation_written_out():
    """z_t from z_{t-D}: the noise at (z_{t-D}, t), the clean latents by the cleaner level, the noisier one of both."""
    z = torch.randn(1, 4, 8, 8, dtype=torch.float64)
    expected = z
    for level in reversed(LEVELS):
        alpha, before = level.signal**2, level.next_signal**2
        eps = 0.3 * torch.tanh(expected)
        expected = alpha**0.5 * (expected - (1 - before) ** 0.5 * eps) / before**0.5 + (1 - alpha) ** 0.5 * eps
    assert torch.allclose(last(invert(bending(0.3), z, LEVELS, TOLD, "ddim")), expected, atol=1e-9)


def test_fixed_point_draws_the_source_again_better_than_plain_ddim():
    z = torch.randn(1, 4, 8, 8, dtype=torch.float64)
    errors = {}
    for method in ("ddim", "fixed-point"):
        there = last(invert(bending(0.3), z, LEVELS, TOLD, method))
        errors[method] = (last(denoise(bending(0.3), there, LEVELS, TOLD)) - z).abs().mean()
    assert errors["fixed-point"] < errors["ddim"] / 3


@pytest.mark.parametrize("method", METHODS)
def test_evaluations_are_counted_as_made(method):
    backbone = bending(0.1)
    assert len(list(invert(backbone, torch.zeros(1, 4, 4, 4), LEVELS, TOLD, method))) == len(LEVELS)
    assert backbone.nfe == nfe(len(LEVELS), method)


def test_guidance_costs_two_rows_and_guidance_one_costs_one():
    for guidance, rows in ((1.0, 1), (3.0, 2)):
        backbone, told = bending(0.1), TOLD.expand(3)
        last(denoise(backbone, torch.zeros(3, 4, 4, 4), LEVELS, told, told, guidance))
        assert backbone.nfe == 3 * rows * len(LEVELS)


def test_guided_sampling_is_ddim_with_guided_noise(tiny):
    """Epsilon guidance written out, whatever the number of workers."""
    from tests.engine.toy import LEVELS as FEW
    from tests.engine.toy import told

    cond, uncond = told(1), told(2)
    x = z = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        for level in FEW:
            both = [tiny.unet(z, level.timestep, encoder_hidden_states=c.prompt_embeds).sample for c in (uncond, cond)]
            eps = both[0] + 5.0 * (both[1] - both[0])
            x0 = (z - (1 - level.signal**2) ** 0.5 * eps) / level.signal
            z = level.next_signal * x0 + (1 - level.next_signal**2) ** 0.5 * eps
        for workers in (None, Workers(2)):
            assert torch.allclose(last(denoise(tiny, x, FEW, cond, uncond, 5.0, workers)), z, atol=1e-4)


SD15 = {
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "num_train_timesteps": 1000,
    "clip_sample": False,
    "set_alpha_to_one": False,
    "steps_offset": 1,
}


class Gaussian:
    """The exact network of pictures whose numbers are normal with deviation 0.6; it predicts noise or v."""

    def __init__(self, prediction):
        self.prediction, self.alphas, self.nfe = prediction, diffusers.DDIMScheduler(**SD15).alphas_cumprod.double(), 0

    def output(self, x, timestep):
        signal, noise = self.alphas[int(timestep)] ** 0.5, (1 - self.alphas[int(timestep)]) ** 0.5
        eps, x0 = (each * x / (0.36 * signal**2 + noise**2) for each in (noise, 0.36 * signal))
        return eps if self.prediction == "epsilon" else signal * eps - noise * x0

    def predict(self, latents, level, conditioning, hooks=None):
        return to_x0_eps(self.output(latents, level.timestep), latents, level, self.prediction)


def the_librarys(backbone, z, steps):
    scheduler = diffusers.DDIMInverseScheduler(**SD15, prediction_type=backbone.prediction)
    scheduler.set_timesteps(steps)
    for t in scheduler.timesteps:
        z = scheduler.step(backbone.output(z, t), t, z).prev_sample
    return z


def levels_of(prediction, steps):
    return Schedule.from_config({**SD15, "_class_name": "DDIMScheduler", "prediction_type": prediction}).levels(steps)


@pytest.mark.parametrize("steps", [5, 20, 50])
def test_ddim_inversion_is_the_librarys(steps):
    backbone, z = Gaussian("epsilon"), torch.randn(1, 4, 8, 8, dtype=torch.float64)
    ours = last(invert(backbone, z, levels_of("epsilon", steps), TOLD, "ddim"))
    assert torch.allclose(ours, the_librarys(backbone, z, steps), atol=1e-5)


@pytest.mark.parametrize("steps", [10, 25, 50])
def test_v_is_converted_at_the_level_that_the_model_was_told(steps):
    """The library converts it at the cleaner level, which the network was not told: its inversions come back worse."""
    backbone, levels = Gaussian("v_prediction"), levels_of("v_prediction", steps)
    z = torch.randn(1, 4, 8, 8, dtype=torch.float64)

    def lost(noise):
        return float((last(denoise(backbone, noise, levels, TOLD)) - z).norm() / z.norm())

    ours, theirs = last(invert(backbone, z, levels, TOLD, "ddim")), the_librarys(backbone, z, steps)
    assert not torch.allclose(ours, theirs, atol=1e-3)
    assert lost(ours) < lost(theirs)
