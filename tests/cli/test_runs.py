"""Runs of `laser animate` in scripts: again, not twice, not at all; presets, environment, streams."""

import json
import os
import shutil
import subprocess
import sys

import pytest

from laser_cli.output.frames import picture_prompt
from laser_cli.output.record import read_record
from laser_cli.presets_dir import presets_folder
from laser_cli.storybook.look import SHIPPED

COTTAGE = presets_folder() / "storybook" / "cottage.png"
STAR = COTTAGE.with_name("star.png")
QUICK = ["--steps", "2", "--frames", "3", "--dtype", "float32"]


CODEC, STILL = ["--codec", "av1"], ["--still", "-2"]


@pytest.mark.parametrize(
    ("suffix", "more"),
    [("mp4", []), ("gif", []), ("webp", []), ("apng", []), ("webm", []), ("webm", CODEC), ("png", STILL)],
)
def test_from_makes_the_same_bytes_again(laser, tmp_path, suffix, more):
    first, second = tmp_path / f"a.{suffix}", tmp_path / f"b.{suffix}"
    look = ["--bounce", "--loop", "2", "--hold-last", "0.5", "--quality", "60", "--seed", "4", *more]
    code, _, stderr = laser("animate", COTTAGE, "night falls", "-o", first, *look, *QUICK)
    assert code == 0, stderr
    code, _, stderr = laser("animate", COTTAGE, "--from", first, "-o", second)
    assert code == 0, stderr
    assert first.read_bytes() == second.read_bytes()


