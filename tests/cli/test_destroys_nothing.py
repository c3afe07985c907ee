"""Nothing of the user's is destroyed: outputs against all that a command reads, and what laser did not make."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from laser_cli.output.frames import write_png
from laser_cli.output.record import read_record
from laser_cli.presets_dir import presets_folder

COTTAGE = presets_folder() / "storybook" / "cottage.png"
QUICK = ["--steps", "2", "--frames", "3", "--no-even-pace", "--prompt", "a red house in a meadow at noon"]
PLAN = "source: a red house in a meadow\nsegments:\n- {prompt: a red house at night, frames: 3}\n"


@pytest.fixture
def here(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    shutil.copy(COTTAGE, "photo.png")
    Path("story.yaml").write_text(PLAN)
    Path("words.txt").write_text("night falls")
    Path("mine.yaml").write_text("fps: 5\n")
    return tmp_path


def holdings(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


ALIASES = {
    "same": lambda: Path("photo.png"),
    "dotted": lambda: Path("./photo.png"),
    "absolute": lambda: Path.cwd() / "photo.png",
    "link": lambda: Path("link.png").symlink_to("photo.png") or Path("link.png"),
    "hard": lambda: os.link("photo.png", "hard.png") or Path("hard.png"),
}


@pytest.mark.parametrize("alias", ALIASES)
@pytest.mark.parametrize("option", ["-o", "--sheet", "--preview"])
@pytest.mark.skipif(os.name == "nt", reason="links of POSIX")
def test_the_picture_is_not_replaced_by_any_output_under_any_name(laser, here, option, alias):
    target = ALIASES[alias]()
    before = holdings(here)
    more = [] if option == "-o" else ["-o", "out.gif"]
    code, stdout, stderr = laser("animate", "photo.png", "night falls", option, target, *more, *QUICK)
    assert (code, stdout) == (2, "") and "would be replaced" in stderr and "model" not in stderr
    assert holdings(here) == before


READ = {
    "picture and depfile": ["animate", "photo.png", "night falls", "-o", "o.gif", "--depfile", "photo.png", *QUICK],
    "plan": ["animate", "photo.png", "--plan", "story.yaml", "-o", "o.gif", "--depfile", "story.yaml", "--steps", "2"],
    "words": ["animate", "photo.png", "@words.txt", "-o", "o.gif", "--depfile", "words.txt", *QUICK],
    "preset": ["animate", "photo.png", "x", "--preset", "mine.yaml", "-o", "o.gif", "--depfile", "mine.yaml", *QUICK],
    "stop": ["interpolate", "photo.png", "a blue cube", "-o", "photo.png", "--at", "0.5", "--steps", "2"],
    "stop and sheet": ["interpolate", "a ball", "photo.png", "-o", "o.gif", "--sheet", "photo.png", "--steps", "2"],
    "plan of words": ["plan", "@words.txt", "-o", "words.txt"],
    "plan of a picture": ["plan", "night falls", "--image", "photo.png", "-o", "photo.png"],
    "force does not help": ["animate", "photo.png", "night falls", "-o", "photo.png", "--force", *QUICK],
    "dry run": ["animate", "photo.png", "night falls", "-o", "photo.png", "--dry-run", *QUICK],
}  # fmt: skip


@pytest.mark.parametrize("case", READ)
def test_whatever_a_command_reads_it_does_not_replace(laser, here, case):
    before = holdings(here)
    code, _, stderr = laser(*READ[case])
    assert code == 2 and "would be replaced" in stderr
    assert holdings(here) == before


def test_the_picture_to_invert_is_not_replaced(laser, here):
    shutil.copy("photo.png", "p.safetensors")
    code, _, stderr = laser("invert", "p.safetensors", "-o", "p.safetensors", "--prompt", "a house", "--steps", "2")
    assert code == 2 and "would be replaced" in stderr and Path("p.safetensors").read_bytes() == COTTAGE.read_bytes()


def test_a_frames_folder_keeps_what_laser_did_not_make(laser, here):
    Path("d").mkdir()
    Image.fromarray(np.zeros((32, 32, 3), np.uint8)).save("d/frame_0001.png")
    Path("d/notes.txt").write_text("stays")
    before = holdings(here)
    code, _, stderr = laser("animate", "photo.png", "night falls", "--frames-dir", "d", *QUICK)
    assert code == 2 and "was not made by laser" in stderr and "--force" in stderr and holdings(here) == before
    shutil.copy("photo.png", "d/frame_0000.png")
    code, _, stderr = laser("animate", "d/frame_0000.png", "night", "--frames-dir", "d", "--force", *QUICK)
    assert code == 2 and "would be replaced" in stderr


def test_files_of_others_are_replaced_by_force_alone_and_lasers_own_at_once(laser, here):
    Path("out.gif").write_bytes(b"GIF89a of a friend")
    arguments = ["animate", "photo.png", "night falls", "-o", "out.gif", "--depfile", "out.d", *QUICK]
    code, _, stderr = laser(*arguments)
    assert code == 2 and "was not made by laser" in stderr and Path("out.gif").read_bytes() == b"GIF89a of a friend"
    Path("out.gif").chmod(0o640)
    assert laser(*arguments, "--force")[0] == 0
    assert read_record(Path("out.gif"))["command"] == "animate"
    if os.name != "nt":
        assert Path("out.gif").stat().st_mode & 0o777 == 0o640
    first = Path("out.gif").read_bytes()
    assert laser(*arguments)[0] == 0 and Path("out.gif").read_bytes() == first
    # what was made may be made again in its own place
    assert laser("animate", "--from", "out.gif", "-o", "out.gif")[0] == 0
    Path("out.gif").chmod(0o440)
    code, _, stderr = laser(*arguments)
    assert code == 2 and "read-only" in stderr and Path("out.gif").read_bytes()
    assert laser(*arguments, "--force")[0] == 0


def test_a_plan_may_be_written_over_a_plan_and_not_over_notes(laser, here):
    assert laser("plan", "night falls", "-p", "a red house", "-o", "story.yaml")[0] == 0
    code, _, stderr = laser("plan", "night falls", "-p", "a red house", "-o", "words.txt")
    assert code == 2 and "was not made by laser" in stderr and Path("words.txt").read_text() == "night falls"
    assert laser("plan", "night falls", "-p", "a red house", "-o", "words.txt", "--force")[0] == 0


def test_a_track_is_not_written_over_its_source(laser, here):
    Path("face.yaml").write_text("source: a face\nsegments:\n- {prompt: a face, frames: 3}\nface:\n- {at: 0, yaw: 5}\n")
    write_png(Path("mine.png"), np.zeros((16, 16, 3), np.uint8))
    before = holdings(here)
    for arguments in (["-o", "face.yaml"], ["-o", "t.yaml", "--plot", "mine.png"]):
        code, _, stderr = laser("track", "face.yaml", *arguments)
        assert code == 2 and ("would be replaced" in stderr or "was not made by laser" in stderr)
        assert holdings(here) == before
    assert laser("track", "face.yaml", "-o", "t.yaml", "--plot", "p.png")[0] == 0
    assert laser("track", "face.yaml", "-o", "t.yaml", "--plot", "p.png")[0] == 0
