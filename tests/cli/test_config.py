"""The settings file, variables, and `laser config`: what is in force and from where."""

import json
from pathlib import Path

import pytest

RECORDS = Path(__file__).parents[1] / "jobs" / "records"
PLAN = """version: 1
source: a red house in a meadow
segments: [{prompt: a blue house in a meadow, frames: 9}]
"""


@pytest.fixture
def config(tmp_path, monkeypatch):
    """Writes the settings file that commands then find."""
    monkeypatch.delenv("LASER_NO_CONFIG")
    file = tmp_path / "mine.yaml"

    def write(text):
        file.write_text(text)
        monkeypatch.setenv("LASER_CONFIG", str(file))
        return file

    return write


def in_force(laser, *words):
    """What `laser config` says: key to (value, source)."""
    code, told, err = laser("config", *words, "--json")
    assert code == 0, err
    return {each["key"]: (each["value"], each["source"]) for each in json.loads(told)["settings"]}


def test_every_source_overrides_the_one_before(laser, config, tmp_path, monkeypatch):
    (tmp_path / "plan.yaml").write_text(PLAN)
    (tmp_path / "preset.yaml").write_text("steps: 6\nguidance: 2.5\nfps: 9\nframes: 7\nquality: 60\n")
    config("description: mine\nsteps: 5\nfps: 8\nbounce: true\nplanner: rules\nthreads: 1\nquality: 50\n")
    monkeypatch.setenv("LASER_FPS", "10")
    words = ("animate", "--preset", tmp_path / "preset.yaml", "--plan", tmp_path / "plan.yaml", "--guidance", 4)
    told = in_force(laser, *words)
    assert told["chunk"] == (12, "default")
    assert told["bounce"] == (True, "config") and told["planner"] == ("rules", "config")
    assert told["threads"] == (1, "config")
    assert told["steps"] == (6, "preset") and told["quality"] == (60, "preset")
    assert told["frames"] == (9, "plan")
    assert told["fps"] == (10.0, "variable")
    assert told["guidance"] == (4.0, "flag")
    # an option on the command line beats its variable
    assert in_force(laser, *words, "--fps", 11)["fps"] == (11.0, "flag")


def test_a_model_asks_beneath_the_settings_file(laser, config):
    assert in_force(laser, "--no-config")["guidance"][1] == "model"
    config("guidance: 7\n")
    assert in_force(laser)["guidance"] == (7, "config")


def test_people_are_told_the_file_and_lines(laser, config, monkeypatch):
    file = config("# mine\nsteps: 5\n")
    monkeypatch.setenv("LASER_SEED", "3")
    code, told, err = laser("config")
    assert code == 0 and f"settings file: {file}" in err
    lines = {line.split()[0]: line for line in told.splitlines()}
    assert f"config ({file}, line 2)" in lines["steps"] and "variable (LASER_SEED)" in lines["seed"]


def test_a_run_that_is_repeated_is_as_it_was_whatever_the_file_says(laser, config, monkeypatch, tmp_path):
    from laser_cli.jobs import rerun

    record = json.loads((RECORDS / "animate-0.1.0.json").read_text())
    monkeypatch.setattr(rerun, "read_record", lambda file: record)
    config("steps: 2\nfit: pad\nquality: 1\nlora: [x.safetensors]\nquiet: true\n")
    told = in_force(laser, "animate", "--from", tmp_path / "out.mp4", "--fps", 5)
    assert told["steps"] == (record["settings"]["steps"], "record") and told["fps"] == (5.0, "flag")
    assert told["fit"] == ("crop", "default") and told["lora"][0] == []
    assert told["quiet"] == (True, "config")


@pytest.mark.parametrize("command", ["interpolate", "invert", "plan", "track", "doctor", "presets", "show"])
def test_every_command_can_be_asked_about(laser, command):
    told = in_force(laser, command)
    assert told["quiet"] == (False, "default")


