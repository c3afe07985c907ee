"""`laser models show` and `verify` on checkpoints in real layouts."""

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.models import ldm, tiny


@pytest.fixture(scope="module")
def sdxl(tmp_path_factory):
    return tiny.sdxl(tmp_path_factory.mktemp("sdxl"))


def test_show_says_what_a_model_is(laser, sdxl):
    code, stdout, _ = laser("models", "show", sdxl)
    assert code == 0
    for said in (
        "SDXL, the standard diffusers layout",
        "16 px",
        "float32",
        "DDIMScheduler, predicts epsilon",
        "animate",
    ):
        assert said in stdout
    assert "random weights" in stdout and "random weights" not in laser("models", "show", "storybook")[1]
    told = json.loads(laser("models", "show", sdxl, "--json")[1])
    assert told["side"] == 16 and told["kind"] == "SDXL"
    assert set(told["parameters"]) == {"unet", "vae", "text_encoder", "text_encoder_2"}


def test_show_counts_and_names_the_precision_of_a_single_file(laser, tmp_path):
    folder = tiny.sd(tmp_path / "m")
    for file in folder.rglob("*.safetensors"):
        save_file({key: value.half() for key, value in load_file(file).items()}, file, metadata={"format": "pt"})
    file = ldm.single_file(folder, tmp_path / "m.safetensors")
    whole, single = (json.loads(laser("models", "show", path, "--json")[1]) for path in (folder, file))
    assert whole["precision"] == ["float16"] and single["parameters"] == whole["parameters"]
    assert single["layout"].startswith("a single file") and single["side"] == 512


def test_show_and_verify_name_what_is_no_model(laser, tmp_path):
    tiny.control_net(tiny.unet()).save_pretrained(tmp_path / "net")
    save_file({"lora_unet_x.lora_up.weight": torch.zeros(2)}, tmp_path / "lora.safetensors")
    for command in ("show", "verify"):
        for path, said in ((tmp_path / "net", "a ControlNet"), (tmp_path / "lora.safetensors", "a LoRA")):
            code, stdout, stderr = laser("models", command, path)
            assert (code, stdout) == (3, "") and said in stderr


@pytest.mark.parametrize("part", ["tokenizer_2", "text_encoder_2", "scheduler", "vae"])
def test_verify_notices_a_part_that_is_not_there(laser, sdxl, tmp_path, part):
    folder = shutil.copytree(sdxl, tmp_path / "m")
    assert laser("models", "verify", folder)[:2] == (0, f"{folder} is whole\n")
    shutil.rmtree(folder / part)
    code, stdout, stderr = laser("models", "verify", folder)
    assert (code, stdout) == (3, "") and f"{part}: missing" in stderr


def test_verify_reads_the_weights(laser, sdxl, tmp_path):
    folder = shutil.copytree(sdxl, tmp_path / "m")
    file = folder / "text_encoder_2" / "model.safetensors"
    told = load_file(file)
    told["text_projection.weight"][0, 0] = float("nan")
    save_file(told, file, metadata={"format": "pt"})
    code, _, stderr = laser("models", "verify", folder)
    assert code == 3 and "text_encoder_2/model.safetensors: text_projection.weight has NaN" in stderr
