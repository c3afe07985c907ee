"""Loaded models draw what the library's own pipelines draw, from every layout and along every schedule."""

import shutil

import diffusers
import pytest
import torch
from safetensors.torch import load_file, save_file

from laser_cli.engine.sample import denoise, last
from laser_cli.engine.schedule import noise_like
from laser_cli.errors import NotFoundError
from laser_cli.models import single_file
from laser_cli.models.load import load_model
from laser_cli.models.options import ModelOptions
from laser_cli.stages.invert import to_tensor
from tests.models import ldm, tiny

PROMPT = "a red ball in a meadow"
STEPS = 4


def ours(model, guidance=4.0, steps=STEPS):
    """The clean latents that a model draws from its noise, in the scale of the library's pipelines."""
    noise = noise_like((4, 8, 8), 0)[None]
    told = model.encode_prompts(["", PROMPT])
    with torch.inference_mode():
        drawn = last(
            denoise(model.backbone, noise, model.schedule.levels(steps), told.select([1]), told.select([0]), guidance)
        )
    return drawn / model.schedule.latent_scale


def theirs(pipeline, model, scheduler, guidance=4.0, steps=STEPS, **more):
    """What the library's pipeline draws from the same noise, which it scales as its scheduler wants it."""
    pipeline.scheduler = scheduler
    pipeline.set_progress_bar_config(disable=True)
    scheduler.set_timesteps(steps)
    preserving = (diffusers.DPMSolverMultistepScheduler, diffusers.UniPCMultistepScheduler)  # of the variance, as DDIM
    plain = model.schedule.kind == "alphas" or isinstance(scheduler, preserving)
    signal = 1.0 if plain else model.schedule.levels(steps)[0].signal
    noise = noise_like((4, 8, 8), 0)[None] / signal / model.schedule.latent_scale / float(scheduler.init_noise_sigma)
    told = {"num_inference_steps": steps, "guidance_scale": guidance, "height": 16, "width": 16, **more}
    return pipeline(PROMPT, latents=noise, output_type="latent", **told).images


def pipeline_of(folder):
    return diffusers.DiffusionPipeline.from_pretrained(folder, safety_checker=None)


SCHEDULERS = {
    "ddim": diffusers.DDIMScheduler(**tiny.SCHEDULE, clip_sample=False),
    "v": diffusers.DDIMScheduler(**tiny.SCHEDULE, clip_sample=False, prediction_type="v_prediction"),
    "x0": diffusers.DDIMScheduler(**tiny.SCHEDULE, clip_sample=False, prediction_type="sample"),
    "zero snr": diffusers.DDIMScheduler(
        **tiny.SCHEDULE,
        clip_sample=False,
        prediction_type="v_prediction",
        rescale_betas_zero_snr=True,
        timestep_spacing="trailing",
    ),
    "euler": diffusers.EulerDiscreteScheduler(**tiny.SCHEDULE, timestep_spacing="leading"),
    "euler linspace": diffusers.EulerDiscreteScheduler(**tiny.SCHEDULE, timestep_spacing="linspace"),
    "euler karras": diffusers.EulerDiscreteScheduler(**tiny.SCHEDULE, use_karras_sigmas=True),
    "turbo": diffusers.EulerAncestralDiscreteScheduler(**tiny.SCHEDULE, timestep_spacing="trailing"),
    "edm": diffusers.EDMEulerScheduler(),
    "dpm++": diffusers.DPMSolverMultistepScheduler(**tiny.SCHEDULE, solver_order=1, use_karras_sigmas=True),
    "unipc": diffusers.UniPCMultistepScheduler(**tiny.SCHEDULE, solver_order=1, disable_corrector=[0, 1, 2, 3]),
    # the library's ends where t = 0 is, laser's where the settings say: at the same place with this one
    "tcd": diffusers.TCDScheduler(**{**tiny.SCHEDULE, "steps_offset": 0}, set_alpha_to_one=False),
    "lightning": diffusers.EulerDiscreteScheduler(**tiny.SCHEDULE, timestep_spacing="trailing"),
}


@pytest.mark.parametrize("name", SCHEDULERS)
@pytest.mark.parametrize("make", [tiny.sd, tiny.sdxl])
def test_it_draws_what_the_librarys_pipeline_draws(make, name, tmp_path):
    scheduler = SCHEDULERS[name]
    folder = make(tmp_path / "m", scheduler=scheduler)
    model = load_model(str(folder), "cpu", "float32")
    if name == "turbo":  # the same levels without fresh noise
        scheduler = diffusers.EulerDiscreteScheduler.from_config(scheduler.config)
    guidance = 1.0 if name in ("turbo", "lightning") else 4.0
    expected = theirs(pipeline_of(folder), model, scheduler, guidance)
    drawn = ours(model, guidance)
    assert torch.allclose(drawn, expected, atol=1e-4 * float(expected.abs().max()))