def test_what_laser_config_cannot_show_is_a_usage_error(laser):
    for words in (("nothing",), ("bench",), ("animate", "--steps", "x"), ("animate", "--no-such-option")):
        code, told, err = laser("config", *words)
        assert (code, told) == (2, "") and err


def test_the_file_is_beneath_every_command(laser, config, tmp_path):
    config("frames: 5\neasing: linear\nquiet: true\nwaypoints: false\n")
    out = tmp_path / "plan.json"
    code, told, err = laser("plan", "night falls", "-p", "a house at noon", "-o", out)
    assert (code, told, err) == (0, f"{out}\n", "")
    made = json.loads(out.read_text())
    assert [(part["frames"], part["easing"]) for part in made["segments"]] == [(5, "linear")]
    code, told, _ = laser("plan", "night falls", "-p", "a house at noon", "-o", out, "--no-config")
    assert code == 0 and sum(part["frames"] - 1 for part in json.loads(out.read_text())["segments"]) == 23


def test_a_batch_begins_with_it_too(laser, config, tmp_path, monkeypatch):
    jobs = tmp_path / "jobs.jsonl"
    jobs.write_text('{"description": "it turns blue", "prompt": "a red house at noon", "even_pace": false, "chunk": 2}')
    presets = tmp_path / "own.yaml"
    presets.write_text("frames: 6")

    def evaluations(*words):
        code, told, err = laser("batch", jobs, "--dry-run", "--json", *words)
        assert code == 0, err
        return json.loads(told)["evaluations"]

    config("steps: 2\nframes: 4\n")
    few = evaluations()
    assert evaluations("--preset", presets) > few  # a preset overrides the file
    monkeypatch.setenv("LASER_STEPS", "4")
    assert evaluations() == 2 * few
    assert evaluations("--set", "steps=2") == few
    assert evaluations("--no-config") > 2 * few


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("stepz: 3\n", "line 1: unknown key 'stepz'"),
        ("steps: 3\nplaner: rules\n", "did you mean 'planner'?"),
        ("steps: many\n", "line 1: steps cannot be 'many'"),
        ("# it\nthreads: 0\n", "line 2: threads cannot be 0"),
        ("quiet:\n", "quiet cannot be None"),
        ("json_: true\n", "unknown key 'json_'"),
        ("out: a.mp4\n", "unknown key 'out'"),
        ("[]\n", "is not a settings file"),
        ("a: [\n", "line 2"),
    ],
)
def test_a_wrong_file_is_named_with_its_line(laser, config, text, told):
    file = config(text)
    code, out, err = laser("presets")
    assert (code, out) == (5, "") and told in err and str(file) in err
    assert laser("presets", "--no-config")[0] == 0


def test_a_file_that_is_named_has_to_be_there(laser, config, tmp_path, monkeypatch):
    monkeypatch.setenv("LASER_CONFIG", str(tmp_path / "none.yaml"))
    assert laser("presets")[0] == 3
    assert laser("presets", "--no-config")[0] == 0
    monkeypatch.delenv("LASER_CONFIG")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    assert laser("presets")[0] == 0  # nobody has to have one


def test_a_wrong_variable_is_named(laser, monkeypatch):
    monkeypatch.setenv("LASER_FPS", "1000")
    code, _, err = laser("animate", "a ball", "-o", "x.mp4", "--dry-run")
    assert code == 2 and "LASER_FPS: fps cannot be" in err


def test_a_variable_of_several_values_holds_one_a_line(laser, monkeypatch):
    monkeypatch.setenv("LASER_LORA", "a file.safetensors:0.5\n\nother.safetensors\n")
    monkeypatch.setenv("LASER_IMAGE_PROMPT", "a b.png")
    told = in_force(laser, "interpolate")
    assert told["lora"] == (["a file.safetensors:0.5", "other.safetensors"], "variable")
    assert told["image_prompt"] == (["a b.png"], "variable")
    assert in_force(laser, "interpolate", "--lora", "one")["lora"] == (["one"], "flag")
