"""Options come from the fields of the settings: names, limits, help; the list of commands from their own words."""

import os
import re
import subprocess
import sys
from importlib import import_module
from typing import Annotated, Literal

import pytest
import typer

from laser_cli.cli.main import COMMANDS
from laser_cli.cli.options import expand
from laser_cli.engine.workers import WAITING
from laser_cli.errors import UsageError
from laser_cli.jobs.fields import Settings, setting
from laser_cli.jobs.merge import Layer
from laser_cli.jobs.outputs import Outputs
from laser_cli.jobs.settings import AnimateSettings, InterpolateSettings, InvertSettings
from laser_cli.jobs.sources import AnimateSources, InterpolateSources


def command(name):
    """A command as Typer holds it once its module has registered it."""
    app = typer.Typer()
    app.callback()(lambda: None)
    import_module(f"laser_cli.cli.{name}").register(app)
    return typer.main.get_group(app).commands[name]


@pytest.mark.parametrize("name", COMMANDS)
def test_the_list_of_commands_says_of_each_what_it_says_itself(name):
    assert COMMANDS[name] == command(name).help.splitlines()[0]


@pytest.mark.parametrize(
    ("name", "models"),
    [
        ("animate", (AnimateSettings, AnimateSources, Outputs)),
        ("interpolate", (InterpolateSettings, InterpolateSources, Outputs)),
        ("invert", (InvertSettings,)),
    ],
)
def test_every_field_is_an_option_with_its_limits_and_a_help(laser, monkeypatch, name, models):
    monkeypatch.setenv("COLUMNS", "1000")
    code, told, _ = laser(name, "--help")
    assert code == 0 and "{default}" not in told
    lines = [line for line in told.splitlines() if "--" in line]
    for model in models:
        for key, field in model.model_fields.items():
            flag = (field.json_schema_extra["names"] or [f"--{key.replace('_', '-')}"])[0].split("/")[0]
            (line,) = [line for line in lines if re.match(rf"│[ *]*{flag}[ ,]", line)]
            limits = {type(limit).__name__: limit for limit in field.metadata}
            if "Ge" in limits and not field.json_schema_extra["metavar"]:
                least = limits["Ge"].ge
                assert (f"{least}<=x<={limits['Le'].le}" if "Le" in limits else f"[x>={least}]") in line
            assert field.description.split("{")[0].split(".")[0] in line


def options_of(name, command):
    """Every option of a command and of those within it, with the command's name.

    Those of `laser bench --all` are left out: they are for that one call, and mean nothing to the benchmarks.
    """
    for parameter in command.params if name != "bench" else ():
        if parameter.param_type_name == "option" and parameter.name != "help":
            yield name, parameter
    for inner, each in getattr(command, "commands", {}).items():
        yield from options_of(f"{name} {inner}", each)


def test_every_option_has_a_variable_that_means_the_same_everywhere():
    seen: dict[str, set[bool]] = {}
    for name in COMMANDS:
        for where, parameter in options_of(name, command(name)):
            long = next(text for text in parameter.opts if text.startswith("--"))
            if parameter.multiple:  # read line by line, as Typer would cut it at blanks
                continue
            assert parameter.envvar, (where, long)
            assert re.fullmatch(r"LASER_[A-Z_]+", parameter.envvar)
            seen.setdefault(parameter.envvar, set()).add(parameter.is_flag)
    assert {"LASER_STEPS", "LASER_OUTPUT", "LASER_FROM", "LASER_TRACK_FROM", "LASER_JSON"} < set(seen)
    assert not [variable for variable, kinds in seen.items() if len(kinds) > 1]


class Draft(Settings):
    """A new kind of settings, as another verb would bring it."""

    depth: int = setting(3, "Drawing", "How deep. (default: {default})", ge=1, le=9)
    mood: Literal["calm", "wild"] = setting("calm", "Drawing", "How it feels.", "--mood", "-m")
    quick: bool = setting(False, None, "In a hurry.")
    weight: float = setting(1.0, None, "How heavy.")
    of: tuple[str, ...] = setting((), None, "What it is made of.", "--of")


def test_a_new_field_is_an_option_without_another_line(capsys):
    got = []

    @expand
    def sketch(given: Annotated[Layer, Draft], name: str = "x") -> None:
        got.append((dict(given.values), name))

    @expand
    def etch(draft: Draft) -> None:
        got.append(draft)

    app = typer.Typer(pretty_exceptions_enable=False)
    app.command()(sketch)
    app.command()(etch)
    app(["sketch", "--depth", "4", "--no-quick", "--name", "y"], standalone_mode=False)
    app(["sketch"], standalone_mode=False)
    app(["etch", "-m", "wild", "--of", "a", "--of", "b"], standalone_mode=False)
    assert got == [({"depth": 4, "quick": False}, "y"), ({}, "x"), Draft(mood="wild", of=("a", "b"))]
    with pytest.raises(UsageError, match="the command line: weight cannot be nan"):
        app(["etch", "--weight", "nan"], standalone_mode=False)
    with pytest.raises(SystemExit):
        app(["etch", "--depth", "10"])
    assert "--depth" in capsys.readouterr().err


def run(code, *arguments, **environment):
    clean = {key: value for key, value in os.environ.items() if key not in (*WAITING, "OMP_NUM_THREADS")}
    command = [sys.executable, "-c", code, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, env={**clean, **environment}, check=False)
    return done.stdout.strip() or done.stderr


def test_threads_that_wait_sleep_unless_the_user_says_otherwise():
    code = f"""
import os
from laser_cli.cli.main import run
run(lambda **_: print([os.environ[name] for name in {list(WAITING)}]))
"""
    assert run(code) == str(list(WAITING.values()))
    assert run(code, OMP_WAIT_POLICY="ACTIVE") == str(["ACTIVE", *list(WAITING.values())[1:]])


def test_threads_are_as_many_as_asked_for(tmp_path):
    code = """
from laser_cli.cli import main
from laser_cli.jobs import run

drawing = run.run
run.run = lambda job, model, *rest: print(model.workers.count) or drawing(job, model, *rest)
main.exit_code(main.app)
"""
    out = tmp_path / "a.safetensors"
    picture = import_module("laser_cli.presets_dir").presets_folder() / "storybook" / "cottage.png"
    words = ("invert", picture, "--steps", 2, "--size", 32, "-o", out, "-q")
    assert run(code, *words, "--threads", 3) == f"3\n{out}"
    assert run(code, *words, LASER_THREADS="2") == f"2\n{out}"
    assert "--threads" in run(code, *words, "--threads", 0)


def test_planners_compute_with_those_threads_too():
    code = """
from laser_cli.cli import main
from laser_cli.plan import planners
from laser_cli.plan.llm.backends.generate import usable_threads

planning = planners.make_plan
planners.make_plan = lambda *words, **more: print(usable_threads()) or planning(*words, **more)
main.exit_code(main.app)
"""
    words = ("plan", "night falls", "-p", "a house", "-q", "--no-waypoints", "--json")
    assert run(code, *words, "--threads", 3).startswith("3\n{")
    assert run(code, *words, LASER_THREADS="2", OMP_NUM_THREADS="1").startswith("2\n{")
    assert run(code, *words, OMP_NUM_THREADS="1").startswith("1\n{")
