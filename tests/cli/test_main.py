"""Exit codes and what is printed, through real processes: in-process runners hide what a shell would see."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from subprocess import PIPE

import pytest

TEST_APP = """
import os, sys, time, pathlib
import typer
from laser_cli import errors
from laser_cli.cli.main import run
from laser_cli.output.atomic import staged

app = typer.Typer(pretty_exceptions_enable=False)

class OutOfMemoryError(RuntimeError):
    pass

@app.command()
def go(how: str, number: int = 0):
    if how == "exit":
        raise typer.Exit(number)
    if how == "laser":
        raise errors.BadInputError("bad picture", why="it is cut short", hint="another one")
    if how == "memory":
        raise MemoryError()
    if how == "cuda":
        raise OutOfMemoryError("CUDA out of memory. Tried to allocate")
    if how == "cpu":
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate")
    if how == "bug":
        raise ValueError("strange\\nthings")
    if how == "lines":
        for _ in range(100_000):
            print("line")
    if how == "wait":
        with staged(pathlib.Path("out.txt")) as path:
            path.write_text("half")
            print("ready", flush=True)
            time.sleep(900)

run(app)
"""


# a checkout that is not installed is tested too, from any folder
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}


def call(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", TEST_APP, *arguments]
    env = {**ENVIRONMENT, **environment}
    return subprocess.run(command, capture_output=True, text=True, env=env, check=False, timeout=900)


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["exit"], 0, ""),
        (["exit", "--number", "6"], 6, ""),
        (["fine"], 0, ""),
        (["laser"], 5, "error: bad picture\n  why: it is cut short\n  try: another one\n"),
        (["memory"], 4, "error: out of memory"),
        (["cuda"], 4, "why: CUDA out of memory"),
        (["cpu"], 4, "error: out of memory"),
        (["bug"], 1, "error: unexpected ValueError: strange (LASER_DEBUG=1 shows the traceback)\n"),
        (["exit", "--number", "many"], 2, "--number"),
        (["exit", "--wrong"], 2, "Usage: laser"),
        ([], 2, "Missing argument"),
    ],
)
def test_every_end_has_its_exit_code_and_stdout_stays_empty(arguments, code, told):
    done = call(*arguments)
    assert (done.returncode, done.stdout) == (code, "")
    assert told in done.stderr
    assert "Traceback" not in done.stderr


def test_traceback_only_on_request():
    assert "Traceback" in call("bug", LASER_DEBUG="1").stderr
    assert "Traceback" in call("laser", LASER_DEBUG="1").stderr


@pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_signals_clean_up_and_leave_nothing(tmp_path, number, code):
    command = [sys.executable, "-c", TEST_APP, "wait"]
    with subprocess.Popen(command, cwd=tmp_path, env=ENVIRONMENT, stdout=PIPE, stderr=PIPE) as process:
        assert process.stdout.readline().strip() == b"ready"
        process.send_signal(number)
        _, told = process.communicate(timeout=900)
    assert process.returncode == code
    assert b"Traceback" not in told
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.name == "nt", reason="POSIX pipes")
def test_a_reader_that_leaves_early_is_not_answered_with_a_traceback():
    command = [sys.executable, "-c", TEST_APP, "lines"]
    with subprocess.Popen(command, env=ENVIRONMENT, stdout=PIPE, stderr=PIPE) as process:
        process.stdout.readline()
        process.stdout.close()
        told = process.stderr.read()
    assert (process.returncode, told) == (1, b"")


def laser(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "laser_cli", *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=ENVIRONMENT, check=False, timeout=900)


def test_help_and_version_are_results():
    shown = laser("--help")
    assert (shown.returncode, shown.stderr) == (0, "")
    assert "Usage: laser" in shown.stdout
    version = laser("--version")
    assert (version.returncode, version.stdout.split()[0]) == (0, "laser")


def test_an_unknown_command_is_a_usage_error():
    done = laser("no-such-command")
    assert (done.returncode, done.stdout) == (2, "")


def test_help_imports_nothing_heavy():
    script = (
        "import sys; sys.argv = ['laser', '--help']; from laser_cli.cli.main import app, exit_code; exit_code(app);"
        "heavy = {'torch', 'diffusers', 'transformers', 'numpy', 'PIL', 'imageio_ffmpeg', 'pydantic', 'yaml'};"
        "sys.exit(','.join(sorted(heavy & set(sys.modules))))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, env=ENVIRONMENT, check=False, timeout=900
    )
    assert done.stderr.strip() == ""
