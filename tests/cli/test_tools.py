"""`laser presets`, `laser models`, `laser doctor`."""

import json
import shutil

import pytest
import yaml

from laser_cli.cli import doctor
from laser_cli.jobs import presets
from laser_cli.models.find import WEIGHTS


@pytest.fixture(autouse=True)
def nothing_of_this_machine(tmp_path, monkeypatch):
    """No presets and no cached models but the packaged ones."""
    monkeypatch.setattr(presets, "user_folder", lambda: tmp_path / "presets")
    monkeypatch.setattr("laser_cli.cli.models.cached", lambda: ())


def test_presets_are_listed_and_printed(laser, tmp_path):
    code, stdout, stderr = laser("presets")
    assert code == 0 and str(tmp_path / "presets") in stderr
    assert {"draft", "default", "smooth", "texture", "motion", "portrait"} <= {
        line.split()[0] for line in stdout.splitlines()
    }
    told = json.loads(laser("presets", "--json")[1])
    assert told["version"] == 1 and all(preset["description"] for preset in told["presets"])
    code, stdout, _ = laser("presets", "draft")
    assert code == 0 and yaml.safe_load(stdout)["steps"] == 10
    assert json.loads(laser("presets", "draft", "--json")[1])["preset"]["settings"]["steps"] == 10
    code, stdout, stderr = laser("presets", "drafft")
    assert (code, stdout) == (3, "") and "'draft'" in stderr


def test_what_presets_prints_is_a_preset(laser, tmp_path):
    (tmp_path / "presets").mkdir()
    (tmp_path / "presets" / "mine.yaml").write_text(laser("presets", "default")[1])
    assert "(yours)" in laser("presets")[1]
    assert json.loads(laser("presets", "mine", "--json")[1])["preset"]["own"] is True


def test_models_are_listed_found_and_verified(laser):
    assert laser("models")[:2] == (0, "storybook\n")
    assert json.loads(laser("models", "--json")[1])["models"][0]["name"] == "storybook"
    assert laser("models", "path", "storybook")[1].strip() == str(WEIGHTS)
    assert laser("models", "verify", "storybook")[:2] == (0, "storybook is whole\n")
    assert laser("models", "path", "nobody/knows-it")[0] == 3


def test_a_damaged_model_is_told_part_by_part(laser, tmp_path):
    folder = tmp_path / "model"
    shutil.copytree(WEIGHTS, folder)
    file = next((folder / "vae").glob("*.safetensors"))
    file.write_bytes(file.read_bytes()[:-5])
    (folder / "unet" / "config.json").write_text("{")
    shutil.rmtree(folder / "tokenizer")
    code, stdout, stderr = laser("models", "verify", folder)
    assert (code, stdout) == (3, "")
    assert "unet/config.json is not JSON" in stderr
    assert "vae/diffusion_pytorch_model.safetensors is not whole" in stderr
    assert "tokenizer: missing" in stderr and "scheduler:" not in stderr


def test_doctor_says_what_there_is(laser):
    code, stdout, _ = laser("doctor")
    assert code == 0, stdout
    assert "torch" in stdout and ".mp4" in stdout and "storybook" in stdout
    told = json.loads(laser("doctor", "--json")[1])
    assert told["ok"] is True and {"device", "dtype", "memory"} <= {check["name"] for check in told["checks"]}


def test_doctor_fails_only_for_what_the_main_job_needs(laser, monkeypatch):
    def missing(name, needed):
        return lambda: iter(
            [doctor.Check(name, "not installed", ok=False, needed=needed, install=f"pip install {name}")]
        )

    monkeypatch.setattr(doctor, "_encoders", missing("extra", False))
    code, stdout, _ = laser("doctor")
    assert code == 0 and "pip install extra" in stdout
    monkeypatch.setattr(doctor, "_encoders", missing("encoder", True))
    code, stdout, _ = laser("doctor")
    assert code == 1 and "MISSING encoder" in " ".join(stdout.split())
    assert json.loads(laser("doctor", "--json")[1])["ok"] is False
