"""`laser animate` as a user, a script or a Makefile sees it."""

import json
import os
import signal
import subprocess
import sys
import time

import imageio.v3 as iio
import numpy as np
import pytest
from PIL import Image

from laser_cli.output.frames import picture_prompt
from laser_cli.output.record import read_record
from laser_cli.presets_dir import presets_folder

COTTAGE = presets_folder() / "storybook" / "cottage.png"
QUICK = ["--steps", "2", "--frames", "4", "--dtype", "float32"]


def test_a_picture_and_a_sentence_become_a_video(laser, tmp_path):
    out = tmp_path / "cottage.mp4"
    code, stdout, stderr = laser("animate", COTTAGE, "night falls", "-o", out, *QUICK)
    assert (code, stdout) == (0, f"{out}\n"), stderr
    frames, picture = iio.imread(out, plugin="FFMPEG"), np.asarray(Image.open(COTTAGE).convert("RGB"))
    assert frames.shape == (4, *picture.shape)
    assert np.abs(frames[0].astype(int) - picture).mean() < 4
    assert list(tmp_path.iterdir()) == [out]


def test_frame_0_is_the_picture_itself_unless_the_round_trip_is_wanted(laser, tmp_path):
    picture = np.asarray(Image.open(COTTAGE).convert("RGB"))
    for flag, same in (("--exact-first", True), ("--no-exact-first", False)):
        code, _, stderr = laser("animate", COTTAGE, "night falls", "--frames-dir", tmp_path / flag, flag, *QUICK)
        assert code == 0, stderr
        assert np.array_equal(iio.imread(tmp_path / flag / "frame_0000.png"), picture) == same


def test_what_the_pace_is_measured_by_is_recorded_and_does_nothing_without_one(laser, tmp_path):
    out = tmp_path / "a.gif"
    quick = ["--steps", "2", "--frames", "12", "--dtype", "float32", "-o", out]
    assert laser("animate", COTTAGE, "night falls", "--distance", "features", *quick)[0] == 0
    assert read_record(out)["settings"]["distance"] == "features"
    for arguments, says in (
        (["--no-even-pace", "--distance", "pixels"], "would do nothing"),
        (["--distance", "eye"], "unknown distance"),
    ):
        code, _, stderr = laser("animate", COTTAGE, "night falls", *arguments, *quick)
        assert code == 2 and says in stderr


def test_every_output_at_once_and_the_record_inside(laser, tmp_path):
    out, sheet, frames = tmp_path / "a.gif", tmp_path / "a.png", tmp_path / "frames"
    code, stdout, _ = laser(
        "animate", COTTAGE, "the house turns blue, then night falls", "-o", out, "--sheet", sheet,
        "--frames-dir", frames, "--seed", 7, "--json", *QUICK,
    )  # fmt: skip
    assert code == 0
    told = json.loads(stdout)
    assert told["version"] == 1 and told["frames"] == 4
    assert sorted(p.name for p in frames.iterdir()) == [f"frame_{i:04}.png" for i in range(4)]
    for file in (out, sheet, frames / "frame_0002.png"):
        record = read_record(file)
        assert record["seed"] == 7 and record["settings"]["steps"] == 2
        assert [s["prompt"] for s in record["settings"]["plan"]["segments"]] == [
            s["prompt"] for s in told["plan"]["segments"]
        ]


def test_a_plan_file_is_rendered_as_written(laser, tmp_path):
    plan = tmp_path / "plan.yaml"
    code, _, _ = laser(
        "plan", "the house turns blue", "--source-prompt", picture_prompt(COTTAGE), "--frames", 3, "-o", plan
    )
    assert code == 0
    code, stdout, stderr = laser("animate", COTTAGE, "--plan", plan, "-o", tmp_path / "a.mp4", "--json", "--steps", 2)
    assert code == 0, stderr
    assert json.loads(stdout)["frames"] == 3


def test_without_a_picture_the_first_keyframe_is_drawn(laser, tmp_path):
    code, _, stderr = laser(
        "animate", "a red ball in a meadow turns into a blue cube", "-o", tmp_path / "a.mp4", *QUICK
    )
    assert code == 0, stderr


def test_the_same_command_gives_the_same_bytes(laser, tmp_path):
    for name in ("a", "b"):
        assert laser("animate", COTTAGE, "night falls", "-o", tmp_path / f"{name}.mp4", *QUICK)[0] == 0
    assert (tmp_path / "a.mp4").read_bytes() == (tmp_path / "b.mp4").read_bytes()