def test_a_latent_consistency_model_is_told_the_guidance(tmp_path):
    """One step, whose result is the clean latents the U-Net tells; more steps of the library's draw fresh noise."""
    scheduler = diffusers.LCMScheduler(**{k: v for k, v in tiny.SCHEDULE.items() if k != "steps_offset"})
    folder = tiny.sd(tmp_path / "m", scheduler=scheduler, time_cond_proj_dim=16)
    model = load_model(str(folder), "cpu", "float32")
    assert model.backbone.embeds_guidance
    pipeline = diffusers.LatentConsistencyModelPipeline(**pipeline_of(folder).components, requires_safety_checker=False)
    first = model.schedule.levels(1)[0]
    drawn = {}
    for guidance in (8.5, 1.5):
        model.backbone.guidance = guidance
        noise = noise_like((4, 8, 8), 0)[None]
        told = model.encode_prompts([PROMPT])
        with torch.inference_mode():
            drawn[guidance], _ = model.backbone.predict(noise, first, told)
        expected = theirs(pipeline, model, scheduler, guidance, 1, original_inference_steps=50)
        assert torch.allclose(drawn[guidance], expected, atol=1e-4 * float(expected.abs().max()))
    assert not torch.allclose(drawn[8.5], drawn[1.5], rtol=1e-2)


@pytest.mark.parametrize("form", ["fp16", "bin", "shards", "old clip keys", "no index"])
def test_every_layout_of_the_same_weights_draws_the_same(sd_folder, sd_copy, form):
    from diffusers import UNet2DConditionModel

    expected = ours(load_model(str(sd_folder), "cpu", "float32"))
    unet, text = (
        sd_copy / "unet" / "diffusion_pytorch_model.safetensors",
        sd_copy / "text_encoder" / "model.safetensors",
    )
    atol = 1e-5
    if form == "fp16":
        for file in sd_copy.rglob("*.safetensors"):
            halves = {key: value.half() for key, value in load_file(file).items()}
            save_file(halves, file.with_suffix(".fp16.safetensors"), metadata={"format": "pt"})
            file.unlink()
        atol = 0.05
    elif form == "bin":
        for file in [*sd_copy.rglob("*.safetensors")]:
            name = "pytorch_model.bin" if file.name == "model.safetensors" else file.with_suffix(".bin").name
            torch.save(load_file(file), file.with_name(name))
            file.unlink()
    elif form == "shards":
        net = UNet2DConditionModel.from_pretrained(sd_copy / "unet")
        unet.unlink()
        net.save_pretrained(sd_copy / "unet", max_shard_size="100KB")
    elif form == "old clip keys":
        told = {f"text_model.{key}": value for key, value in load_file(text).items()}
        told["text_model.embeddings.position_ids"] = torch.arange(77)[None]
        save_file(told, text, metadata={"format": "pt"})
    else:
        (sd_copy / "model_index.json").unlink()
    drawn = ours(load_model(str(sd_copy), "cpu", "float32"))
    assert torch.allclose(drawn, expected, atol=atol * float(expected.abs().max()))


@pytest.mark.parametrize("make", [tiny.sd, tiny.sdxl])
def test_a_single_file_draws_what_its_folder_draws(make, tmp_path, monkeypatch):
    folder = make(tmp_path / "m")
    file = ldm.single_file(folder, tmp_path / "m.safetensors")
    monkeypatch.setattr(single_file, "config_folder", lambda family: folder)
    expected, drawn = ours(load_model(str(folder), "cpu", "float32")), ours(load_model(str(file), "cpu", "float32"))
    assert torch.allclose(drawn, expected, atol=1e-5)
    short = ldm.single_file(folder, tmp_path / "short.safetensors", leave_out=("first_stage_model.",))
    with pytest.raises(NotFoundError) as error:
        load_model(str(short), "cpu", "float32")
    assert "it has no vae" in error.value.why
    model = load_model(str(short), "cpu", "float32", options=ModelOptions(vae=folder / "vae"))
    assert torch.allclose(ours(model), expected, atol=1e-5)


