"""Checkpoints in SDXL's layout: two text encoders, pooled embeddings, sizes; against the library's own pipeline."""

import shutil

import numpy as np
import pytest
import torch

from laser_cli.engine.spec import Frame, SamplingParams
from laser_cli.errors import NotFoundError
from laser_cli.models.find import WEIGHTS
from laser_cli.models.load import load_model
from laser_cli.stages.interpolate import Endpoint, FrameSchedule, InterpolationParams, interpolate, prepare

BLOCKS = {"down_block_types": ("DownEncoderBlock2D",) * 2, "up_block_types": ("UpDecoderBlock2D",) * 2}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A tiny random checkpoint of SDXL's layout."""
    from diffusers import AutoencoderKL, EulerDiscreteScheduler, UNet2DConditionModel
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

    made = tmp_path_factory.mktemp("sdxl")
    words = len(CLIPTokenizer.from_pretrained(WEIGHTS / "tokenizer"))
    torch.manual_seed(0)
    text = CLIPTextConfig(
        vocab_size=words,
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=3,
        num_attention_heads=2,
        projection_dim=24,
        bos_token_id=words - 2,
        eos_token_id=words - 1,
    )
    parts = {
        "unet": UNet2DConditionModel(
            sample_size=8,
            block_out_channels=(16, 32),
            layers_per_block=1,
            down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
            up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
            transformer_layers_per_block=(1, 2),
            attention_head_dim=(2, 4),
            use_linear_projection=True,
            addition_embed_type="text_time",
            addition_time_embed_dim=8,
            projection_class_embeddings_input_dim=6 * 8 + 24,
            cross_attention_dim=32,
            norm_num_groups=8,
        ),
        "vae": AutoencoderKL(block_out_channels=(8, 8), latent_channels=4, norm_num_groups=4, sample_size=16, **BLOCKS),
        "text_encoder": CLIPTextModel(text),
        "text_encoder_2": CLIPTextModelWithProjection(text),
        "scheduler": EulerDiscreteScheduler(
            beta_start=0.00085,
            beta_end=0.012,
            beta_schedule="scaled_linear",
            timestep_spacing="leading",
            steps_offset=1,
        ),
    }
    for name, part in parts.items():
        part.save_pretrained(made / name)
    for name in ("tokenizer", "tokenizer_2"):
        shutil.copytree(WEIGHTS / "tokenizer", made / name)
    return made


def test_it_draws_what_the_librarys_pipeline_draws(folder):
    from diffusers import DDIMScheduler, StableDiffusionXLPipeline

    from laser_cli.engine.sample import denoise, last
    from laser_cli.engine.schedule import noise_like

    model = load_model(str(folder), "cpu", "float32")
    assert model.size == 16
    told = model.encode_prompts(["", "a red ball in a meadow"])
    assert told.prompt_embeds.shape == (2, 77, 32) and told.pooled.shape == (2, 24)
    assert not told.prompt_embeds[0].any() and not told.pooled[0].any()
    noise = noise_like((4, 8, 8), 0)[None]
    with torch.inference_mode():
        steps = denoise(model.backbone, noise, model.schedule.levels(3), told.select([1]), told.select([0]), 4.0)
        drawn = last(steps)
    scheduler = DDIMScheduler.from_config({**model.schedule.config, "clip_sample": False})
    assert model.second is not None
    pipeline = StableDiffusionXLPipeline(
        model.vae,
        model.text_encoder,
        model.second.encoder,
        model.tokenizer,
        model.second.tokenizer,
        model.unet,
        scheduler,
        add_watermarker=False,
    )
    pipeline.set_progress_bar_config(disable=True)
    asked = {"num_inference_steps": 3, "guidance_scale": 4.0, "height": 16, "width": 16, "output_type": "latent"}
    expected = pipeline("a red ball in a meadow", latents=noise.clone(), **asked).images
    assert torch.allclose(drawn, expected, atol=1e-3)


def test_it_interpolates_prompts_and_pictures_and_blends_the_pooled_embedding(folder):
    model = load_model(str(folder), "cpu", "float32")
    picture = np.full((16, 16, 3), (200, 120, 40), np.uint8)
    params = InterpolationParams(steps=2, sampling=SamplingParams(3.0, 1.0))
    endpoints = prepare(model, [Endpoint("a red ball"), Endpoint("a house", picture)], params, [0], (16, 16))
    schedule = FrameSchedule([Frame(0, 0.5)], [0, 2])
    drawn = list(interpolate(model, endpoints, params, schedule))
    assert [p.index for p in drawn] == [0, 1, 2]
    assert np.array_equal(drawn[2].array, picture)
    seen = []
    model.unet.register_forward_pre_hook(lambda m, a, kw: seen.append(kw["added_cond_kwargs"]), with_kwargs=True)
    list(interpolate(model, endpoints, params, schedule))
    of_keyframes, of_frame = (next(told for told in seen if len(told["text_embeds"]) == rows) for rows in (4, 2))
    ends, between = of_keyframes["text_embeds"][2:], of_frame["text_embeds"][1]
    assert torch.allclose(between, ends.mean(0), atol=1e-6) and not torch.allclose(ends[0], ends[1])
    assert seen[0]["time_ids"][0].tolist() == [16, 16, 0, 0, 16, 16]


def test_half_a_checkpoint_says_what_is_missing(folder, tmp_path):
    shutil.copytree(folder, tmp_path / "m", ignore=shutil.ignore_patterns("tokenizer_2"))
    with pytest.raises(NotFoundError) as error:
        load_model(str(tmp_path / "m"), "cpu")
    assert "tokenizer_2" in error.value.why
