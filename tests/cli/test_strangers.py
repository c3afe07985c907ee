"""Files from strangers are harmless at the command line too: no code is run, no terminal steered, no path hidden."""

import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from laser_cli.output.frames import write_png
from laser_cli.output.record import read_record
from laser_cli.presets_dir import presets_folder
from laser_cli.storybook.look import SHIPPED

COTTAGE = presets_folder() / "storybook" / "cottage.png"
QUICK = ["--steps", "2", "--frames", "2", "--no-even-pace", "--prompt", "a red house in a meadow at noon"]


@pytest.fixture
def here(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    shutil.copy(COTTAGE, "photo.png")
    return tmp_path


@pytest.mark.skipif(shutil.which("make") is None or os.name == "nt", reason="no make")
def test_the_name_of_a_picture_runs_nothing_in_make(laser, here):
    name = "a!=touch${IFS}X${IFS}.png"
    shutil.copy("photo.png", name)
    code, _, stderr = laser("animate", name, "night falls", "-o", "o.png", "--depfile", "o.d", *QUICK)
    assert code == 2 and "dependency file" in stderr and "model" not in stderr and not Path("o.d").exists()
    odd = "a $(shell touch X) `touch X` : #%.png"
    shutil.copy("photo.png", odd)
    code, _, stderr = laser("animate", odd, "night falls", "-o", "o.png", "--depfile", "o.d", *QUICK)
    assert code == 0, stderr
    Path("Makefile").write_text("include o.d\n")
    done = subprocess.run(["make", "o.png"], capture_output=True, text=True, check=False)
    assert done.returncode == 0 and not Path("X").exists(), done.stderr


def test_escape_sequences_are_shown_and_not_obeyed(laser, here):
    evil = "night\x1b[2J\u202e falls"
    code, _, stderr = laser("animate", "photo.png", "--prompt", evil, evil, "-o", "o.gif", "--dry-run", "--frames", "3")
    assert code == 0 and "\x1b" not in stderr and "\u202e" not in stderr
    record = {
        "version": 1,
        "program": "laser",
        "program_version": "1\x1b[2J",
        "command": "animate\u202e",
        "prompt": evil,
    }
    write_png(Path("r.png"), np.zeros((16, 16, 3), np.uint8), record)
    code, stdout, _ = laser("show", "r.png")
    assert code == 0 and "\x1b" not in stdout and "\u202e" not in stdout and "\\x1b[2J" in stdout
    code, _, stderr = laser("animate", "a\x1b[2J.png", "night falls", "-o", "o.gif")
    assert code == 5 and "\x1b" not in stderr and "\\x1b[2J" in stderr


def test_a_record_that_names_a_path_elsewhere_is_told(laser, here):
    assert laser("animate", "photo.png", "night falls", "-o", "o.gif", *QUICK)[0] == 0
    record = read_record(Path("o.gif"))
    Path("sub").mkdir()
    shutil.copy("photo.png", "sub/other.png")
    record["settings"]["image"] = "sub/../sub/other.png"
    write_png(Path("r.png"), np.zeros((16, 16, 3), np.uint8), record)
    code, _, stderr = laser("animate", "--from", "r.png", "-o", "again.gif", "--dry-run")
    assert code == 0 and "the record in r.png names the picture sub/../sub/other.png, which is read" in stderr
    for name in ("../" * 20 + "etc/passwd", "x" * 5000, "a\0b", "~nosuchuser/x.png"):
        record["settings"]["image"] = name
        write_png(Path("r.png"), np.zeros((16, 16, 3), np.uint8), record)
        code, _, stderr = laser("animate", "--from", "r.png", "-o", "again.gif", "--dry-run")
        assert code == 5 and "unexpected" not in stderr


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["animate", "photo.png", "night", "-o", "o.gif", "--model", "~nosuchuser/model"], 3),
        (["animate", "photo.png", "night", "-o", "o.gif", "--planner", "~nosuchuser/a.gguf"], 3),
        (["animate", "photo.png", "night", "-o", "o.gif", "--vae", "~nosuchuser/x"], 3),
        (["animate", "photo.png", "night", "-o", "o.gif", "--embedding", "~nosuchuser/x"], 3),
        (["animate", "photo.png", "night", "-o", "o.gif", "--controlnet", "~nosuchuser/x"], 3),
        (["animate", "photo.png", "night", "-o", "o.gif", "--portrait-adapter", "~nosuchuser/x"], 3),
        (["animate", "photo.png", "night", "-o", "o.gif", "--inversion", "photo.png"], 5),
        (["animate", "photo.png", "night", "-o", "o.gif", "--preset", "x" * 5000 + ".yaml"], 5),
        (["animate", "photo.png", "--plan", "deep.yaml", "-o", "o.gif"], 5),
        (["animate", "photo.png", "--plan", "photo.png", "-o", "o.gif"], 5),
        (["animate", "x" * 5000 + ".png", "night", "-o", "o.gif"], 5),
        (["animate", "loop.png", "night", "-o", "o.gif"], 5),
        (["animate", "bomb.png", "night", "-o", "o.gif"], 5),
        (["show", "bomb.png"], 5),
        (["show", "deep.yaml"], 5),
        (["show", "x" * 5000], 5),
        (["show", "loop.png"], 5),
        (["animate", "--from", "deep.yaml", "-o", "o.gif"], 5),
        (["plan", "@loop.png"], 5),
        (["plan", "@"], 5),
    ],
)
def test_the_unusable_is_told_with_its_code_and_before_the_work(laser, here, arguments, code):
    from tests.output.test_pictures import png_of_zeros

    Path("deep.yaml").write_text("[" * 20_000)
    png_of_zeros(Path("bomb.png"), 11_000, 11_000)
    if os.name != "nt":
        Path("loop.png").symlink_to("loop.png")
    found, stdout, stderr = laser(*arguments)
    assert ((found, stdout) == (code, "") and stderr.startswith("error: ")) or "\nerror: " in stderr
    assert "unexpected" not in stderr and "Traceback" not in stderr and "model storybook on" not in stderr


def test_an_inversion_of_nonsense_is_told_before_the_model_loads(laser, here):
    from tests.jobs.test_strangers_files import holding, inversion

    inversion(Path("i.safetensors"), latents=holding(np.nan))
    arguments = ["animate", "photo.png", "night falls", "--inversion", "i.safetensors", "-o", "o.gif", *QUICK[4:]]
    code, _, stderr = laser(*arguments)
    assert code == 5 and "not a number" in stderr and "model storybook on" not in stderr
    assert Image.open("photo.png").size == (SHIPPED.size, SHIPPED.size)
