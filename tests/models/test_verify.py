"""Every way in which a checkpoint can be damaged is noticed, with the file's name, and whole ones are left alone."""

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

from laser_cli.errors import NotFoundError
from laser_cli.models.find import WEIGHTS
from laser_cli.models.verify import problems, require_whole

UNET = "unet/diffusion_pytorch_model.safetensors"
VAE = "vae/diffusion_pytorch_model.safetensors"
TEXT = "text_encoder/model.safetensors"


def change(folder, file, edit):
    """Edits a .safetensors or .json file in place."""
    path = folder / file
    if path.suffix == ".json":
        told = json.loads(path.read_text())
        path.write_text(json.dumps(edit(told) or told))
    else:
        told = load_file(path)
        save_file(edit(told) or told, path, metadata={"format": "pt"})


def drop(word):
    return lambda tensors: {key: value for key, value in tensors.items() if word not in key}


def rename(old, new):
    return lambda tensors: {key.replace(old, new): value.clone() for key, value in tensors.items()}


def with_nan(tensors):
    key = sorted(key for key, value in tensors.items() if value.is_floating_point())[-1]
    tensors[key].view(-1)[0] = float("nan")


def test_whole_checkpoints_have_no_problems(sd_folder, sdxl_folder):
    for folder in (sd_folder, sdxl_folder, WEIGHTS):
        assert list(problems(folder, deep=True)) == []


def test_pickles_shards_and_variants_are_read_too(sd_copy):
    from diffusers import UNet2DConditionModel

    net = UNet2DConditionModel.from_pretrained(sd_copy / "unet")
    (sd_copy / UNET).unlink()
    net.save_pretrained(sd_copy / "unet", max_shard_size="100KB")
    assert len(list((sd_copy / "unet").glob("*-of-*"))) > 2
    tensors = load_file(sd_copy / VAE)
    torch.save(tensors, (sd_copy / VAE).with_suffix(".bin"))
    (sd_copy / VAE).unlink()
    (sd_copy / TEXT).rename((sd_copy / TEXT).with_suffix(".fp16.safetensors"))
    assert list(problems(sd_copy, deep=True)) == []
    next((sd_copy / "unet").glob("*-00002-of-*")).unlink()
    assert any("00002-of-" in line and "missing" in line for line in problems(sd_copy))
    tensors["decoder.conv_in.weight"][0] = float("nan")
    torch.save(tensors, (sd_copy / VAE).with_suffix(".bin"))
    assert any("diffusion_pytorch_model.bin: decoder.conv_in.weight has NaN" in p for p in problems(sd_copy, deep=True))


@pytest.mark.parametrize(
    ("file", "edit", "said"),
    [
        (TEXT, drop("layers.1."), "text_encoder/model.safetensors: lacks encoder.layers.1."),
        (TEXT, rename("layers.0.", "blocks.0."), "it has encoder.blocks.0."),
        (UNET, drop("mid_block"), "unet/diffusion_pytorch_model.safetensors: lacks mid_block."),
        (UNET, rename("conv_in", "conv_begin"), "lacks conv_in.weight, conv_in.bias; it has conv_begin."),
        (VAE, drop("decoder.conv_in"), "vae/diffusion_pytorch_model.safetensors: lacks decoder.conv_in."),
        (UNET, lambda t: {**t, "conv_in.bias": torch.zeros(3)}, "conv_in.bias is 3 where 16 is wanted"),
        ("unet/config.json", lambda c: {**c, "cross_attention_dim": 24}, "it reads text of width 24"),
        ("unet/config.json", lambda c: {**c, "block_out_channels": [16, 64]}, "where"),
        ("unet/config.json", lambda c: {**c, "norm_num_groups": 7}, "unet/config.json: no network can be built"),
        ("vae/config.json", lambda c: {**c, "latent_channels": 16}, "it draws 4 channels, the VAE has 16"),
        ("text_encoder/config.json", lambda c: {**c, "vocab_size": 20}, "lie beyond the text encoder's 20 embeddings"),
        ("scheduler/scheduler_config.json", lambda c: [c], "scheduler_config.json holds a list, not settings"),
        ("scheduler/scheduler_config.json", lambda c: {"_class_name": "UnCLIPScheduler"}, "UnCLIPScheduler"),
    ],
)
def test_what_does_not_fit_is_named(sd_copy, file, edit, said):
    change(sd_copy, file, edit)
    told = "\n".join(problems(sd_copy))
    assert said in told
    with pytest.raises(NotFoundError, match="owner/name is not whole") as error:
        require_whole(sd_copy, "owner/name")
    assert said in error.value.why


