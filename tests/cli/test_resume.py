"""`--resume`: a render that was killed goes on, to the very bytes of an unbroken one."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from laser_cli.presets_dir import presets_folder
from laser_cli.stages import checkpoint

COTTAGE = presets_folder() / "storybook" / "cottage.png"
RUN = ["animate", str(COTTAGE), "night falls", "--steps", "6", "--frames", "5", "--dtype", "float32", "--resume"]


def test_what_was_broken_off_goes_on_to_the_same_bytes(laser, tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoint, "EVERY", 0.0)
    whole, broken = tmp_path / "whole.mp4", tmp_path / "broken.mp4"
    assert laser(*RUN, "-o", whole)[0] == 0
    keep, saved = checkpoint.Checkpointer.save, []

    def broken_off(self, state, *course):
        keep(self, state, *course)
        saved.append(state.done)
        if len(saved) == 3:
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(checkpoint.Checkpointer, "save", broken_off)
        assert laser(*RUN, "-o", broken)[0] == 130
    assert not broken.exists() and saved == [1, 2, 3]
    monkeypatch.setattr(checkpoint.Checkpointer, "save", lambda self, state, *course: saved.append(state.done))
    assert laser(*RUN, "-o", broken)[0] == 0
    assert saved == [1, 2, 3, 4, 5], "finished steps were done again"
    assert broken.read_bytes() == whole.read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["broken.mp4", "whole.mp4"]


def test_an_interpolation_goes_on_too_and_drafts_nothing_again(laser, tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoint, "EVERY", 0.0)
    run = ["interpolate", str(COTTAGE), "a cat", "--steps", 3, "--frames", 12, "--size", 64]
    run += ["--dtype", "float32", "--resume", "--guidance", 1]
    whole, broken = tmp_path / "whole.gif", tmp_path / "broken.gif"
    assert laser(*run, "-o", whole)[0] == 0
    keep, saved = checkpoint.Checkpointer.save, []

    def breaks_off(after):
        def kept(self, state, *course):
            keep(self, state, *course)
            saved.append(state.done if state else 0)
            if saved[-1] == after:
                raise KeyboardInterrupt

        return kept

    for after in (0, 1):  # once when the drafts are done, once after the first step
        monkeypatch.setattr(checkpoint.Checkpointer, "save", breaks_off(after))
        assert laser(*run, "-o", broken)[0] == 130
    monkeypatch.setattr(checkpoint.Checkpointer, "save", breaks_off(-1))
    code, stdout, _ = laser(*run, "-o", broken, "--json")
    assert code == 0 and saved == [0, 1, 2], "something was done again"
    # 3 to invert the picture; of 3 steps 2 are left
    assert json.loads(stdout)["evaluations"] == 3 + 2 * 12
    assert broken.read_bytes() == whole.read_bytes()
    monkeypatch.setattr(checkpoint.Checkpointer, "save", breaks_off(1))
    assert laser(*run, "-o", broken)[0] == 130
    monkeypatch.setattr(checkpoint.Checkpointer, "save", breaks_off(-1))
    assert laser(*run, "-o", broken, "--seed", 1)[0] == 0
    assert saved[-4:] == [1, 0, 1, 2], "another run's state was used"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["broken.gif", "whole.gif"]


def test_resume_needs_a_file(laser, tmp_path):
    code, _, stderr = laser(*RUN, "-o", "-", "--format", "y4m")
    assert code == 2 and "--resume needs an output" in stderr


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="needs SIGKILL")
def test_killed_at_many_moments_it_ends_in_the_same_bytes(tmp_path):
    program = (
        "from laser_cli.stages import checkpoint; checkpoint.EVERY = 0.0; from laser_cli.cli.main import run; run()"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}

    def start(name):
        command = [sys.executable, "-c", program, *RUN, "-o", str(tmp_path / name)]
        return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment)

    begun = time.monotonic()
    assert start("whole.gif").wait(900) == 0
    seconds = time.monotonic() - begun
    moments = random.Random(0)
    for _ in range(4):
        process = start("killed.gif")
        time.sleep(seconds * moments.uniform(0.3, 0.95))
        process.send_signal(signal.SIGKILL)
        process.wait()
        if (tmp_path / "killed.gif").exists():  # the kill came after the last rename: all or nothing
            break
    assert start("killed.gif").wait(900) == 0
    assert (tmp_path / "killed.gif").read_bytes() == (tmp_path / "whole.gif").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["killed.gif", "whole.gif"], (
        "a kill's rest was not swept"
    )
