"""`laser interpolate` as a user, a script or a Makefile sees it."""

import json

import imageio.v3 as iio
import numpy as np
import pytest

from laser_cli.output.record import read_record
from laser_cli.presets_dir import presets_folder
from tests.tiny_gguf import write_tiny

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


def test_the_distance_of_even_spacing_is_recorded_and_used_again(laser, tmp_path):
    first, again, other = (tmp_path / f"{name}.gif" for name in "abc")
    pair = [BALL, CUBE, "--frames", 12]
    code, _, stderr = laser("interpolate", *pair, "--distance", "pixels", "-o", first, *QUICK)
    assert code == 0, stderr
    assert read_record(first)["settings"]["distance"] == "pixels"
    assert laser("interpolate", "--from", first, "-o", again)[0] == 0
    assert again.read_bytes() == first.read_bytes()
    code, _, stderr = laser("interpolate", "--from", first, "--distance", "features", "-o", other)
    assert code == 0 and read_record(other)["settings"]["distance"] == "features", stderr
    for arguments, says in (
        (["--distance", "eye"], "unknown distance"),
        (["--distance", "clip"], "which CLIP"),
        (["--distance", "pixels", "--spacing", "beta"], "would do nothing"),
        (["--distance", "pixels", "--method", "dissolve"], "would do nothing"),
    ):
        code, _, stderr = laser("interpolate", *pair, *arguments, "-o", tmp_path / "d.gif", *QUICK)
        assert code == 2 and says in stderr
    nowhere = f"clip:{tmp_path / 'nowhere'}"
    code, _, stderr = laser("interpolate", *pair, "--distance", nowhere, "-o", tmp_path / "d.gif", *QUICK)
    assert code == 3 and "no CLIP can be loaded" in stderr and not (tmp_path / "d.gif").exists()


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
    assert code == 0 and work["rendering"] == 24 * 14 * 2 and work["inversion"] == 14
    assert 0 < work["drafts"] <= work["rendering"] / 2
    assert sum(n for name, n in work.items() if name != "total") == work["total"]
    assert laser("interpolate", BALL, CUBE, "--dry-run")[0] == 0
    assert list(tmp_path.iterdir()) == []


def test_the_planner_says_the_guides_and_they_are_recorded(laser, tmp_path, monkeypatch):
    monkeypatch.delenv("LASER_PLANNER", raising=False)
    chain = [BALL, CUBE, "a statue"]
    code, stdout, stderr = laser("interpolate", *chain, "--guide", "auto", "--guide", "a cup", "--dry-run", "--json")
    guides = json.loads(stdout)["guides"]
    assert code == 0, stderr
    assert [guide["prompt"] for guide in guides] == [
        "something purple halfway between a ball and a cube in a meadow",
        "a cup",
    ]
    assert [guide["by"]["name"] for guide in guides] == ["rules", "hand"]
    code, _, stderr = laser("interpolate", *chain, "--guide", "auto", "--dry-run")
    assert code == 0 and f"guide: something halfway between {CUBE} and a statue (by rules)" in stderr
    tiny, out = write_tiny(tmp_path / "tiny.gguf"), tmp_path / "a.png"
    planned = ["--guide", "auto", "--planner", tiny, "--planner-timeout", 600, "--at", 0.5]
    code, _, stderr = laser("interpolate", "a cat", "a dog", *planned, "-o", out, *QUICK)
    assert code == 0, stderr
    told = read_record(out)["settings"]["interpolation"]
    (planner,) = told["guided_by"]
    assert planner["name"] == "tiny.gguf" and planner["prompts"] == "guide1" and planner["sha256"]
    tiny.unlink()  # what is run again asks nobody
    code, _, stderr = laser("interpolate", "--from", out, "-o", tmp_path / "b.png")
    assert code == 0 and (tmp_path / "b.png").read_bytes() == out.read_bytes(), stderr
    code, _, _ = laser("interpolate", "--from", out, "--guide", "a cup", "-o", tmp_path / "c.png")
    told = read_record(tmp_path / "c.png")["settings"]["interpolation"]
    assert code == 0 and told["guides"] == ["a cup"] and told["guided_by"] == [{"name": "hand", "version": 1}]


def test_presets_set_what_an_interpolation_shares_and_the_rest_is_told(laser, tmp_path):
    def settings(*more):
        code, stdout, stderr = laser("interpolate", BALL, CUBE, *more, "--dry-run", "--json")
        assert code == 0, stderr
        told = json.loads(stdout)["settings"]
        return told | told["interpolation"], stderr

    draft, _ = settings("--preset", "draft")
    assert (draft["frames"], draft["steps"], draft["fps"], draft["spacing"]) == (12, 10, 6, "uniform")
    draft, _ = settings("--preset", "draft", "--spacing", "even", "--frames", 9)
    assert (draft["frames"], draft["steps"], draft["spacing"]) == (9, 10, "even")
    default, stderr = settings("--preset", "default")
    assert default == settings()[0] and "preset" not in stderr
    _, stderr = settings("--preset", "motion")
    assert "the preset motion also sets control, strength, which only animations have" in stderr
    (tmp_path / "mine.yaml").write_text("seed: 7\nfps: 5\n")
    mine, _ = settings("--preset", tmp_path / "mine.yaml")
    assert (mine["seeds"], mine["fps"]) == ([7], 5)
    (tmp_path / "mine.yaml").write_text("spacings: even\n")
    code, _, stderr = laser("interpolate", BALL, CUBE, "--preset", tmp_path / "mine.yaml", "-o", tmp_path / "a.gif")
    assert code == 5 and "line 1: unknown key 'spacings'" in stderr


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
        ([BALL, CUBE, "--noise-slerp", "rows", "-o", "a.mp4"], 2, "all stops have one noise"),
        ([BALL, CUBE, "--seed", "99999999999999999999", "-o", "a.mp4"], 2, "seeds"),
        ([BALL, CUBE, "--guide", "a", "--no-fused", "-o", "a.mp4"], 2, "--guide would do nothing"),
        ([BALL, CUBE, "--guide", "a", "--guide", "b", "-o", "a.mp4"], 2, "2 guides, 1 segments"),
        ([BALL, CUBE, "--guide", "auto", "--planner", "none.gguf", "-o", "a.mp4"], 3, "no such file"),
        ([BALL, CUBE, "--guide", "auto", "--planner", "nobody", "-o", "a.mp4"], 3, "there is no planner"),
        ([BALL, CUBE, "--guide", "a", "--planner-timeout", "9", "-o", "a.mp4"], 2, "--planner-timeout would do"),
        ([BALL, CUBE, "--from", "a.gif", "--preset", "draft", "-o", "a.mp4"], 2, "both --from and --preset"),
        ([BALL, CUBE, "--preset", "drafft", "-o", "a.mp4"], 3, "did you mean 'draft'"),
        ([BALL, CUBE, "--resume", "-o", "-", "--format", "y4m"], 2, "--resume needs an output"),
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
