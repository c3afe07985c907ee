"""Pictures, words and disks that are not as they should be."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from laser_cli.cli import main
from laser_cli.presets_dir import presets_folder

COTTAGE = presets_folder() / "storybook" / "cottage.png"
QUICK = ["--steps", "2", "--frames", "2", "--dtype", "float32", "--prompt", "a red house in a meadow at noon"]
RGB = Image.open(COTTAGE).convert("RGB")


def damaged(path):
    path.write_bytes(COTTAGE.read_bytes()[:3000])


BAD = {
    "missing.png": lambda path: None,
    "cut.png": damaged,
    "text.png": lambda path: path.write_text("no picture"),
    "empty.png": lambda path: path.write_bytes(b""),
    "dot.png": lambda path: Image.new("RGB", (1, 1)).save(path),
    "long.png": lambda path: Image.new("1", (20_001, 8)).save(path),
}
GOOD = {
    "cmyk.jpg": lambda path: RGB.convert("CMYK").save(path),
    "deep.png": lambda path: Image.fromarray(np.full((128, 128), 40_000, np.uint16)).save(path),
    "alpha.png": lambda path: RGB.convert("RGBA").save(path),
    "moving.gif": lambda path: RGB.save(path, save_all=True, append_images=[RGB.rotate(90)]),
    "wide.png": lambda path: RGB.resize((301, 97)).save(path),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_picture_is_told_at_once_and_nothing_is_left(laser, tmp_path, name):
    BAD[name](tmp_path / name)
    code, stdout, stderr = laser("animate", tmp_path / name, "night falls", "-o", tmp_path / "a.mp4", *QUICK)
    assert code == 5 and stdout == "" and name in stderr and "Traceback" not in stderr
    assert "model" not in stderr, "the model was loaded for nothing"
    assert {path.name for path in tmp_path.iterdir()} <= {name}


@pytest.mark.parametrize("name", GOOD)
def test_an_odd_picture_is_drawn(laser, tmp_path, name):
    GOOD[name](tmp_path / name)
    code, _, stderr = laser("animate", tmp_path / name, "night falls", "-o", tmp_path / "a.mp4", *QUICK)
    assert code == 0, stderr


def test_a_picture_or_a_word_that_storybook_never_met_is_said(laser, tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (128, 128, 3), np.uint8)
    Image.fromarray(noise).save(tmp_path / "noise.png")
    arguments = ("animate", tmp_path / "noise.png", "it becomes a dragon", "-o", tmp_path / "a.mp4", *QUICK)
    code, _, stderr = laser(*arguments)
    assert code == 0
    assert "does not know: dragon" in stderr and "no storybook picture" in stderr and "--model" in stderr
    code, _, stderr = laser("animate", COTTAGE, "night falls", "-o", tmp_path / "b.mp4", *QUICK)
    assert code == 0 and "warning" not in stderr


def test_what_of_500_words_is_cut_is_said(laser, tmp_path):
    words = " ".join(["lorem ipsum dolor sit amet"] * 100)
    code, _, stderr = laser("animate", COTTAGE, words, "-o", tmp_path / "a.mp4", *QUICK)
    assert code == 0 and "it will not see" in stderr


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("source: a\nsegments: []\n", "segments"),
        ("source: a\nsegments:\n  - {prompt: b, frames: 0}\n", "line 3"),
        ("source: a\nsegments:\n  - {prompt: b, frames: -4}\n", "line 3"),
        ("source: a\nsegments:\n  - {prompt: b, frames: 3, contrl: motion}\n", "control"),
        ("source: a\nsegments:\n  - {prompt: 7, frames: 3}\n", "line 3"),
        ("source: a\nsegments:\n" + "  - {prompt: b, frames: 3}\n" * 10_000, "segments"),
        ("source: [a\n", "line"),
    ],
)
def test_a_bad_plan_names_line_and_key(laser, tmp_path, text, says):
    (tmp_path / "plan.yaml").write_text(text)
    code, _, stderr = laser("animate", COTTAGE, "--plan", tmp_path / "plan.yaml", "-o", tmp_path / "a.mp4")
    assert code == 5 and says in stderr and "Traceback" not in stderr
    assert not (tmp_path / "a.mp4").exists()


def test_a_full_disk_is_said(laser, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "replace", full)
    code, _, stderr = laser("animate", COTTAGE, "night falls", "--frames-dir", tmp_path / "frames", *QUICK)
    assert code == 1 and "disk is full" in stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(sys.platform != "linux" or os.geteuid() != 0, reason="needs a small file system of its own")
def test_a_disk_that_fills_up_leaves_nothing(laser, tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(disk)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("no file system can be mounted here")
    try:
        out = [*("-o", disk / "a.apng"), "--frames-dir", disk / "frames", "--frames", 8]
        code, _, stderr = laser("animate", COTTAGE, "night falls", *QUICK, *out)
        assert code == 1 and "Traceback" not in stderr
        assert list(disk.iterdir()) == []
    finally:
        subprocess.run(["umount", str(disk)], check=True)


COMMANDS = ["animate", "plan", "invert", "show", "models", "presets"]
OPTIONS = ["-o", "--frames", "--plan", "--json", "--steps", "--loop", "--fps", "--from", "--preset"]
WORDS = st.sampled_from([*COMMANDS, *OPTIONS, "a.mp4", "a.yaml", "0", "-1", "9", "x", "no.png", "never", "nan"])


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(WORDS, max_size=7))
def test_whatever_is_typed_there_is_no_traceback_and_no_file(tmp_path_factory, words):
    folder = tmp_path_factory.mktemp("typed")
    before, argv = Path.cwd(), sys.argv
    os.chdir(folder)
    sys.argv = ["laser", *words]
    try:
        code = main.exit_code(main.app)
    finally:
        os.chdir(before)
        sys.argv = argv
    assert code in (0, 1, 2, 3, 5)
    assert {path.name for path in folder.iterdir()} <= {"a.yaml"}
