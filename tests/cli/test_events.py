"""--progress json: every line of stderr is an event; names, --exec and colours of real runs."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from laser_cli.cli.console import Console
from laser_cli.cli.events import MOST_OFTEN
from laser_cli.presets_dir import presets_folder

COTTAGE = presets_folder() / "storybook" / "cottage.png"
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
FIELDS = {
    "note": {"message"},
    "warning": {"message"},
    "stage": {"name", "evaluations", "seconds"},
    "progress": {"task", "done", "total", "elapsed", "remaining"},
    "written": {"path"},
    "error": {"message", "why", "hint", "exit_code"},
}
"""The schema of output/README.md."""


def laser(*words, cwd, **environment):
    command = [sys.executable, "-m", "laser_cli", *map(str, words)]
    env = {**ENVIRONMENT, **environment}
    return subprocess.run(command, capture_output=True, text=True, env=env, cwd=cwd, check=False, timeout=900)


def events(text):
    told = [json.loads(line) for line in text.splitlines()]
    for event in told:
        assert event["version"] == 1
        assert event.keys() - {"version", "event"} == FIELDS[event["event"]]
    return told


def test_a_run_tells_a_program_everything(tmp_path):
    small = ("--frames", 3, "--steps", 2, "--size", 64, "--no-even-pace", "--seed", 11)
    script = "import sys; print('ran', sys.argv[1:]); sys.exit(7)"
    done = laser(
        *("animate", COTTAGE, "night falls", *small, "-o", "{stem}_{seed:04}-{words}.gif", "--sheet", "-s{steps}.png"),
        *("--progress", "json", "--exec", f'{sys.executable} -c "{script}" {{}} x'),
        cwd=tmp_path,
    )
    names = ["cottage_0011-night-falls.gif", "-s2.png"]
    assert (done.returncode, done.stdout.split()) == (0, names), done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(names)
    told = events(done.stderr)
    assert [event["path"] for event in told if event["event"] == "written"] == names
    drawing = [event for event in told if event["event"] == "progress" and event["task"].startswith("drawing")]
    assert drawing[0]["done"] == 0 and drawing[0]["remaining"] is None
    assert drawing[-1]["done"] == drawing[-1]["total"] > 0
    assert "loading" in [event["name"] for event in told if event["event"] == "stage"]
    ran = [event["message"] for event in told if event["event"] == "note" and event["message"].startswith("ran")]
    assert ran == [f"ran {[names[0], 'x']}", f"ran {[os.path.join('.', names[1]), 'x']}"]
    warned = [event["message"] for event in told if event["event"] == "warning"]
    assert len([message for message in warned if message.endswith("ended with exit code 7")]) == 2


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (("animate", "--no-such-option"), 2, "--no-such-option"),
        (("animate", "a ball", "-o", "{nothing}.mp4"), 2, "there is no field {nothing}"),
        (("show", "none.mp4"), 5, "none.mp4"),
        (("presets", "none"), 3, "none"),
        (("no-such-command",), 2, "no-such-command"),
    ],
)
def test_errors_are_events_too(tmp_path, words, code, told):
    done = laser(*words, cwd=tmp_path, LASER_PROGRESS="json")
    assert (done.returncode, done.stdout) == (code, "")
    (error,) = events(done.stderr)
    assert error["exit_code"] == code and told in error["message"]


def test_events_come_at_once_and_not_too_often(monkeypatch):
    class Stream:
        def __init__(self):
            self.lines, self.flushed = [], 0

        def write(self, text):
            self.lines += [text] if text.strip() else []

        def flush(self):
            self.flushed += 1

    now, stream = [0.0], Stream()
    console = Console(progress="json", stderr=stream, clock=lambda: now[0])
    with console.progress(1000, "drawing") as bar:
        for _ in range(1000):
            now[0] += MOST_OFTEN / 10
            bar.advance()
    told = events("\n".join(stream.lines))
    assert 90 <= len(told) <= 110 and stream.flushed >= len(told)
    assert [event["done"] for event in told] == sorted(event["done"] for event in told)
    assert told[-1]["done"] == 1000 and told[-1]["remaining"] == 0
    console.written([Path("s.png")])
    assert events(stream.lines[-1]) == [{"version": 1, "event": "written", "path": "s.png"}]
    console.note("x")
    assert stream.flushed >= len(stream.lines)
    quiet = Console(progress="json", quiet=True, stderr=stream)
    before = len(stream.lines)
    quiet.note("x"), quiet.warn("y"), quiet.result([], {})
    assert len(stream.lines) == before


def test_a_command_that_cannot_be_run_is_told_before_the_work(tmp_path):
    plan = ("plan", "night falls", "-p", "a house at noon")
    for command, told in (("no-such-program {}", "no program"), ("'", "no command"), (" ", "names no command")):
        done = laser(*plan, "-o", "a.yaml", "--exec", command, cwd=tmp_path)
        assert done.returncode == 2 and told in done.stderr and not list(tmp_path.iterdir())
    assert laser(*plan, "--exec", "cat", cwd=tmp_path).returncode == 2


@pytest.mark.skipif(os.name == "nt", reason="POSIX programs")
def test_what_a_command_prints_is_no_result_and_its_failure_is_told_under_quiet(tmp_path):
    done = laser("plan", "night falls", "-p", "a house", "-o", "{stem}.yaml", "-q", "--exec", "cat", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, "night-falls.yaml\n")
    assert "segments:" in done.stderr
    done = laser("plan", "night falls", "-p", "a house", "-o", "b.yaml", "-q", "--exec", "false {}", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, "b.yaml\n")
    assert done.stderr == "warning: --exec: false b.yaml ended with exit code 1\n"


@pytest.mark.parametrize(
    ("words", "environment", "coloured"),
    [
        ((), {}, False),
        (("--color", "always"), {}, True),
        (("--color=always",), {"NO_COLOR": "1"}, True),
        ((), {"FORCE_COLOR": "1"}, True),
        (("--color", "never"), {"FORCE_COLOR": "1"}, False),
        ((), {"FORCE_COLOR": "1", "LASER_COLOR": "never"}, False),
        ((), {"FORCE_COLOR": "1", "NO_COLOR": "1"}, False),
    ],
)
def test_colour_is_as_asked_in_errors_and_help(tmp_path, words, environment, coloured):
    done = laser("presets", "none", *words, cwd=tmp_path, **environment)
    assert done.returncode == 3 and ("\x1b[1;31merror:" in done.stderr) is coloured
    if "NO_COLOR" not in environment:
        assert ("\x1b[" in laser("presets", "--help", *words, cwd=tmp_path, **environment).stdout) is coloured


def test_version_says_all_that_an_issue_needs(tmp_path):
    assert len(laser("--version", cwd=tmp_path).stdout.split()) == 2
    told = laser("--version", "-v", cwd=tmp_path).stdout
    for what in ("laser", "python", "torch", "diffusers", "device", ".mp4", ".gif"):
        assert any(line.split()[1] == what for line in told.splitlines()[1:]), told
    assert laser("-v", cwd=tmp_path).returncode == 2