def test_an_inversion_file_is_used_and_checked(laser, tmp_path):
    file = tmp_path / "c.safetensors"
    code, stdout, stderr = laser("invert", COTTAGE, "--steps", 3, "-o", file, "--dtype", "float32")
    assert (code, stdout) == (0, f"{file}\n")
    assert "dB" in stderr
    code, stdout, stderr = laser(
        "animate", COTTAGE, "night falls", "--inversion", file, "--frames", 3, "--json", "-o", tmp_path / "a.mp4"
    )
    assert code == 0, stderr
    assert read_record(tmp_path / "a.mp4")["settings"]["steps"] == 3
    code, _, stderr = laser(
        "animate", COTTAGE, "night falls", "--inversion", file, "--steps", 5, "-o", tmp_path / "b.mp4"
    )
    assert code == 5 and "number of steps is 3, here it is 5" in stderr
    other = COTTAGE.with_name("star.png")
    code, _, stderr = laser("animate", other, "night falls", "--inversion", file, "-o", tmp_path / "b.mp4")
    assert code == 5 and "another" not in stderr and "picture" in stderr
    assert not (tmp_path / "b.mp4").exists()


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["nowhere.png", "night falls", "-o", "a.mp4"], 5, "nowhere.png"),
        ([COTTAGE, "night falls"], 2, "nothing to write"),
        ([COTTAGE, "-o", "a.mp4"], 2, "what should happen?"),
        ([COTTAGE, "night falls", "-o", "a.xyz"], 2, "a.xyz"),
        ([COTTAGE, "night falls", "-o", "no/such/folder/a.mp4"], 5, "mkdir -p"),
        ([COTTAGE, "night falls", "--plan", "p.yaml", "-o", "a.mp4"], 2, "both a description and --plan"),
        ([COTTAGE, "--plan", "missing.yaml", "-o", "a.mp4"], 5, "missing.yaml"),
        ([COTTAGE, "night falls", "--model", "./nowhere", "-o", "a.mp4"], 3, "no model"),
        ([COTTAGE, "night falls", "--device", "toaster", "-o", "a.mp4"], 2, "toaster"),
        ([COTTAGE, "night falls", "--frames", "1", "-o", "a.mp4"], 2, "--frames"),
        (["night falls", "--inversion", "x.safetensors", "-o", "a.mp4"], 2, "--inversion needs the picture"),
        ([COTTAGE, "a", "b", "-o", "a.mp4"], 2, "too many arguments"),
    ],
)
def test_mistakes_have_their_exit_code_say_what_to_do_and_leave_nothing(
    laser, tmp_path, monkeypatch, arguments, code, says
):
    monkeypatch.chdir(tmp_path)
    got, stdout, stderr = laser("animate", *arguments)
    assert got == code, stderr
    assert stdout == "" and says in stderr and "Traceback" not in stderr
    assert list(tmp_path.iterdir()) == []


def test_a_picture_that_does_not_say_what_it_shows_asks_for_a_prompt(laser, tmp_path):
    Image.open(COTTAGE).convert("RGB").save(tmp_path / "bare.png")
    code, _, stderr = laser("animate", tmp_path / "bare.png", "night falls", "-o", tmp_path / "a.mp4")
    assert (code == 5 and "--source-prompt" in stderr) or "--prompt" in stderr


def test_help_is_quick_because_torch_stays_out():
    check = "import sys; from laser_cli.cli import main; main.exit_code(main.app); sys.exit('torch' in sys.modules)"
    for command in (["--help"], ["animate", "--help"], ["plan", "--help"]):
        done = subprocess.run([sys.executable, "-c", check, *command], capture_output=True, check=False)
        assert done.returncode == 0


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_it_cleanly(tmp_path, number, code):
    command = [
        sys.executable,
        "-m",
        "laser_cli",
        "animate",
        str(COTTAGE),
        "night falls",
        "--steps",
        "500",
        "--frames",
        "60",
    ]
    process = subprocess.Popen(
        [*command, "-o", str(tmp_path / "a.mp4")],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert process.stderr is not None
    assert "model" in process.stderr.readline()
    time.sleep(1)
    process.send_signal(number)
    assert process.wait(900) == code
    assert "Traceback" not in process.stderr.read()
    assert list(tmp_path.iterdir()) == []
