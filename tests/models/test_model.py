"""Finding and loading models."""

import json
import shutil

import numpy as np
import pytest
import torch

from laser_cli.errors import NotFoundError, UsageError
from laser_cli.models.find import WEIGHTS, find_model
from laser_cli.models.load import choose_device, choose_dtype, load_model


def test_storybook_is_a_standard_folder():
    index = json.loads((WEIGHTS / "model_index.json").read_text())
    assert index["_class_name"] == "StableDiffusionPipeline"
    assert {"unet", "vae", "text_encoder", "tokenizer", "scheduler"} <= index.keys()


def test_a_copied_folder_gives_the_same_noise(storybook, tmp_path):
    copy = shutil.copytree(WEIGHTS, tmp_path / "model")
    model = load_model(str(copy), "cpu", "float32")
    x = torch.ones(1, storybook.vae.config.latent_channels, 16, 16)
    level = model.schedule.levels(5)[2]
    with torch.inference_mode():
        both = [m.backbone.predict(x, level, m.encode_prompts(["a cat"]))[1] for m in (model, storybook)]
    assert torch.equal(*both)


@pytest.mark.parametrize("name", ["./nowhere", "/no/such/folder", "nowhere"])
def test_a_missing_model_is_an_error_that_says_so(name):
    with pytest.raises(NotFoundError, match="no model"):
        find_model(name)


def test_a_folder_without_a_unet_names_what_is_missing(tmp_path):
    shutil.copytree(WEIGHTS, tmp_path / "m", ignore=shutil.ignore_patterns("unet"))
    with pytest.raises(NotFoundError) as error:
        load_model(str(tmp_path / "m"), "cpu")
    assert "unet: missing" in error.value.why


def test_damaged_weights_are_an_error(tmp_path):
    shutil.copytree(WEIGHTS, tmp_path / "m")
    for file in (tmp_path / "m" / "unet").glob("*.safetensors"):
        file.write_bytes(file.read_bytes()[:5000])
    with pytest.raises(NotFoundError, match="is not whole"):
        load_model(str(tmp_path / "m"), "cpu")


def test_devices_and_dtypes():
    assert choose_device("cpu").type == "cpu"
    with pytest.raises(UsageError):
        choose_device("toaster")
    if not torch.cuda.is_available():
        with pytest.raises(UsageError, match="not available"):
            choose_device("cuda")
    assert choose_dtype("float32", torch.device("cpu")) is torch.float32
    assert choose_dtype("auto", torch.device("cuda")) is torch.float16
    with pytest.raises(UsageError):
        choose_dtype("int8", torch.device("cpu"))


def test_long_prompts_say_what_is_cut(storybook):
    assert storybook.cut_off("a red ball") == ""
    assert storybook.cut_off("ball " * 75 + "cat").strip() == "cat"
    assert storybook.encode_prompts(["ball " * 500]).prompt_embeds.shape[1] == 77


def test_a_picture_survives_the_vae(storybook, red_ball):
    from laser_cli.measure.pictures import psnr
    from laser_cli.stages.invert import to_tensor

    picture = to_tensor(red_ball)
    assert psnr(storybook.decode(storybook.encode_picture(picture)), picture) > 24


def test_latents_and_pictures_lie_in_memory_as_files_keep_them(storybook, red_ball):
    """Else what is gone on with differs by rounding from what was never broken off."""
    from laser_cli.stages.invert import to_tensor

    z = storybook.encode_picture(to_tensor(red_ball))
    assert z.is_contiguous() and storybook.decode(z).is_contiguous()


def test_decoding_does_not_depend_on_the_batch(storybook):
    z = torch.randn(3, storybook.vae.config.latent_channels, 16, 16)
    assert torch.equal(storybook.decode(z)[1:2], storybook.decode(z[1:2]))


@pytest.mark.slow
def test_a_full_size_sd15_layout_of_random_weights_inverts_and_animates(tmp_path):
    """The way real checkpoints go, in full size: written to disk, loaded, a picture inverted, three frames drawn."""
    from diffusers import AutoencoderKL, PNDMScheduler, UNet2DConditionModel
    from transformers import CLIPTextConfig, CLIPTextModel

    from laser_cli.engine.spec import SamplingParams
    from laser_cli.plan.schema import Plan, Segment
    from laser_cli.stages.animate import animate
    from laser_cli.stages.invert import invert_picture, to_array

    blocks = {"down_block_types": ("DownEncoderBlock2D",) * 4, "up_block_types": ("UpDecoderBlock2D",) * 4}
    makers = {
        "unet": lambda: UNet2DConditionModel(sample_size=64, cross_attention_dim=768, attention_head_dim=8),
        "vae": lambda: AutoencoderKL(
            block_out_channels=(128, 256, 512, 512),
            layers_per_block=2,
            sample_size=512,
            scaling_factor=0.18215,
            **blocks,
        ),
        "text_encoder": lambda: CLIPTextModel(
            CLIPTextConfig(hidden_size=768, intermediate_size=3072, num_attention_heads=12, num_hidden_layers=12)
        ),
    }
    noise = 0.02 * torch.randn(999_983, generator=torch.Generator().manual_seed(0))  # a prime: rows do not repeat
    for name, make in makers.items():
        with torch.device("meta"):
            part = make()
        part = part.to(torch.bfloat16).to_empty(device="cpu")
        for key, p in part.state_dict().items():
            if p.is_floating_point() and p.dim() > 1:
                for piece in p.view(-1).split(len(noise)):
                    piece.copy_(noise[: len(piece)])
            elif p.is_floating_point():
                p.fill_(float("norm" in key and key.endswith("weight")))
            else:
                p.copy_(torch.arange(p.numel()).view_as(p))
        part.save_pretrained(tmp_path / name)
        del part
    shutil.copytree(WEIGHTS / "tokenizer", tmp_path / "tokenizer")
    PNDMScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        set_alpha_to_one=False,
        skip_prk_steps=True,
        steps_offset=1,
    ).save_pretrained(tmp_path / "scheduler")

    model = load_model(str(tmp_path), "cpu")
    assert model.size == 512 and model.scale == 8
    assert sum(p.numel() for p in model.unet.parameters()) == 859_520_964
    picture = np.full((256, 192, 3), (200, 120, 40), np.uint8)
    inversion = invert_picture(model, picture, "a house", 2)
    plan = Plan(source="a house", segments=(Segment(prompt="a house at night", frames=3),))
    drawn = list(animate(model, plan, inversion, SamplingParams(guidance=3.0)))
    assert [p.index for p in drawn] == [0, 1, 2]
    assert all(p.array.shape == (256, 192, 3) for p in drawn)
    trip = to_array(model.decode(inversion.trajectory.latents[:1])[0])
    assert int(np.abs(drawn[0].array.astype(int) - trip).max()) <= 1
