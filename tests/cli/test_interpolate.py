"""`laser interpolate` as a user, a script or a Makefile sees it."""

import json

import imageio.v3 as iio
import numpy as np
import pytest

from laser_cli.output.record import read_record
from laser_cli.presets_dir import presets_folder

COTTAGE = presets_folder() / "storybook" / "cottage.png"
BALL, CUBE = "a red ball in a meadow", "a blue cube in a meadow"
QUICK = ["--steps", "2", "--size", "64", "--dtype", "float32"]


def test_two_prompts_become_an_animation_with_every_output(laser, tmp_path):
    out, frames, sheet, dep = (tmp_path / name for name in ("a.gif", "frames", "a.png", "a.d"))
    outputs = ["-o", out, "--frames-dir", frames, "--sheet", sheet, "--depfile", dep]
    code, stdout, stderr = laser("interpolate", BALL, CUBE, "--frames", 6, "--json", *outputs, *QUICK)
    assert code == 0, stderr
    told = json.loads(stdout)
    assert told["version"] == 1 and told["frames"] == 6 and told["times"] == sorted(told["times"])
    assert len(list(frames.iterdir())) == 6
    record = read_record(out)
    assert record["command"] == "interpolate" and record["settings"]["interpolation"]["spacing"] == "even"
    code, stdout, _ = laser("show", out)
    assert code == 0 and "laser interpolate" in stdout


def test_the_record_makes_the_same_bytes_again_and_options_change_it(laser, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "c.png").write_bytes(COTTAGE.read_bytes())
    chain = ["c.png", BALL, "--frames", 4, "--spacing", "uniform", "--seed", 5, "--method", "inner", "--no-fused"]
    assert laser("interpolate", *chain, "-o", "a.gif", *QUICK)[0] == 0
    code, _, stderr = laser("interpolate", "--from", "a.gif", "-o", "b.gif")
    assert code == 0, stderr
    assert (tmp_path / "a.gif").read_bytes() == (tmp_path / "b.gif").read_bytes()
    code, _, stderr = laser("interpolate", "--from", "a.gif", "-o", "c.gif", "--frames", 3, "--fused")
    assert code == 0, stderr
    again = read_record(tmp_path / "c.gif")["settings"]
    assert (again["frames"], again["interpolation"]["fused"], again["interpolation"]["method"]) == (3, True, "inner")
    code, _, stderr = laser("interpolate", *chain, "-o", "a.gif", "--skip-existing", *QUICK)
    assert code == 0 and "up to date" in stderr
    code, _, stderr = laser("animate", COTTAGE, "--from", "a.gif", "-o", "d.gif")
    assert code == 5 and "laser interpolate" in stderr
    for arguments, says in (([BALL], "two stops"), ([BALL, CUBE, BALL, "--seed", "1,2"], "2 seeds, 3 stops")):
        code, _, stderr = laser("interpolate", *arguments, "--from", "a.gif", "-o", "d.gif")
        assert code == 2 and says in stderr
    (tmp_path / "c.png").unlink()
    assert laser("interpolate", "--from", "a.gif", "-o", "d.gif")[0] == 5


def test_a_picture_is_a_stop_as_it_is_and_one_picture_lies_between(laser, tmp_path):
    frames, at = tmp_path / "frames", tmp_path / "at.png"
    code, _, stderr = laser(
        "interpolate", BALL, COTTAGE, "--frames", 3, "--frames-dir", frames, "--spacing", "uniform", *QUICK
    )
    assert code == 0, stderr
    from laser_cli.output.frames import read_picture

    assert np.array_equal(iio.imread(frames / "frame_0002.png"), read_picture(COTTAGE, 64, 8))
    code, _, stderr = laser("interpolate", BALL, COTTAGE, "--at", 0.5, "-o", at, *QUICK)
    assert code == 0, stderr
    between = iio.imread(frames / "frame_0001.png").astype(int)
    assert np.abs(iio.imread(at).astype(int) - between).max() <= 1


def test_a_dry_run_tells_the_work_and_does_none(laser, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, stdout, _ = laser("interpolate", BALL, COTTAGE, CUBE, "--frames", 24, "--dry-run", "--json")
    told = json.loads(stdout)
    work = told["evaluations"]
    assert code == 0 and work["rendering"] == 24 * 25 * 2 and work["inversion"] == 25
    assert 0 < work["drafts"] <= work["rendering"] / 2
    assert sum(n for name, n in work.items() if name != "total") == work["total"]
    assert laser("interpolate", BALL, CUBE, "--dry-run")[0] == 0
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        ([BALL, "-o", "a.mp4"], 2, "two stops"),
        ([BALL, CUBE], 2, "nothing to write"),
        ([BALL, " ", "-o", "a.mp4"], 2, "empty"),
        ([BALL, "nowhere.png", "--prompt", "a", "-o", "a.mp4"], 5, "nowhere.png"),
        ([BALL, CUBE, "--prompt", "a ball", "-o", "a.mp4"], 2, "once for each"),
        ([BALL, CUBE, "--frames", "2", BALL, "-o", "a.mp4"], 2, "too few"),
        ([BALL, CUBE, "--seed", "x", "-o", "a.mp4"], 2, "--seed"),
        ([BALL, CUBE, "--seed", "1,2,3", "-o", "a.mp4"], 2, "3 seeds, 2 stops"),
        ([BALL, CUBE, "--seed", "1,2", "--latents", "same", "-o", "a.mp4"], 2, "several seeds"),
        ([COTTAGE, COTTAGE, "--latents", "slerp", "-o", "a.mp4"], 2, "every stop is a picture"),
        ([BALL, CUBE, "--seed", "99999999999999999999", "-o", "a.mp4"], 2, "seeds"),
        ([BALL, CUBE, "--guide", "a", "--no-fused", "-o", "a.mp4"], 2, "--guide would do nothing"),
        ([BALL, CUBE, "--guide", "a", "--guide", "b", "-o", "a.mp4"], 2, "2 guides, 1 segments"),
        ([BALL, CUBE, "--method", "text", "--no-fused", "-o", "a.mp4"], 2, "--fused would do nothing"),
        ([BALL, CUBE, "--method", "denoise", "--warmup", "1", "-o", "a.mp4"], 2, "--warmup would do nothing"),
        ([BALL, CUBE, "--alpha", "3", "-o", "a.mp4"], 2, "--alpha would do nothing"),
        ([BALL, CUBE, "--at", "0.5", "-o", "a.mp4"], 2, "one picture"),
        ([BALL, CUBE, "--at", "0.5", "--spacing", "even", "-o", "a.png"], 2, "--spacing would do nothing"),
        ([BALL, CUBE, "--model", "./nowhere", "-o", "a.mp4"], 3, "no model"),
        (["--from", COTTAGE, "-o", "a.mp4"], 5, "cottage.png"),
    ],
)
def test_mistakes_have_their_exit_code_and_leave_nothing(laser, tmp_path, monkeypatch, arguments, code, says):
    monkeypatch.chdir(tmp_path)
    got, stdout, stderr = laser("interpolate", *arguments)
    assert got == code, stderr
    assert stdout == "" and says in stderr and "Traceback" not in stderr
    assert list(tmp_path.iterdir()) == []


def test_help_needs_no_torch(laser):
    import subprocess
    import sys

    check = "import sys; from laser_cli.cli import main; main.exit_code(main.app); sys.exit('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", check, "interpolate", "--help"], capture_output=True, check=False)
    assert done.returncode == 0 and b"--spacing" in done.stdout
