"""`laser show`: the record inside any output, for people and as JSON."""

import json
import subprocess
import sys

import numpy as np
import pytest

from laser_cli.output.look import Look
from laser_cli.output.record import make_record
from laser_cli.output.sink import open_sinks

APP = """
import typer
from laser_cli.cli.main import run
from laser_cli.cli.show import register

app = typer.Typer(pretty_exceptions_enable=False)
app.callback()(lambda: None)
register(app)
run(app)
"""
PLAN = {
    "description": "autumn comes",
    "source": "ein grüner Baum",
    "segments": [
        {"prompt": "a red tree \x1b[31m", "control": "texture", "strength": 0.8, "frames": 4, "easing": "ease"}
    ],
}
RECORD = make_record("animate", {"plan": PLAN, "size": [64, 48], "steps": 25}, seed=7, prompt="x", model="storybook")


def call(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", APP, "show", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=900)


@pytest.fixture(scope="module")
def outputs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("outputs")
    sidecars = (folder / "frames", folder / "sheet.png")
    with open_sinks(
        folder / "a.mp4", *sidecars, size=(64, 48), look=Look(), count=1, record=RECORD, report=folder / "r.html"
    ) as sink:
        sink.add(0, np.zeros((48, 64, 3), np.uint8))
    return folder


@pytest.mark.parametrize("name", ["a.mp4", "frames", "sheet.png", "r.html"])
def test_json_is_the_record_itself(outputs, name):
    done = call(outputs / name, "--json")
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout) == RECORD


def test_people_read_prompts_segments_seed_model_and_sizes(outputs):
    done = call(outputs / "a.mp4")
    assert (done.returncode, done.stderr) == (0, "")
    told = {line[:13].strip(): line[13:] for line in done.stdout.splitlines()}
    assert told["description"] == "autumn comes" and told["source"] == "ein grüner Baum"
    assert told["0 to 3"] == "a red tree \\x1b[31m (texture, 0.8, ease)"  # nothing that would steer the terminal
    assert (told["size"], told["seed"], told["model"], told["steps"]) == ("64 x 48", "7", "storybook", "25")


def test_files_of_others_and_missing_ones_are_bad_input(tmp_path):
    (tmp_path / "a.txt").write_text("hello")
    (tmp_path / "empty").mkdir()
    for name in ("a.txt", "missing.mp4", "empty"):
        done = call(tmp_path / name)
        assert (done.returncode, done.stdout) == (5, "")
        assert done.stderr.startswith("error: ")


@pytest.mark.parametrize("odd", [{"settings": 3}, {"settings": {"plan": [1]}, "model": "m"}, {"libraries": ["a"]}, {}])
def test_a_strange_record_is_shown_as_far_as_it_goes(odd):
    from laser_cli.cli.show import lines

    assert lines({"program": "laser", "version": 1, **odd})