def test_channels_mean_and_deviation_are_heeded(sd_copy):
    """As the library's SDXL pipeline does for Playground 2.5: z / factor * std + mean."""
    from diffusers import AutoencoderKL

    vae = AutoencoderKL.from_pretrained(sd_copy / "vae")
    vae.register_to_config(latents_mean=[0.1, -0.2, 0.3, 0.0], latents_std=[1.0, 2.0, 0.5, 1.5], scaling_factor=0.5)
    vae.save_pretrained(sd_copy / "vae")
    model = load_model(str(sd_copy), "cpu", "float32")
    z = noise_like((4, 8, 8), 0)[None]
    mean, std = (torch.tensor(vae.config[name]).view(1, 4, 1, 1) for name in ("latents_mean", "latents_std"))
    with torch.no_grad():
        expected = (vae.decode(z * std / 0.5 + mean).sample / 2 + 0.5).clamp(0, 1)
        assert torch.allclose(model.decode(z), expected, atol=1e-5)
        picture = expected
        raw = vae.encode(picture * 2 - 1).latent_dist.mean
        assert torch.allclose(model.encode_picture(picture), (raw - mean) / std * 0.5, atol=1e-5)


def test_another_vae_is_loaded_and_part_of_the_revision(sd_folder, tmp_path):
    torch.manual_seed(9)
    tiny.vae().save_pretrained(tmp_path / "vae")
    plain = load_model(str(sd_folder), "cpu", "float32")
    other = load_model(str(sd_folder), "cpu", "float32", options=ModelOptions(vae=tmp_path / "vae"))
    z = noise_like((4, 8, 8), 0)[None]
    assert not torch.allclose(plain.decode(z), other.decode(z), atol=1e-3)
    assert other.revision.startswith(plain.revision + "+")


def test_odd_configurations_are_understood(sd_copy):
    import json

    config = json.loads((sd_copy / "unet" / "config.json").read_text())
    for side, expected in ((None, 16), ([8, 12], 16)):
        (sd_copy / "unet" / "config.json").write_text(json.dumps({**config, "sample_size": side}))
        assert load_model(str(sd_copy), "cpu", "float32").size == expected
    told = json.loads((sd_copy / "tokenizer" / "tokenizer_config.json").read_text())
    told.pop("model_max_length")
    (sd_copy / "tokenizer" / "tokenizer_config.json").write_text(json.dumps(told))
    assert load_model(str(sd_copy), "cpu", "float32").encode_prompts(["a"]).prompt_embeds.shape == (1, 77, 16)


@pytest.mark.parametrize("upcast", [True, False])
def test_the_vae_says_itself_whether_half_precision_is_enough(sd_copy, upcast, monkeypatch):
    from laser_cli.models.parts import load_parts

    vae = diffusers.AutoencoderKL.from_pretrained(sd_copy / "vae")
    vae.register_to_config(force_upcast=upcast)
    vae.save_pretrained(sd_copy / "vae")
    parts = load_parts(sd_copy, "m", "SD 1.x", torch.bfloat16, None)
    assert parts.vae.dtype == (torch.float32 if upcast else torch.bfloat16)
    assert parts.unet.dtype == torch.bfloat16 and parts.text_encoder.dtype == torch.float32
    vae = load_model(str(sd_copy), "cpu", "bfloat16").vae
    kinds = [{p.dtype for p in part.parameters()} for part in (vae.encoder, vae.decoder, vae.post_quant_conv)]
    decoding = {torch.float32 if upcast else torch.bfloat16}
    assert kinds == [{torch.float32}, decoding, decoding], "what encodes keeps its precision"


def test_half_precision_moves_bytes_of_a_decoded_picture_by_less_than_shows(red_ball):
    half = load_model("storybook", "cpu", "bfloat16")
    exact = load_model("storybook", "cpu", "float32")
    z = exact.encode_picture(to_tensor(red_ball))
    assert torch.equal(half.encode_picture(to_tensor(red_ball)), z)
    apart = (half.decode(z) - exact.decode(z)).abs() * 255
    assert 0 < apart.max() < 4 and apart.square().mean().sqrt() < 0.5


def test_a_damaged_model_is_named_as_the_user_named_it(sd_copy):
    (sd_copy / "vae" / "diffusion_pytorch_model.safetensors").write_bytes(b"")
    with pytest.raises(NotFoundError) as error:
        load_model(str(sd_copy), "cpu")
    assert str(sd_copy) in error.value.what and "vae/diffusion_pytorch_model.safetensors" in error.value.why
    shutil.rmtree(sd_copy / "vae")
    with pytest.raises(NotFoundError) as error:
        load_model(str(sd_copy), "cpu")
    assert "vae: missing" in error.value.why


def test_nothing_is_printed_while_a_model_loads(sdxl_folder, capfd):
    load_model(str(sdxl_folder), "cpu", "float32")
    out, err = capfd.readouterr()
    assert out == err == ""
