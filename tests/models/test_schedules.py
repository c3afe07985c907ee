"""Noise levels of the library's schedulers: against its own samplers, and as a chain that ends clean."""

from itertools import pairwise

import diffusers
import pytest
import torch

from laser_cli.errors import NotFoundError, UsageError
from laser_cli.models.base import to_x0_eps
from laser_cli.models.scheduler_choice import choose_schedule
from laser_cli.models.schedules import FOLLOWED, Schedule

BETAS = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear", "num_train_timesteps": 1000}
SD15 = {
    "_class_name": "PNDMScheduler",
    **BETAS,
    "set_alpha_to_one": False,
    "skip_prk_steps": True,
    "steps_offset": 1,
    "clip_sample": False,
}
PLAIN = sorted(name for name, (kind, _) in FOLLOWED.items() if kind in ("alphas", "sigmas"))
SPACINGS = ("leading", "linspace", "trailing")


def network(x, t):
    """A stand-in for a denoising network that depends on the latents and on what it is told of the time."""
    return torch.sin(3 * x + 0.01 * float(t)) + 0.1 * x


def ours(config, x, steps):
    schedule = Schedule.from_config(config)
    for level in schedule.levels(steps):
        x0, eps = to_x0_eps(network(x, level.timestep), x, level, schedule.prediction)
        x = level.step(x0, eps)
    return x


def theirs(config, x, steps, cls):
    """The library's first-order sampler, in latents of its own scale."""
    scheduler = cls.from_config(config)
    scheduler.set_timesteps(steps)
    for t in scheduler.timesteps:
        seen = scheduler.scale_model_input(x, t) if hasattr(scheduler, "scale_model_input") else x
        x = scheduler.step(network(seen, t), t, x).prev_sample
    return x


