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
        (("--controlnet", "net", *("--condition", "a.png") * 3), 2, "take 1 conditions, or 2"),
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
    """All that the net is shown are skeletons of one person: a blend of two pictures would show two, half as bright."""
    from laser_cli.models.control_net import ControlNet
    from tests.models.test_pose import CANVAS, standing, write

    write(tmp_path / "a.json", standing(156, unseen=(9,)), **CANVAS)
    write(tmp_path / "b.json", standing(356), **CANVAS)
    seen, hint = [], ControlNet.hint

    def watched(self, condition):
        seen.append(condition)
        return hint(self, condition)

    monkeypatch.setattr(ControlNet, "hint", watched)
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


# animations

PLAN = """
source: a red ball
condition: a.png
segments:
- {prompt: a red ball on the left, control: hold, frames: 3, condition: b.png}
- {prompt: a red ball at night, control: hold, frames: 3}
"""
DRAWN = ("--steps", 2, "--dtype", "float32", "--size", 32, "--no-even-pace")


@pytest.fixture
def here(made, monkeypatch):
    """The folder with the model, and a picture and a plan that names conditions."""
    y, x = np.mgrid[0:32, 0:32]
    Image.fromarray(np.stack([8 * x, 8 * y, 0 * x + 90], -1).astype(np.uint8)).save(made / "picture.png")
    (made / "plan.yaml").write_text(PLAN)
    monkeypatch.chdir(made)
    return made


def animated(laser, file, *options):
    run = ("animate", "picture.png", "--plan", "plan.yaml", "--model", "model", *DRAWN, *options)
    code, _, stderr = laser(*run, "-o", file)
    assert code == 0, stderr
    with Image.open(file) as image:
        return [np.asarray(each.convert("RGB")).astype(int) for each in ImageSequence.Iterator(image)]


def apart(a, b):
    return [int(np.abs(x - y).max()) for x, y in zip(a, b, strict=True)]


def test_an_animation_is_led_by_the_conditions_of_its_plan(laser, here, tmp_path):
    """Frame 0 stays the picture; a keyframe without a condition is drawn as without a net."""
    (here / "some.yaml").write_text(PLAN.replace("condition: a.png\n", ""))
    (here / "free.yaml").write_text(PLAN.replace("condition: a.png\n", "").replace(", condition: b.png", ""))
    led = animated(laser, tmp_path / "led.apng", "--controlnet", "net", "--plan", "some.yaml")
    free = animated(laser, tmp_path / "free.apng", "--plan", "free.yaml")
    picture = np.asarray(Image.open("picture.png").convert("RGB")).astype(int)
    assert len(led) == 5 and apart([led[0], free[0]], [picture, picture]) == [0, 0]
    differ = apart(led, free)
    assert differ[1] > 0 and differ[2] > 0 and differ[3] > 0 and differ[4] <= 3, differ
    other = animated(laser, tmp_path / "other.apng", "--controlnet", "net", "--condition", "c.png")
    assert apart(led, other)[2] > 0 and apart(led, other)[0] == 0
    late = animated(laser, tmp_path / "late.apng", "--controlnet", "net:1:0.6-1")
    assert apart(late, free)[2] <= 1  # no step of two lies in that share as a whole
    both = animated(laser, tmp_path / "both.apng", "--controlnet", "net")
    assert apart(both, free)[0] == 0 and apart(both, free)[4] > 0  # the picture was inverted under its condition
    several = animated(laser, tmp_path / "two.apng", *("--controlnet", "net:0.5") * 2, *("--condition", "b.png") * 2)
    one = animated(laser, tmp_path / "one.apng", "--controlnet", "net", "--condition", "b.png")
    assert max(apart(several, one)) <= 1  # half and half of a net is the net


def test_an_animation_keeps_the_edges_of_its_picture_and_its_record_makes_it_again(laser, here, tmp_path):
    options = ("--controlnet", "net:0.7:0-0.5", "--condition", "edges")
    run = ("animate", "picture.png", "--plan", "plan.yaml", "--model", "model", *DRAWN)
    code, _, stderr = laser(*run, *options, "--dry-run")
    assert code == 0 and "conditions: edges, edges, edges (by net, weight 0.7, steps 0-0.5)" in stderr, stderr
    led = animated(laser, tmp_path / "a.gif", *options)
    code, _, stderr = laser("animate", "--from", tmp_path / "a.gif", "-o", tmp_path / "b.gif")
    assert code == 0, stderr
    assert (tmp_path / "a.gif").read_bytes() == (tmp_path / "b.gif").read_bytes()
    planned = animated(laser, tmp_path / "c.gif", "--controlnet", "net:0.7:0-0.5")
    assert max(apart(led, planned)) > 0


def test_the_first_picture_is_led_where_it_is_drawn(laser, here, tmp_path):
    def first(name, *options):
        code, _, stderr = laser("animate", "--plan", "plan.yaml", "--model", "model", *DRAWN, *options, "-o", name)
        assert code == 0, stderr
        return np.asarray(Image.open(name).convert("RGB")).astype(int)

    a, b = (
        first(tmp_path / f"{name}.apng", "--controlnet", "net", "--condition", f"{name}.png") for name in ("a", "c")
    )
    assert not np.array_equal(a, b)


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        ((), 2, "the plan needs a ControlNet"),
        (("--condition", "a.png"), 2, "it is for --controlnet"),
        (("--controlnet", "net", *("--condition", "a.png") * 2), 2, "and 3 keyframes take 1 conditions, or 3"),
        (("--controlnet", "net", "--condition", "none"), 2, "no condition at all"),
        (("--controlnet", "net:1:0.8-0.2"), 2, "no part of the steps"),
        (("--controlnet", "net", "--condition", "gone.png"), 5, "gone.png"),
        (("--controlnet", "a.png"), 3, "pickle"),
    ],
)
def test_what_cannot_lead_an_animation_is_told(laser, here, tmp_path, options, code, said):
    run = ("animate", "picture.png", "--plan", "plan.yaml", "--model", "model", *DRAWN, *options)
    got, stdout, stderr = laser(*run, "-o", tmp_path / "x.gif")
    assert (got, stdout) == (code, "") and said in stderr and "Traceback" not in stderr, stderr
    assert not (tmp_path / "x.gif").exists()


def test_one_condition_is_enough_for_all_stops_and_no_output_replaces_it(laser, made, tmp_path, monkeypatch):
    monkeypatch.chdir(made)
    once = frames(laser, made, tmp_path / "once.apng", "--controlnet", "net", "--condition", "b.png")
    twice = frames(laser, made, tmp_path / "twice.apng", "--controlnet", "net", *("--condition", "b.png") * 2)
    assert apart(once, twice) == [0, 0, 0]
    code, _, stderr = laser(*RUN, "--model", "model", "--controlnet", "net", "--condition", "b.png", "-o", "b.png")
    assert code != 0 and "b.png" in stderr and Image.open("b.png").size == (32, 32)
    got, _, stderr = laser(*RUN, "--model", "model", "--controlnet", "net", "--condition", "edges", "-o", "x.gif")
    assert got == 2 and "stop 1 is no picture" in stderr


def test_nothing_to_measure_is_a_usage_error(laser):
    code, _, stderr = laser("bench", "conditions", "--items", 0, "--moves", 0, "--pairs", 0)
    assert code == 2 and "nothing to measure" in stderr