def test_from_finds_the_picture_checks_it_and_lets_flags_go_before_the_record(laser, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copy(COTTAGE, tmp_path / "c.png")
    assert laser("animate", "c.png", "night falls", "-o", "a.gif", "--easing", "linear", *QUICK)[0] == 0
    code, _, stderr = laser("animate", "--from", "a.gif", "-o", "b.gif", "--seed", 9, "--frames", 4)
    assert code == 0, stderr
    before, after = (read_record(tmp_path / name) for name in ("a.gif", "b.gif"))
    assert (after["seed"], after["settings"]["plan"]["segments"][0]["frames"]) == (9, 4)
    assert after["settings"]["steps"] == before["settings"]["steps"] == 2
    assert before["fingerprint"] != after["fingerprint"]
    shutil.copy(STAR, tmp_path / "c.png")
    code, _, stderr = laser("animate", "--from", "a.gif", "-o", "c.gif")
    assert code == 5 and "not the picture that a.gif was made from" in stderr
    (tmp_path / "c.png").unlink()
    code, _, stderr = laser("animate", "--from", "a.gif", "-o", "c.gif")
    assert code == 5 and "there is no picture c.png" in stderr
    code, _, stderr = laser("animate", STAR, "--from", STAR, "-o", "c.gif")
    assert code == 5 and "Traceback" not in stderr
    code, _, stderr = laser("animate", COTTAGE, "it snows", "--from", "a.gif", "-o", "b.gif", "--dtype", "float32")
    assert code == 0, stderr
    plan = read_record(tmp_path / "b.gif")["settings"]["plan"]
    assert "snow" in plan["segments"][-1]["prompt"] and plan["segments"][-1]["easing"] == "linear"
    code, _, stderr = laser("animate", COTTAGE, "--from", "a.gif", "--preset", "draft", "-o", "c.gif")
    assert code == 2 and "both --from and --preset" in stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.gif", "b.gif"]


def test_a_run_without_a_picture_runs_again_too(laser, tmp_path, monkeypatch):
    first, second = tmp_path / "a.gif", tmp_path / "b.gif"
    assert laser("animate", "a red ball in a meadow turns blue", "-o", first, "--size", 64, *QUICK)[0] == 0
    assert laser("animate", "--from", first, "-o", second)[0] == 0
    assert first.read_bytes() == second.read_bytes()
    code, _, stderr = laser("animate", COTTAGE, "--from", first, "-o", second)
    assert code == 5 and "had no picture" in stderr
    monkeypatch.setattr("laser_cli.models.find.weights_key", lambda folder: "other weights")
    code, _, stderr = laser("animate", "--from", first, "-o", second)
    assert code == 0 and "storybook is not what it was" in stderr


def test_the_inversion_of_a_run_is_found_again_or_made_again(laser, tmp_path):
    kept, first, second = tmp_path / "c.safetensors", tmp_path / "a.gif", tmp_path / "b.gif"
    assert laser("invert", COTTAGE, "--steps", 2, "-o", kept, "--dtype", "float32")[0] == 0
    command = ["animate", COTTAGE, "night falls", "--inversion", kept, "--frames", 3, "--dtype", "float32"]
    assert laser(*command, "-o", first, "--depfile", tmp_path / "a.d")[0] == 0
    assert kept.name in (tmp_path / "a.d").read_text()
    code, _, stderr = laser("animate", COTTAGE, "--from", first, "-o", second)
    assert code == 0 and first.read_bytes() == second.read_bytes()
    assert "inverted again" not in stderr
    assert laser(*command, "--method", "fixed-point", "-o", second)[0] == 5
    kept.unlink()
    code, _, stderr = laser("animate", COTTAGE, "--from", first, "-o", second)
    assert code == 0 and "c.safetensors, which is not here: the picture is inverted again" in stderr


def test_skip_existing_does_nothing_until_something_changes(laser, tmp_path):
    out = tmp_path / "a.gif"
    picture = shutil.copy(COTTAGE, tmp_path / "c.png")
    command = ["animate", picture, "night falls", "-o", out, "--skip-existing", *QUICK]
    assert "model" in laser(*command)[2]
    made = out.read_bytes()
    os.utime(out, (1, 1))
    code, stdout, stderr = laser(*command)
    assert (code, stdout) == (0, f"{out}\n") and "up to date" in stderr and "model" not in stderr
    assert out.stat().st_mtime > 1 and out.read_bytes() == made
    told = json.loads(laser(*command, "--json")[1])
    assert told["skipped"] is True and told["paths"] == [str(out)]
    for change in (["--seed", 1], ["--guidance", 1], ["--sheet", tmp_path / "s.png"]):
        code, _, stderr = laser(*command, *change)
        assert code == 0 and "up to date" not in stderr
    shutil.copy(STAR, picture)
    assert "up to date" not in laser(*command)[2]


def test_no_clobber_keeps_what_is_there(laser, tmp_path):
    out = tmp_path / "a.gif"
    out.write_text("mine")
    code, _, stderr = laser("animate", COTTAGE, "night falls", "-o", out, "--no-clobber", *QUICK)
    assert code == 2 and "exists" in stderr
    code, _, stderr = laser("animate", COTTAGE, "night falls", "-o", out, "--no-clobber", "--skip-existing", *QUICK)
    assert code == 2 and "was not made by laser" in stderr
    assert out.read_text() == "mine"


def test_a_dry_run_tells_what_the_run_then_does_and_writes_nothing(laser, tmp_path, monkeypatch):
    cache = tmp_path / "cache"
    monkeypatch.setenv("LASER_CACHE", str(cache))
    monkeypatch.chdir(tmp_path)
    command = ["animate", COTTAGE, "night falls", "-o", "a.gif", "--bounce", "--json", *QUICK, "--frames", 4]
    code, stdout, stderr = laser(*command, "--dry-run")
    assert code == 0, stderr
    assert list(tmp_path.iterdir()) == []
    planned = json.loads(stdout)
    assert planned["time"]["measured"] is False and planned["time"]["seconds"] > 0
    done = json.loads(laser(*command)[1])
    # the run has measured itself
    assert sorted(path.name for path in cache.iterdir()) == ["timing.json", "timing.json.lock"]
    time = json.loads(laser(*command, "--dry-run")[1])["time"]
    assert time["measured"] is True and time["seconds"] > 0
    assert "time: about " in laser(*[word for word in command if word != "--json"], "--dry-run")[2]
    assert planned["evaluations"]["pacing"] + planned["evaluations"]["rendering"] == done["evaluations"]
    assert planned["evaluations"]["inversion"] == 2
    assert {key: planned[key] for key in ("plan", "frames", "shown")} == {
        key: done[key] for key in ("plan", "frames", "shown")
    }
    assert planned["shown"] == 6 and planned["size"] == [SHIPPED.size, SHIPPED.size]
    assert planned["memory"]["at_least"] > planned["memory"]["weights"] > 1_000_000
    code, stdout, stderr = laser("animate", COTTAGE, "night falls", "--dry-run", "--model", "nobody/knows-it")
    assert (
        (code, stdout) == (0, "")
        and "memory: not known" in stderr
        and "time: not known" in stderr
        and "U-Net evaluations: " in stderr
    )


def test_a_png_is_one_frame_and_a_picture_to_go_on_from(laser, tmp_path):
    out, frames = tmp_path / "a.png", tmp_path / "frames"
    command = ["animate", COTTAGE, "night falls", "-o", out, "--frames-dir", frames, "--skip-existing", *QUICK]
    code, stdout, stderr = laser(*command)
    assert (code, stdout) == (0, f"{out}\n{frames}\n"), stderr
    assert out.read_bytes() == (frames / "frame_0002.png").read_bytes()
    assert picture_prompt(out).endswith("at night")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.png", "frames"]
    assert "up to date" in laser(*command)[2]
    code, _, stderr = laser(*command, "--still", "3")
    assert code == 2 and "no frame 3 of 3" in stderr and "--still -3 to 2" in stderr


@pytest.mark.parametrize("wrong", [["a.gif", "--still", "1"], ["a.mp4", "--codec", "av1"], ["-", "--codec", "vp9"]])
def test_an_option_that_its_output_does_not_have_is_refused(laser, tmp_path, monkeypatch, wrong):
    monkeypatch.chdir(tmp_path)
    code, stdout, stderr = laser("animate", COTTAGE, "night falls", "-o", *wrong)
    assert (code, stdout) == (2, "") and "is for an output that ends in" in stderr
    assert list(tmp_path.iterdir()) == []


def test_av1_without_its_encoder_is_said_before_the_work(laser, tmp_path, monkeypatch):
    monkeypatch.setattr("laser_cli.output.video.encoders", lambda: {"libx264", "libvpx-vp9"})
    code, _, stderr = laser("animate", COTTAGE, "night falls", "-o", tmp_path / "a.webm", "--codec", "av1")
    assert code == 2 and "libaom-av1" in stderr and "--codec vp9" in stderr and "model" not in stderr
    assert ".webm, av1" in laser("doctor")[1]
    assert list(tmp_path.iterdir()) == []


def test_a_dry_run_loads_no_model_library():
    check = (
        "import sys; from laser_cli.cli import main; code = main.exit_code(main.app);"
        "sys.exit(code or 'transformers' in sys.modules or 'diffusers' in sys.modules)"
    )
    command = ["animate", str(COTTAGE), "night falls", "--dry-run"]
    assert subprocess.run([sys.executable, "-c", check, *command], capture_output=True, check=False).returncode == 0


def test_presets_direct_the_run_below_plans_and_flags(laser, tmp_path):
    def planned(*arguments):
        code, stdout, stderr = laser("animate", COTTAGE, "--dry-run", "--json", *arguments)
        assert code == 0, stderr
        told = json.loads(stdout)
        return told["settings"], told["plan"]["segments"]

    settings, segments = planned("the house grows", "--preset", "draft")
    assert (settings["steps"], settings["frames"], settings["fps"]) == (10, 12, 6.0)
    assert planned("the house grows", "--preset", "draft", "--steps", 7)[0]["steps"] == 7
    assert segments[0]["control"] == "motion"
    assert planned("the house grows", "--preset", "texture")[1][0]["control"] == "texture"
    assert planned("the house grows", "--preset", "texture", "--control", "hold")[1][0]["control"] == "hold"
    plan = tmp_path / "plan.yaml"
    assert laser("plan", "the house grows", "-p", "a house", "-n", 9, "-o", plan)[0] == 0
    settings, segments = planned("--plan", plan, "--preset", "draft")
    assert (settings["steps"], settings["frames"], segments[0]["frames"], segments[0]["control"]) == (
        10,
        9,
        9,
        "motion",
    )
    wrong = tmp_path / "mine.yaml"
    wrong.write_text("steps: 5\nstrenght: 1\n")
    code, _, stderr = laser("animate", COTTAGE, "night falls", "--preset", wrong, "-o", tmp_path / "a.mp4")
    assert code == 5 and "mine.yaml, line 2: unknown key 'strenght'" in stderr and "'strength'" in stderr
    code, _, stderr = laser("animate", COTTAGE, "night falls", "--preset", "drafft", "-o", tmp_path / "a.mp4")
    assert code == 3 and "'draft'" in stderr


def test_environment_variables_are_the_flags_defaults(laser, tmp_path, monkeypatch):
    preset = tmp_path / "p.yaml"
    preset.write_text("dtype: bfloat16\nmodel: nowhere/at-all\n")
    command = ["animate", COTTAGE, "night falls", "--preset", preset, "--dry-run"]

    def settings(*more):
        return json.loads(laser(*command, "--json", *more)[1])["settings"]

    assert (settings()["dtype"], settings()["model"]) == ("bfloat16", "nowhere/at-all")
    for name, value in (("DTYPE", "float32"), ("MODEL", "storybook"), ("DEVICE", "cpu"), ("QUIET", "1")):
        monkeypatch.setenv(f"LASER_{name}", value)
    assert (settings()["dtype"], settings()["model"]) == ("float32", "storybook")
    assert settings("--dtype", "float16")["dtype"] == "float16"
    assert laser(*command)[2] == ""
    monkeypatch.setenv("LASER_DEVICE", "toaster")
    assert laser(*command)[0] == 2


def test_raw_frames_stream_to_another_program(laser, tmp_path):
    command = [sys.executable, "-m", "laser_cli", "animate", str(COTTAGE), "night falls", *QUICK, "-o", "-"]
    side = SHIPPED.size
    done = subprocess.run([*command, "--format", "rgb24"], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout) == 3 * 3 * side**2
    done = subprocess.run([*command, "--sheet", str(tmp_path / "s.png")], capture_output=True, check=False)
    assert done.stdout.startswith(f"YUV4MPEG2 W{side} H{side} F12:1 ".encode()) and b"s.png" in done.stderr
    assert len(done.stdout.split(b"\n", 1)[1]) == 3 * (6 + 3 * side**2)
    for wrong in (
        ["-o", "a.mp4", "--format", "y4m"],
        ["-o", "-", "--json"],
        ["-o", "-", "--skip-existing"],
        ["-o", "-", "--depfile", "a.d"],
    ):
        code, stdout, _ = laser("animate", COTTAGE, "night falls", *wrong)
        assert (code, stdout) == (2, "")


def test_verbose_tells_what_each_stage_took(laser, tmp_path):
    _, _, stderr = laser("animate", COTTAGE, "night falls", "-o", tmp_path / "a.gif", "-v", *QUICK)
    assert "torch 2" in stderr and "loading: " in stderr
    assert "inversion: " in stderr and "2 evaluations" in stderr and "a second" in stderr
