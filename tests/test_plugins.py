"""Planners, controls and backbones of another package, which is installed as any other; broken ones stop nothing."""

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from laser_cli.presets_dir import presets_folder

COTTAGE = presets_folder() / "storybook" / "cottage.png"
SMALL = ("--frames", 3, "--steps", 2, "--size", 64, "--no-even-pace")
WORDS = ("night falls", "-p", "a house at noon")
CODE = """
import json
from laser_cli.controls.base import Control, decoder_self_attentions
from laser_cli.plan.request import Planned
from laser_cli.plan.schema import Plan, Planner, Segment

KEEP = Control("keep", attentions=decoder_self_attentions, mix=lambda out, own, source, strength: out)
NOTHING = None


class Tiny:
    def plan(self, request, callbacks):
        callbacks.note("tiny was here")
        made = Segment(prompt=request.description, control="keep", strength=1.0, frames=request.frames)
        return Planned(Plan(source=request.source or "a house", segments=(made,), planner=Planner(name="tiny")))


class Upset:
    def claims(self, request):
        raise ValueError("no claims today")


class Backbone:
    def claims(self, path):
        return json.loads((path / "model_index.json").read_text())["_class_name"] == "TinyPipeline"

    def load(self, path, device, dtype, options):
        from laser_cli.models.load import load_model

        return load_model("storybook", str(device), "float32")


BACKBONE = Backbone()
"""
ENTRIES = """[laser.planners]
tiny = tiny_plugins:Tiny
upset = tiny_plugins:Upset
missing = tiny_plugins_that_are_not_there:Tiny
rules = tiny_plugins:Tiny

[laser.controls]
keep = tiny_plugins:KEEP
empty = tiny_plugins:NOTHING

[laser.backbones]
tiny = tiny_plugins:BACKBONE
absent = tiny_plugins:ABSENT
"""


@pytest.fixture(scope="module")
def laser(tmp_path_factory):
    """The command beside an installed package of plugins; its working folder holds a model of the plugin's kind."""
    folder = tmp_path_factory.mktemp("plugins")
    wheel = folder / "tiny_plugins-1.5-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as made:
        info = "tiny_plugins-1.5.dist-info"
        made.writestr("tiny_plugins.py", CODE)
        made.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: tiny-plugins\nVersion: 1.5\n")
        made.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        made.writestr(f"{info}/entry_points.txt", ENTRIES)
        names = ["tiny_plugins.py", *(f"{info}/{name}" for name in ("METADATA", "WHEEL", "entry_points.txt", "RECORD"))]
        made.writestr(f"{info}/RECORD", "".join(f"{name},,\n" for name in names))
    pip = [sys.executable, "-m", "pip", "install", "-q", "--no-index", "--no-deps", "--target", str(folder / "site")]
    subprocess.run([*pip, str(wheel)], check=True, timeout=900)
    (folder / "model").mkdir()
    (folder / "model" / "model_index.json").write_text(json.dumps({"_class_name": "TinyPipeline"}))
    (folder / "other").mkdir()
    (folder / "other" / "model_index.json").write_text(json.dumps({"_class_name": "OtherPipeline"}))
    path = os.pathsep.join([str(folder / "site"), str(Path(__file__).parents[1])])

    def run(*words):
        command = [sys.executable, "-m", "laser_cli", *map(str, words)]
        env = {**os.environ, "PYTHONPATH": path}
        return subprocess.run(command, capture_output=True, text=True, env=env, cwd=folder, check=False, timeout=900)

    run.folder = folder
    return run


def test_a_picture_is_drawn_by_three_plugins(laser):
    done = laser("animate", COTTAGE, "night falls", "--planner", "tiny", "--model", "model", *SMALL, "-o", "a.gif")
    assert (done.returncode, done.stdout) == (0, "a.gif\n"), done.stderr
    assert "tiny was here" in done.stderr
    assert "warning: the backbone absent of tiny-plugins 1.5 is broken and skipped: AttributeError" in done.stderr
    record = json.loads(laser("show", "a.gif", "--json").stdout)
    assert record["model"]["id"] == "model" and record["settings"]["plan"]["segments"][0]["control"] == "keep"
    assert record["settings"]["plan"]["planner"]["name"] == "tiny"


def test_broken_planners_are_named_and_skipped(laser):
    done = laser("plan", "night falls", "-p", "a house at noon")
    assert done.returncode == 0 and "name: rules" in done.stdout
    said = [line for line in done.stderr.splitlines() if line.startswith("warning:")]
    assert [line.split(": ", 2)[1] for line in said] == [
        f"the planner {name} of tiny-plugins 1.5 is broken and skipped" for name in ("missing", "upset")
    ]
    assert "no claims today" in said[1] and "tiny_plugins_that_are_not_there" in said[0]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("plan", "night falls", "--planner", "missing"), "the planner missing of tiny-plugins 1.5 is broken"),
        (("plan", "night falls", "--planner", "nobody"), "there is no planner 'nobody'"),
        (
            ("animate", *WORDS, "--control", "empty", "-o", "b.gif"),
            "the control empty of tiny-plugins 1.5 is broken",
        ),
        (("animate", *WORDS, "--model", "other", "-o", "b.gif"), "laser cannot draw with other"),
    ],
)
def test_a_plugin_that_is_asked_for_and_broken_is_an_error(laser, words, told):
    done = laser(*words)
    assert (done.returncode, done.stdout) == (3, "") and told in done.stderr
    assert not (laser.folder / "b.gif").exists()


def test_doctor_lists_them(laser):
    done = laser("doctor", "--json")
    checks = {(check["name"], check["value"].split(" of ")[0]): check for check in json.loads(done.stdout)["checks"]}
    assert checks["tiny", "planner"]["ok"] and checks["tiny", "backbone"]["ok"] and checks["keep", "control"]["ok"]
    assert not checks["absent", "backbone"]["ok"] and "tiny-plugins 1.5" in checks["absent", "backbone"]["value"]
