"""`laser interpolate --controlnet`: from the command line to the picture, its record, and what cannot be."""

import json

import numpy as np
import pytest
from PIL import Image, ImageSequence

from tests.models import tiny

RUN = ("interpolate", "a red ball", "a red ball", "--frames", 3, "--steps", 2, "--dtype", "float32", "--size", 32)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder with a model, a ControlNet for it, and three conditions."""
    folder = tmp_path_factory.mktemp("made")
    tiny.sd(folder / "model")
    tiny.control_net(tiny.unet()).save_pretrained(folder / "net")
    for name, row in (("a", 4), ("b", 12), ("c", 28)):
        pixels = np.zeros((32, 32, 3), np.uint8)
        pixels[row : row + 2] = 255
        Image.fromarray(pixels).save(folder / f"{name}.png")
    return folder


def frames(laser, made, file, *options):
    code, _, stderr = laser(*RUN, "--model", made / "model", "-o", file, *options)
    assert code == 0, stderr
    with Image.open(file) as image:
        return [np.asarray(each.convert("RGB")).astype(int) for each in ImageSequence.Iterator(image)]


def led(made, *names, weight=1.0):
    conditions = [word for name in names for word in ("--condition", made / f"{name}.png")]
    return ("--controlnet", f"{made / 'net'}:{weight:g}", *conditions)


def test_conditions_lead_the_stops_and_what_lies_between(laser, made, tmp_path):
    plain = frames(laser, made, tmp_path / "plain.apng")
    same = frames(laser, made, tmp_path / "same.apng", *led(made, "a", "a"))
    moved = frames(laser, made, tmp_path / "moved.apng", *led(made, "a", "c"))
    assert np.array_equal(plain[0], plain[2])
    assert np.array_equal(same[0], moved[0]) and not np.array_equal(plain[0], moved[0])
    assert not np.array_equal(moved[0], moved[2])
    assert not np.array_equal(moved[0], moved[1]) and not np.array_equal(moved[1], moved[2])
    off = frames(laser, made, tmp_path / "off.apng", *led(made, "a", "c", weight=0))
    assert all(np.abs(x - y).max() <= 1 for x, y in zip(off, plain, strict=True))


def test_what_an_output_records_makes_it_again(laser, made, tmp_path, monkeypatch):
    monkeypatch.chdir(made)
    options = ("--controlnet", "net:0.7", "--condition", "a.png", "--condition", "b.png")
    told = json.loads(laser(*RUN, "--model", "model", "-o", tmp_path / "a.gif", "--json", *options)[1])
    code, stdout, stderr = laser("interpolate", "--from", tmp_path / "a.gif", "-o", tmp_path / "b.gif", "--json")
    assert code == 0, stderr
    assert json.loads(stdout)["fingerprint"] == told["fingerprint"]
    assert (tmp_path / "a.gif").read_bytes() == (tmp_path / "b.gif").read_bytes()


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (("--condition", "a.png"), 2, "it is for --controlnet"),
        (("--controlnet", "net", "--condition", "a.png"), 2, "take 2 conditions"),
        (("--controlnet", "nowhere", "--condition", "a.png", "--condition", "b.png"), 3, "there is no ControlNet"),
        (("--controlnet", "net", "--condition", "a.png", "--condition", "z.png"), 5, "z.png"),
        (("--controlnet", "net:much", "--condition", "a.png", "--condition", "b.png"), 2, "'much' is not a weight"),
        (("--controlnet", "model/vae", "--condition", "a.png", "--condition", "b.png"), 3, "is not a ControlNet"),
    ],
)
def test_what_cannot_be_is_told(laser, made, tmp_path, monkeypatch, options, code, said):
    monkeypatch.chdir(made)
    got, stdout, stderr = laser(*RUN, "--model", "model", "-o", tmp_path / "x.gif", *options)
    assert (got, stdout) == (code, "") and said in stderr
    assert not (tmp_path / "x.gif").exists()


def test_between_two_poses_joints_move_and_no_pose_is_shown_twice(laser, made, tmp_path, monkeypatch):
    """Every call of the net sees skeletons of one person: a blend of two pictures would show two, half as bright."""
    from diffusers import ControlNetModel

    from tests.models.test_pose import CANVAS, standing, write

    write(tmp_path / "a.json", standing(156, unseen=(9,)), **CANVAS)
    write(tmp_path / "b.json", standing(356), **CANVAS)
    seen, forward = [], ControlNetModel.forward

    def watched(self, *args, **kwargs):
        seen.append(kwargs["controlnet_cond"])
        return forward(self, *args, **kwargs)

    monkeypatch.setattr(ControlNetModel, "forward", watched)
    conditions = ("--condition", tmp_path / "a.json", "--condition", tmp_path / "b.json")
    run = ("interpolate", "a dancer", "a dancer", "--frames", 5, "--steps", 2, "--dtype", "float32", "--size", 64)
    options = ("--spacing", "uniform", "--guidance", 1, "--model", made / "model", "--controlnet", made / "net")
    code, _, stderr = laser(*run, *options, *conditions, "-o", tmp_path / "a.apng")
    assert code == 0, stderr
    assert "the right knee is seen at one stop only" in stderr
    across = {}
    for row in np.concatenate([np.asarray(x) for x in seen]):
        columns = np.flatnonzero(row.max(0).max(0) > 0)
        across[round(float(columns.mean()))] = row.max()
    assert len(across) == 5 and all(brightest > 0.99 for brightest in across.values())
    steps = np.diff(sorted(across))
    assert steps.max() - steps.min() <= 3
