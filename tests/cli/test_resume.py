"""`--resume`: a render that was killed goes on, to the very bytes of an unbroken one."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from laser_cli.presets_dir import presets_folder
from laser_cli.stages import resume

COTTAGE = presets_folder() / "storybook" / "cottage.png"
RUN = ["animate", str(COTTAGE), "night falls", "--steps", "6", "--frames", "5", "--dtype", "float32", "--resume"]


def test_what_was_broken_off_goes_on_to_the_same_bytes(laser, tmp_path, monkeypatch):
    monkeypatch.setattr(resume, "EVERY", 0.0)
    whole, broken = tmp_path / "whole.mp4", tmp_path / "broken.mp4"
    assert laser(*RUN, "-o", whole)[0] == 0
    keep, saved = resume.Keeper.keep, []

    def broken_off(self, state, score):
        keep(self, state, score)
        saved.append(state.done)
        if len(saved) == 3:
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(resume.Keeper, "keep", broken_off)
        assert laser(*RUN, "-o", broken)[0] == 130
    assert not broken.exists() and saved == [1, 2, 3]
    monkeypatch.setattr(resume.Keeper, "keep", lambda self, state, score: saved.append(state.done))
    assert laser(*RUN, "-o", broken)[0] == 0
    assert saved == [1, 2, 3, 4, 5], "finished steps were done again"
    assert broken.read_bytes() == whole.read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["broken.mp4", "whole.mp4"]


def test_resume_needs_a_file(laser, tmp_path):
    code, _, stderr = laser(*RUN, "-o", "-", "--format", "y4m")
    assert code == 2 and "--resume needs an output" in stderr


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="needs SIGKILL")
def test_killed_at_many_moments_it_ends_in_the_same_bytes(tmp_path):
    program = "from laser_cli.stages import resume; resume.EVERY = 0.0; from laser_cli.cli.main import run; run()"
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