@pytest.fixture
def noise():
    return torch.randn(1, 4, 8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction", "sample"])
@pytest.mark.parametrize("spacing", ["leading", "trailing"])
def test_ddim_is_the_librarys(noise, spacing, prediction):
    config = {**BETAS, "_class_name": "DDIMScheduler", "steps_offset": int(spacing == "leading"), "clip_sample": False}
    config |= {"set_alpha_to_one": False, "timestep_spacing": spacing, "prediction_type": prediction}
    expected = theirs(config, noise, 10, diffusers.DDIMScheduler)
    assert torch.allclose(ours(config, noise, 10), expected, atol=1e-5)


@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction"])
@pytest.mark.parametrize("spacing", SPACINGS)
@pytest.mark.parametrize("sigmas", ["", "karras", "exponential"])
def test_euler_is_the_librarys(noise, spacing, prediction, sigmas):
    config = {**BETAS, "_class_name": "EulerDiscreteScheduler", "steps_offset": 1, "timestep_spacing": spacing}
    config |= {"prediction_type": prediction} | ({f"use_{sigmas}_sigmas": True} if sigmas else {})
    first = Schedule.from_config(config).levels(7)[0]
    expected = theirs(config, noise / first.signal, 7, diffusers.EulerDiscreteScheduler)
    assert torch.allclose(ours(config, noise, 7), expected, atol=1e-4)


@pytest.mark.parametrize("spacing", SPACINGS)
@pytest.mark.parametrize("karras", [False, True])
@pytest.mark.parametrize("last", ["zero", "sigma_min"])
@pytest.mark.parametrize("name", ["DPMSolverMultistepScheduler", "UniPCMultistepScheduler", "DEISMultistepScheduler"])
def test_multistep_solvers_of_order_one_are_the_librarys(noise, name, spacing, karras, last):
    if name.startswith("DEIS") and last == "zero":
        pytest.skip("DEIS has no final_sigmas_type")
    if not name.startswith("DEIS") and karras and last == "sigma_min":
        pytest.skip("the library repeats the last level; laser ends clean")
    config = {**BETAS, "_class_name": name, "steps_offset": 1, "timestep_spacing": spacing, "solver_order": 1}
    config |= {"use_karras_sigmas": karras, "final_sigmas_type": last}
    if name.startswith("DEIS"):
        config.pop("final_sigmas_type")
    if name.startswith("UniPC"):
        config["disable_corrector"] = list(range(10))
    levels = Schedule.from_config(config).levels(6)
    cls = getattr(diffusers, name)
    if name.startswith("DEIS"):
        return _same_sigmas(levels, cls.from_config(config))
    assert torch.allclose(ours(config, noise, 6), theirs(config, noise, 6, cls), atol=1e-4)


def _same_sigmas(levels, scheduler):
    scheduler.set_timesteps(len(levels))
    assert [level.timestep for level in levels] == scheduler.timesteps.tolist()
    sigmas = [level.noise / level.signal for level in levels]
    assert sigmas == pytest.approx(scheduler.sigmas[:-1].tolist(), rel=1e-5)


@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction"])
@pytest.mark.parametrize("sigmas", ["karras", "exponential"])
def test_edm_is_the_librarys_euler(noise, prediction, sigmas):
    config = {"_class_name": "EDMEulerScheduler", "prediction_type": prediction, "sigma_schedule": sigmas}
    schedule = Schedule.from_config(config)
    first = schedule.levels(8)[0]
    expected = theirs(config, noise.float() * 0.5 / first.signal, 8, diffusers.EDMEulerScheduler)
    assert schedule.latent_scale == 2
    assert torch.allclose(ours(config, noise.float(), 8) / 2, expected, atol=1e-4)


@pytest.mark.parametrize("shift", [1.0, 3.0])
def test_flow_matching_is_the_librarys_euler(noise, shift):
    config = {"_class_name": "FlowMatchEulerDiscreteScheduler", "shift": shift}
    assert Schedule.from_config(config).prediction == "flow"
    expected = theirs(config, noise, 9, diffusers.FlowMatchEulerDiscreteScheduler)
    assert torch.allclose(ours(config, noise, 9), expected, atol=1e-4)


@pytest.mark.parametrize("name", ["DPMSolverMultistepScheduler", "UniPCMultistepScheduler"])
def test_flow_prediction_of_multistep_solvers_is_followed_as_flow(noise, name):
    config = {"_class_name": name, "prediction_type": "flow_prediction", "use_flow_sigmas": True, "flow_shift": 3.0}
    config |= {"solver_order": 1, "num_train_timesteps": 1000}
    if name.startswith("UniPC"):
        config["disable_corrector"] = list(range(10))
    assert Schedule.from_config(config).prediction == "flow"
    scheduler = getattr(diffusers, name).from_config(config)
    scheduler.set_timesteps(6)
    levels = Schedule.from_config(config).levels(6)
    assert all(level.signal + level.noise == pytest.approx(1) for level in levels)
    assert [level.noise for level in levels] == pytest.approx(scheduler.sigmas[:-1].tolist())
    assert torch.allclose(ours(config, noise, 6), theirs(config, noise, 6, getattr(diffusers, name)), atol=1e-3)


def test_dynamic_shifting_depends_on_the_number_of_tokens():
    config = {"_class_name": "FlowMatchEulerDiscreteScheduler", "use_dynamic_shifting": True}
    config |= {"base_shift": 0.5, "max_shift": 1.15, "base_image_seq_len": 256, "max_image_seq_len": 4096}
    schedule, scheduler = Schedule.from_config(config), diffusers.FlowMatchEulerDiscreteScheduler.from_config(config)
    for tokens, mu in ((256, 0.5), (4096, 1.15), (1024, 0.63)):
        scheduler.set_timesteps(sigmas=torch.linspace(1, 1 / 5, 5).tolist(), mu=mu)
        noises = [level.noise for level in schedule.levels(5, tokens)]
        assert noises == pytest.approx(scheduler.sigmas[:-1].tolist(), rel=1e-5)


@pytest.mark.parametrize("steps", [1, 2, 4, 8])
def test_lcm_goes_along_its_own_timesteps(steps):
    scheduler = diffusers.LCMScheduler(original_inference_steps=50)
    scheduler.set_timesteps(steps)
    levels = Schedule.from_config(dict(scheduler.config) | {"_class_name": "LCMScheduler"}).levels(steps)
    assert [level.timestep for level in levels] == scheduler.timesteps.tolist()
    assert levels[-1].next_signal == 1


@pytest.mark.parametrize("spacing", SPACINGS)
@pytest.mark.parametrize("name", PLAIN)
def test_every_schedule_chains_and_ends_cleaner(name, spacing):
    config = {**BETAS, "_class_name": name, "timestep_spacing": spacing, "steps_offset": 1}
    for steps in (2, 7, 25):
        levels = Schedule.from_config(config).levels(steps)
        assert len(levels) == steps
        for a, b in pairwise(levels):
            assert (a.next_signal, a.next_noise) == (b.signal, b.noise)
        for level in levels:
            assert level.signal**2 + level.noise**2 == pytest.approx(1)
            assert level.next_noise < level.noise


@pytest.mark.parametrize("name", ["DDIMScheduler", "EulerDiscreteScheduler", "DPMSolverMultistepScheduler"])
def test_a_terminal_snr_of_zero_needs_no_division(noise, name):
    config = {**BETAS, "_class_name": name, "rescale_betas_zero_snr": True, "timestep_spacing": "trailing"}
    config |= {"prediction_type": "v_prediction", "clip_sample": False}
    first = Schedule.from_config(config).levels(5)[0]
    assert first.timestep == 999 and first.signal < 1e-3 and first.noise == pytest.approx(1)
    drawn = ours(config, noise, 5)
    assert torch.isfinite(drawn).all()
    if name == "DDIMScheduler":
        assert first.signal == 0
        assert torch.allclose(drawn, theirs(config, noise, 5, diffusers.DDIMScheduler), atol=1e-5)


def test_trained_betas_and_other_numbers_of_training_steps_are_heeded():
    betas = torch.linspace(1e-4, 0.03, 500).tolist()
    config = {"_class_name": "DDIMScheduler", "trained_betas": betas, "num_train_timesteps": 500}
    last = Schedule.from_config(config).levels(5)[-1]
    assert last.signal == pytest.approx((1 - betas[0]) ** 0.5, rel=1e-6)
    assert Schedule.from_config(config).levels(5)[0].timestep == 400


@pytest.mark.parametrize(
    "name", ["CMStochasticIterativeScheduler", "UnCLIPScheduler", "VQDiffusionScheduler", "SCMScheduler", "NoScheduler"]
)
def test_others_are_refused_by_name(name):
    with pytest.raises(NotFoundError, match=name):
        Schedule.from_config({"_class_name": name})


def test_an_unknown_prediction_is_refused_by_name():
    with pytest.raises(NotFoundError, match="'raw'"):
        Schedule.from_config({**SD15, "prediction_type": "raw"})


@pytest.mark.parametrize(
    ("config", "steps"),
    [
        (SD15, 1000),
        (SD15, 1001),
        ({**SD15, "timestep_spacing": "leading", "_class_name": "DPMSolverMultistepScheduler"}, 1000),
        ({**BETAS, "_class_name": "LCMScheduler"}, 51),
        ({**BETAS, "_class_name": "EulerDiscreteScheduler", "timestep_spacing": "trailing"}, 2000),
    ],
)
def test_too_many_steps_are_an_error_that_says_so(config, steps):
    with pytest.raises(UsageError, match=f"{steps} steps"):
        Schedule.from_config(config).levels(steps)


@pytest.mark.parametrize("spacing", SPACINGS)
@pytest.mark.parametrize("name", PLAIN)
def test_a_single_step_begins_at_the_noise(name, spacing):
    """Spacings that count from the clean end would begin there, and draw nothing but the noise they were given."""
    (level,) = Schedule.from_config({**BETAS, "_class_name": name, "timestep_spacing": spacing}).levels(1)
    assert level.noise > 0.8 and level.next_noise < 0.1


def test_what_shapes_the_levels_is_part_of_the_key_and_nothing_else_is():
    key = Schedule.from_config(SD15).key
    assert Schedule.from_config({**SD15, "clip_sample": True, "thresholding": False}).key == key
    for name, value in (
        ("rescale_betas_zero_snr", True),
        ("beta_end", 0.02),
        ("steps_offset", 0),
        ("prediction_type", "v_prediction"),
        ("_class_name", "EulerDiscreteScheduler"),
    ):
        assert Schedule.from_config({**SD15, name: value}).key != key, name


def test_levels_of_sd15_start_at_981_and_end_at_1():
    levels = Schedule.from_config(SD15).levels(50)
    assert [level.timestep for level in levels[:2]] == [981, 961]
    assert levels[-1].timestep == 1
    betas = torch.linspace(0.00085**0.5, 0.012**0.5, 1000) ** 2
    assert levels[-1].next_signal ** 2 == pytest.approx(float(1 - betas[0]), rel=1e-6)


@pytest.mark.parametrize(
    ("asked", "spacing", "cls", "more"),
    [
        ("euler", "trailing", "EulerDiscreteScheduler", {"timestep_spacing": "trailing"}),
        ("euler", None, "EulerDiscreteScheduler", {}),
        ("EulerDiscreteScheduler", "karras", "EulerDiscreteScheduler", {"use_karras_sigmas": True}),
        ("DPM++", "linspace", "DPMSolverMultistepScheduler", {"timestep_spacing": "linspace", "solver_order": 1}),
        ("ddim", "trailing", "DDIMScheduler", {"timestep_spacing": "trailing"}),
        (None, "trailing", "DDIMScheduler", {"timestep_spacing": "trailing"}),
    ],
)
def test_another_scheduler_is_that_which_the_library_makes_of_the_models_own(noise, asked, spacing, cls, more):
    """As `Scheduler.from_config(pipeline.scheduler.config, timestep_spacing=...)`, which checkpoints ask for."""
    own = diffusers.PNDMScheduler(
        **{key: value for key, value in SD15.items() if key not in ("_class_name", "clip_sample")}
    )
    made = getattr(diffusers, cls).from_config(own.config, clip_sample=False, **more)
    schedule = choose_schedule({**SD15}, asked, spacing)
    levels = schedule.levels(5)
    made.set_timesteps(5)
    assert [level.timestep for level in levels] == pytest.approx([float(t) for t in made.timesteps])
    x = noise
    for level in levels:
        x0, eps = to_x0_eps(network(x, level.timestep), x, level, schedule.prediction)
        x = level.step(x0, eps)
    y = noise if cls in ("DDIMScheduler", "DPMSolverMultistepScheduler") else noise / levels[0].signal
    for t in made.timesteps:
        y = made.step(network(made.scale_model_input(y, t), t), t, y).prev_sample
    assert torch.allclose(x, y, atol=1e-4)


def test_an_lcm_lora_gets_the_timesteps_of_latent_consistency():
    made = diffusers.LCMScheduler.from_config({**SD15})
    made.set_timesteps(4)
    assert [level.timestep for level in choose_schedule(SD15, "lcm").levels(4)] == made.timesteps.tolist()


def test_a_choice_changes_the_key_that_inversions_are_bound_to():
    own = choose_schedule(SD15)
    others = [choose_schedule(SD15, "euler"), choose_schedule(SD15, None, "trailing"), choose_schedule(SD15, "lcm")]
    assert own.key == Schedule.from_config(SD15).key
    assert len({own.key, *(each.key for each in others)}) == 4


@pytest.mark.parametrize(
    ("config", "scheduler", "spacing", "said"),
    [
        (SD15, "ancestor", None, "is not known"),
        (SD15, "flow", None, "does not fit the model"),
        (SD15, "edm", None, "does not fit the model"),
        ({"_class_name": "EDMEulerScheduler"}, "euler", None, "does not fit the model"),
        (SD15, "ddim", "karras", "timestep-spacing karras does not fit"),
        (SD15, "lcm", "trailing", "timestep-spacing trailing does not fit"),
        ({"_class_name": "FlowMatchEulerDiscreteScheduler"}, None, "trailing", "timestep-spacing trailing"),
    ],
)
def test_a_schedule_that_cannot_be_is_refused(config, scheduler, spacing, said):
    with pytest.raises(UsageError, match=said):
        choose_schedule(config, scheduler, spacing)
