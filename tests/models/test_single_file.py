"""Checkpoints as one file, against the same weights in the standard layout."""

import math

import pytest
import torch

from laser_cli.errors import NotFoundError
from laser_cli.models.identify import identify, read_header
from laser_cli.models.single_file import (
    SD2_MARK,
    clip_tokenizer,
    config_folder,
    latent_statistics,
    load_networks,
    load_vae,
    missing_tensors,
    scheduler_config,
    tokenizers,
)
from laser_cli.models.verify import expected_tensors
from tests.models import ldm

FULL = dict.fromkeys(("unet", "vae", "text_encoder", "text_encoder_2"), torch.float32)


@pytest.fixture(scope="module")
def files(sd_folder, sdxl_folder, tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    return {
        "SD 1.x": (ldm.single_file(sd_folder, folder / "sd.safetensors"), sd_folder),
        "SDXL": (ldm.single_file(sdxl_folder, folder / "sdxl.safetensors"), sdxl_folder),
    }


@pytest.mark.parametrize("family", ["SD 1.x", "SDXL"])
def test_the_weights_are_those_of_the_folder(files, family):
    from diffusers import DiffusionPipeline

    file, folder = files[family]
    assert identify(file).require("it") == family
    assert list(missing_tensors(read_header(file), family, folder)) == []
    made = load_networks(file, family, FULL, folder)
    pipeline = DiffusionPipeline.from_pretrained(folder)
    assert made.keys() == {
        name for name in pipeline.components if "unet" in name or "vae" in name or "encoder" in name
    } - {"image_encoder"}
    for part, network in made.items():
        expected = getattr(pipeline, part).state_dict()
        got = network.state_dict()
        assert got.keys() == expected.keys()
        assert all(torch.equal(got[key], expected[key]) for key in expected), part


def test_precisions_are_by_part(files):
    file, folder = files["SD 1.x"]
    made = load_networks(file, "SD 1.x", {**FULL, "unet": torch.bfloat16}, folder)
    assert made["unet"].dtype == torch.bfloat16 and made["vae"].dtype == torch.float32


def test_a_file_without_vae_asks_for_one(files, sd_folder, tmp_path):
    file = ldm.single_file(sd_folder, tmp_path / "x.safetensors", leave_out=("first_stage_model.",))
    assert list(missing_tensors(read_header(file), "SD 1.x", sd_folder)) == ["it has no vae"]
    with pytest.raises(NotFoundError, match="no VAE") as error:
        load_networks(file, "SD 1.x", FULL, sd_folder)
    assert "--vae" in error.value.hint
    assert "vae" not in load_networks(file, "SD 1.x", FULL, sd_folder, skip=("vae",))


def test_a_file_without_text_encoder_says_so(sd_folder, tmp_path):
    file = ldm.single_file(sd_folder, tmp_path / "x.safetensors", leave_out=("cond_stage_model.",))
    with pytest.raises(NotFoundError, match="no text encoder"):
        load_networks(file, "SD 1.x", FULL, sd_folder)


@pytest.mark.parametrize(
    ("left_out", "part"),
    [
        ("model.diffusion_model.middle_block.0", "unet"),
        ("first_stage_model.decoder.conv_in", "vae"),
        ("cond_stage_model.transformer.text_model.encoder.layers.1", "text_encoder"),
    ],
)
def test_missing_tensors_are_named(sd_folder, tmp_path, left_out, part):
    file = ldm.single_file(sd_folder, tmp_path / "x.safetensors", leave_out=(left_out,))
    told = list(missing_tensors(read_header(file), "SD 1.x", sd_folder))
    assert told and all(line.startswith(f"{part}: it lacks") for line in told)


@pytest.mark.parametrize("form", ["folder", "model folder", "library file", "original file"])
def test_a_vae_by_itself(sd_folder, tmp_path, form):
    from diffusers import AutoencoderKL
    from safetensors.torch import save_file

    original = {f"first_stage_model.{k}": v.contiguous() for k, v in ldm.vae(sd_folder).items()}
    save_file(original, tmp_path / "vae.safetensors")
    path = {
        "folder": sd_folder / "vae",
        "model folder": sd_folder,
        "library file": sd_folder / "vae" / "diffusion_pytorch_model.safetensors",
        "original file": tmp_path / "vae.safetensors",
    }[form]
    expected = AutoencoderKL.from_pretrained(sd_folder / "vae").state_dict()
    got = load_vae(path, torch.float32, sd_folder).state_dict()
    assert all(torch.equal(got[key], value) for key, value in expected.items())


def test_what_is_no_vae_is_refused(sd_folder, tmp_path):
    (tmp_path / "vae.safetensors").write_bytes(b"\x10")
    for path in (tmp_path / "nowhere", tmp_path / "vae.safetensors", sd_folder / "unet"):
        with pytest.raises(NotFoundError):
            load_vae(path, torch.float32, sd_folder)


def test_clips_vocabulary_follows_from_its_merges():
    """Numbers that are printed in CLIP's documentation and in countless prompts' tests."""
    tokenizer = clip_tokenizer("<|endoftext|>")
    assert len(tokenizer) == 49408 and tokenizer.model_max_length == 77
    assert tokenizer("a photo of a cat").input_ids == [49406, 320, 1125, 539, 320, 2368, 49407]
    assert tokenizer("A photo of a CAT").input_ids == [49406, 320, 1125, 539, 320, 2368, 49407]
    padded = tokenizer("", padding="max_length").input_ids
    assert padded == [49406, *[49407] * 76]
    assert clip_tokenizer("!")("", padding="max_length").input_ids == [49406, 49407, *[0] * 75]
    words = "naïve café, 東京 🙂!"
    assert tokenizer.decode(tokenizer(words).input_ids, skip_special_tokens=True).replace(" ", "") == words.replace(
        " ", ""
    )


@pytest.mark.parametrize(
    ("family", "part", "count"),
    [
        ("SD 1.x", "unet", 859_520_964),
        ("SD 2.x", "unet", 865_910_724),
        ("SDXL", "unet", 2_567_463_684),
        ("SDXL", "vae", 83_653_863),
        ("SD 1.x", "text_encoder", 123_060_480),
        ("SD 2.x", "text_encoder", 340_387_840),
        ("SDXL", "text_encoder_2", 694_659_840),
    ],
)
def test_the_packages_configurations_have_the_published_sizes(family, part, count):
    import json

    config = json.loads((config_folder(family) / part / "config.json").read_text())
    assert sum(math.prod(shape) for shape in expected_tensors(part, config).values()) == count


def test_what_a_file_says_of_its_schedule_is_heeded(sd_folder, tmp_path):
    def told(name, family, **more):
        file = ldm.single_file(sd_folder, tmp_path / name, **more)
        return scheduler_config(file, family)

    mark = torch.zeros(1)
    assert told("a.safetensors", "SDXL")["prediction_type"] == "epsilon"
    assert told("b.safetensors", "SDXL", v_pred=mark)["prediction_type"] == "v_prediction"
    snr = told("c.safetensors", "SDXL", v_pred=mark, ztsnr=mark.clone())
    assert snr["rescale_betas_zero_snr"] and snr["timestep_spacing"] == "trailing"
    wide = torch.tensor([-1.0, 1.0])
    assert told("d.safetensors", "SD 2.x", **{SD2_MARK: wide})["prediction_type"] == "v_prediction"
    assert told("e.safetensors", "SD 2.x", **{SD2_MARK: wide / 100})["prediction_type"] == "epsilon"
    (tmp_path / "f.yaml").write_text('model:\n  params:\n    parameterization: "v"\n')
    assert told("f.safetensors", "SD 1.x")["prediction_type"] == "v_prediction"
    edm = {"edm_mean": torch.arange(4.0).view(1, 4, 1, 1), "edm_std": torch.ones(1, 4, 1, 1)}
    assert told("g.safetensors", "SDXL", **edm)["_class_name"].startswith("EDM")
    assert latent_statistics(tmp_path / "g.safetensors") == ([0.0, 1.0, 2.0, 3.0], [1.0] * 4)


def test_every_family_has_its_tokenizers():
    assert tokenizers("SDXL").keys() == {"tokenizer", "tokenizer_2"}
    assert tokenizers("SD 2.x")["tokenizer"].pad_token == "!"


def test_the_librarys_private_conversions_are_where_they_are_looked_for():
    """Names that the library may move without notice; this says which ones, should it do so."""
    from diffusers.loaders import single_file_utils

    for name in (
        "create_diffusers_clip_model_from_ldm",
        "convert_ldm_unet_checkpoint",
        "convert_ldm_vae_checkpoint",
        "convert_ldm_clip_checkpoint",
        "convert_open_clip_checkpoint",
    ):
        assert callable(getattr(single_file_utils, name, None)), name
