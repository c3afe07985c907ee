"""`laser plan`: plan text or the written path on stdout, notes on stderr."""

import json
import subprocess
import sys

import pytest

from laser_cli.plan.files import parse_plan, read_plan

APP = """
import typer
from laser_cli.cli.main import run
from laser_cli.cli.plan import register

app = typer.Typer(pretty_exceptions_enable=False)
app.callback()(lambda: None)
register(app)
run(app)
"""


def call(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", APP, "plan", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=900)


def test_plan_text_is_the_result():
    done = call("summer turns to a snowy night", "--source-prompt", "a cottage in a meadow at noon", "--frames", "12")
    assert (done.returncode, done.stderr) == (0, "")
    plan = parse_plan(done.stdout)
    assert plan.total_frames == 12
    assert plan.segments[-1].prompt == "a cottage in a meadow at night in falling snow, covered in snow"


def test_a_description_may_stand_in_a_file(tmp_path):
    (tmp_path / "story.txt").write_text("a cat turns\ninto a dog\n")
    done = call(f"@{tmp_path / 'story.txt'}")
    assert done.returncode == 0 and parse_plan(done.stdout).prompts == ("a cat", "a dog")
    done = call(f"@{tmp_path / 'none.txt'}")
    assert done.returncode == 5 and "none.txt" in done.stderr


@pytest.mark.parametrize("name", ["plan.yaml", "plan.json"])
def test_a_file_is_written_and_named(tmp_path, name):
    done = call("a cat turns into a dog", "--easing", "linear", "-o", str(tmp_path / name))
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{tmp_path / name}\n", "")
    assert read_plan(tmp_path / name).segments[0].easing == "linear"


def test_json_is_one_object():
    told = json.loads(call("a cat turns into a dog", "--json").stdout)
    assert (told["version"], told["plan"]["source"], told["notes"]) == (1, "a cat", [])


def test_notes_go_to_stderr_and_quiet_silences_them():
    assert "did not understand" in call("quux", "--source-prompt", "a dog").stderr
    assert call("quux", "--source-prompt", "a dog", "--quiet").stderr == ""


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["night falls"], 5, "--source-prompt"),
        (["a cat becomes a dog", "--planner", "oracle"], 3, "oracle"),
        (["a cat becomes a dog", "--easing", "bounce"], 2, "bounce"),
        (["a cat becomes a dog", "--frames", "1"], 2, "frames"),
        (["a cat becomes a dog", "-o", "no/such/folder/plan.yaml"], 5, "does not exist"),
    ],
)
def test_failures(arguments, code, told):
    done = call(*arguments)
    assert (done.returncode, done.stdout) == (code, "")
    assert told in done.stderr
