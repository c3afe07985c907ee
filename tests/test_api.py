"""laser from Python: the documented example runs, with the frames in memory or in files."""

import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest

from laser_cli import api
from laser_cli.errors import LaserError
from laser_cli.jobs.run import place
from laser_cli.output.record import read_record
from laser_cli.presets_dir import presets_folder
from laser_cli.storybook.look import SHIPPED

COTTAGE = presets_folder() / "storybook" / "cottage.png"
QUICK = {"steps": 2, "frames": 3}


def test_the_example_of_the_documentation_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "cottage.png").write_bytes(COTTAGE.read_bytes())
    example = textwrap.dedent(api.__doc__.split("\n\n", 1)[1]).replace("frames=", "steps=2, frames=")
    exec(compile(example, "example", "exec"), {})
    assert capsys.readouterr().out == f"night.gif 5 ({SHIPPED.size}, {SHIPPED.size}, 3)\n"
    assert read_record(tmp_path / "night.gif")["settings"]["frames"] == 8


def test_the_readme_shows_the_same_example():
    readme = Path(__file__).parents[1] / "README.md"
    shown = readme.read_text("utf-8").partition("## From Python\n\n")[2].partition("\n## ")[0]
    assert textwrap.dedent(shown).strip() == api.__doc__.split("\n\n", 1)[1].strip()


def test_the_frames_are_the_commands_own(storybook, tmp_path):
    made = api.animate(COTTAGE, "night falls", model=storybook, **QUICK)
    assert [frame.shape for frame in made.frames] == [(SHIPPED.size, SHIPPED.size, 3)] * 3 and not made.paths
    filed = api.animate(COTTAGE, "night falls", model=storybook, out=tmp_path / "a.png", **QUICK)
    assert filed.paths == (tmp_path / "a.png",) and not filed.frames
    assert filed.told["fingerprint"] == made.told["fingerprint"] == place(made.job, storybook).fingerprint
    from laser_cli.output.frames import read_picture

    assert np.array_equal(read_picture(tmp_path / "a.png"), made.frames[-1])


@pytest.mark.parametrize("exact", [True, False])
def test_there_and_back_again_ends_in_frame_0(storybook, exact):
    made = api.animate(
        COTTAGE, "night falls and back again", model=storybook, frames=5, steps=2, waypoints=False, exact_first=exact
    )
    assert [segment.back for segment in made.job.plan.segments] == [False, True]
    assert np.array_equal(made.frames[-1], made.frames[0]) and not np.array_equal(made.frames[2], made.frames[0])


def test_the_same_picture_at_both_ends_gives_that_picture_back(storybook):
    made = api.interpolate(COTTAGE, COTTAGE, model=storybook, frames=3, steps=2)
    error = np.square(made.frames[1].astype(float) - made.frames[0]).mean()
    assert np.array_equal(made.frames[0], made.frames[2]) and 10 * np.log10(255**2 / max(error, 1e-9)) >= 45


def test_what_cannot_be_is_a_laser_error_before_the_work(tmp_path):
    for call in (
        lambda: api.animate(tmp_path / "nowhere.png", "night falls"),
        lambda: api.animate(COTTAGE),
        lambda: api.animate(COTTAGE, "night falls", out=tmp_path / "a.xyz"),
        lambda: api.interpolate("a ball"),
        lambda: api.interpolate("a ball", "a cube", at=2.0),
    ):
        with pytest.raises(LaserError):
            call()


def test_the_package_is_light_until_it_is_used():
    program = (
        "import sys, laser_cli; light = 'torch' not in sys.modules and 'pydantic' not in sys.modules;"
        "from laser_cli import animate, interpolate, load_model; sys.exit(not light or not callable(load_model))"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
    with pytest.raises(AttributeError):
        _ = __import__("laser_cli").no_such_name


def test_a_control_net_leads_from_python_too(tmp_path):
    """A picture's own edges lead it: the job is the command's."""
    from laser_cli.models.load import load_model
    from tests.models import tiny

    tiny.sd(tmp_path / "m")
    tiny.control_net(tiny.unet()).save_pretrained(tmp_path / "net")
    model = load_model(str(tmp_path / "m"), "cpu", "float32")
    led = {"controlnet": f"{tmp_path / 'net'}:0.5", "condition": "edges"}
    plain, edged = (
        api.animate(COTTAGE, "night falls", model=model, size=32, planner="rules", **more, **QUICK)
        for more in ({}, led)
    )
    assert [control.conditions for control in edged.job.controls] == [("edges",) * len(edged.job.plan.prompts)]
    assert np.array_equal(plain.frames[0], edged.frames[0]) and not np.array_equal(plain.frames[-1], edged.frames[-1])