@pytest.mark.parametrize("file", [UNET, VAE, TEXT])
@pytest.mark.parametrize("keep", [0, 4, 2000, -1])
def test_files_cut_short_are_named(sd_copy, file, keep):
    data = (sd_copy / file).read_bytes()
    (sd_copy / file).write_bytes(data[:keep])
    assert any(line.startswith(f"{file} is not whole") for line in problems(sd_copy))


@pytest.mark.parametrize("part", ["vae", "text_encoder", "tokenizer", "scheduler", "text_encoder_2", "tokenizer_2"])
def test_parts_that_are_not_there_are_named(sdxl_copy, part):
    shutil.rmtree(sdxl_copy / part)
    if part == "text_encoder":  # what has the second encoder alone is a refiner
        with pytest.raises(NotFoundError, match="refiner"):
            list(problems(sdxl_copy))
    else:
        assert f"{part}: missing" in list(problems(sdxl_copy))


@pytest.mark.parametrize(
    "file", ["vae/config.json", "unet/config.json", "scheduler/scheduler_config.json", "text_encoder/config.json"]
)
def test_configurations_that_are_not_there_or_damaged_are_named(sd_copy, file):
    (sd_copy / file).write_text("{")
    with pytest.raises(NotFoundError) as error:
        require_whole(sd_copy, "it")
    assert f"{file} is not JSON" in error.value.why
    (sd_copy / file).unlink()
    with pytest.raises(NotFoundError) as error:
        require_whole(sd_copy, "it")
    assert f"{file} cannot be read" in error.value.why


@pytest.mark.parametrize("tokenizer", ["tokenizer", "tokenizer_2"])
def test_tokenizers_without_vocabulary_are_named(sdxl_copy, tokenizer):
    for file in ("tokenizer.json", "vocab.json"):
        (sdxl_copy / tokenizer / file).unlink()
    assert any(line.startswith(f"{tokenizer}: no vocabulary") for line in problems(sdxl_copy))


def test_added_tokens_beyond_the_embedding_are_named(sd_copy):
    (sd_copy / "tokenizer" / "added_tokens.json").write_text(json.dumps({"<cat-toy>": 90_000}))
    assert any("'<cat-toy>' lie beyond" in line for line in problems(sd_copy))


@pytest.mark.parametrize("file", [UNET, VAE, TEXT])
def test_nan_in_any_weight_is_named_by_file_and_key(sd_copy, file):
    change(sd_copy, file, with_nan)
    assert list(problems(sd_copy)) == []
    (line,) = problems(sd_copy, deep=True)
    assert line.startswith(file) and line.endswith("has NaN")


def test_a_second_encoder_of_another_width_is_named(sdxl_copy):
    change(sdxl_copy, "text_encoder_2/config.json", lambda c: {**c, "projection_dim": 16})
    told = list(problems(sdxl_copy))
    assert any("it reads 24 pooled numbers, text_encoder_2 writes 16" in line for line in told)
    assert any(line.startswith("text_encoder_2/") for line in told)


def test_a_vae_of_2022_is_whole(sd_copy):
    """Attention was named query, key, value and proj_attn then; the library renames it."""

    def age(tensors):
        for new, old in (("to_q", "query"), ("to_k", "key"), ("to_v", "value"), ("to_out.0", "proj_attn")):
            tensors = rename(f"attentions.0.{new}.", f"attentions.0.{old}.")(tensors)
        return tensors

    change(sd_copy, VAE, age)
    assert list(problems(sd_copy)) == []
