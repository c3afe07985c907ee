"""`laser interpolate --ip-adapter`: stops drawn by pictures as well, recorded, run again, and refused with a reason."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image

from laser_cli.models.find import WEIGHTS
from laser_cli.output.record import read_record
from tests.models.test_adapter import pictures, write_adapter
from tests.stages.test_interpolate import tiny_model

RUN = ["interpolate", "a red ball", "a blue cube", "--frames", 3, "--steps", 2, "--spacing", "uniform", "--size", 32]


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder with a random checkpoint `sd`, an adapter `ip` for it, and two pictures."""
    model = tiny_model()
    for name in ("unet", "vae", "text_encoder"):
        getattr(model, name).save_pretrained(tmp_path / "sd" / name)
    shutil.copytree(WEIGHTS / "tokenizer", tmp_path / "sd" / "tokenizer")
    (tmp_path / "sd" / "scheduler").mkdir()
    schedule = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}
    (tmp_path / "sd" / "scheduler" / "scheduler_config.json").write_text(json.dumps(schedule))
    write_adapter(tmp_path / "ip", model.unet)
    for name, picture in zip(("a.png", "b.png"), pictures(), strict=True):
        Image.fromarray(picture).save(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_image_prompts_lead_and_the_record_makes_the_same_again(laser, place):
    run = [*RUN, "--model", "./sd", "--dtype", "float32", "--ip-adapter", "ip"]
    shown = ["--image-prompt", "a.png", "--image-prompt", "b.png"]
    code, _, stderr = laser(*run, *shown, "--dry-run")
    assert code == 0 and "image prompts: a.png, b.png (by ip/ip-adapter.safetensors, scale 0.6)" in stderr, stderr
    code, _, stderr = laser(*run, *shown, "-o", "one.gif", "--depfile", "one.d")
    assert code == 0, stderr
    told = read_record(place / "one.gif")["settings"]["interpolation"]["adapter"]
    assert [image["picture"] for image in told["images"]] == ["a.png", "b.png"] and told["scale"] == 0.6
    assert "ip/ip-adapter.safetensors" in (place / "one.d").read_text() and "b.png" in (place / "one.d").read_text()
    code, _, stderr = laser("interpolate", "--from", "one.gif", "-o", "two.gif")
    assert code == 0 and (place / "two.gif").read_bytes() == (place / "one.gif").read_bytes(), stderr
    code, _, stderr = laser("interpolate", "--from", "one.gif", "--ip-scale", 0, "-o", "none.gif")
    assert code == 0, stderr
    assert laser(*RUN, "--model", "./sd", "--dtype", "float32", "-o", "bare.gif")[0] == 0
    frames = {name: [*_frames(place / f"{name}.gif")] for name in ("one", "none", "bare")}
    assert frames["none"] == frames["bare"] != frames["one"]
    (place / "b.png").write_bytes((place / "a.png").read_bytes())
    code, _, stderr = laser("interpolate", "--from", "one.gif", "-o", "two.gif")
    assert code == 5 and "b.png is not the picture" in stderr
    write_adapter(place / "ip", tiny_model().unet, width=24)
    code, _, stderr = laser("interpolate", "--from", "one.gif", "-o", "two.gif")
    assert code == 5 and "is not the IP-Adapter that one.gif was made with" in stderr
    code, _, stderr = laser("interpolate", "--from", "one.gif", "--ip-adapter", "ip", *shown, "-o", "new.gif")
    assert code == 3 and "does not fit" in stderr


def _frames(path):
    with Image.open(path) as gif:
        for number in range(gif.n_frames):
            gif.seek(number)
            yield gif.convert("RGB").tobytes()


@pytest.mark.parametrize(
    ("more", "code", "says"),
    [
        (["--ip-adapter", "ip", "--image-prompt", "a.png", "--image-prompt", "b.png"], 2, "storybook model has no IP"),
        (["--ip-scale", "1"], 2, "--ip-scale would do nothing"),
        (["--image-prompt", "a.png"], 2, "--image-prompt would do nothing"),
        (["--model", "sd", "--ip-adapter", "ip"], 2, "no picture to draw by"),
        (["--model", "sd", "--ip-adapter", "ip", "--image-prompt", "a.png"], 2, "1 image prompts, 2 stops"),
        (["--model", "sd", "--ip-adapter", "nowhere", "--image-prompt", "a.png"], 3, "no IP-Adapter nowhere"),
        (["--model", "sd", "--ip-adapter", "sd/unet", "--image-prompt", "a.png"], 3, "lacks its image encoder"),
    ],
)
def test_what_cannot_be_says_why(laser, place, more, code, says):
    got, stdout, stderr = laser(*RUN, *more, "-o", "out.gif")
    assert (got, stdout) == (code, "") and says in stderr and "Traceback" not in stderr
    assert not (place / "out.gif").exists()


def test_an_animation_is_drawn_by_a_picture_where_its_mask_is_white(laser, place):
    """Masked out everywhere, an image prompt changes nothing; the record makes the same again."""
    for name, value in (("black", 0), ("white", 255)):
        Image.new("L", (40, 40), value).save(place / f"{name}.png")
    run = ["animate", "a.png", "it becomes a blue cube", "-p", "a red ball", "--model", "./sd", "--dtype", "float32"]
    run += ["--frames", 3, "--steps", 2, "--size", 32, "--no-even-pace", "--control", "hold"]
    shown = ["--ip-adapter", "ip", "--image-prompt", "b.png"]
    drawn = {}
    for name, more in (
        ("bare", []),
        ("shown", shown),
        ("black", [*shown, "--image-mask", "black.png"]),
        ("white", [*shown, "--image-mask", "white.png"]),
    ):
        code, _, stderr = laser(*run, *more, "-o", f"{name}.apng")
        assert code == 0, stderr
        frames = [np.frombuffer(frame, np.uint8).astype(int) for frame in _frames(place / f"{name}.apng")]
        drawn[name] = np.stack(frames)
    assert np.abs(drawn["bare"] - drawn["black"]).max() <= 1 and np.abs(drawn["shown"] - drawn["white"]).max() <= 1
    assert np.array_equal(drawn["bare"][0], drawn["shown"][0])
    assert np.abs(drawn["bare"][2] - drawn["shown"][2]).max() > 3
    code, _, stderr = laser("animate", "--from", "white.apng", "-o", "again.apng")
    assert code == 0 and (place / "again.apng").read_bytes() == (place / "white.apng").read_bytes(), stderr
    code, _, stderr = laser(*run, "--ip-adapter", "ip", "-o", "none.apng")
    assert code == 2 and "no picture to draw by" in stderr
    code, _, stderr = laser(*run, "--image-mask", "black.png", "-o", "none.apng")
    assert code == 2 and "--image-mask would do nothing" in stderr
