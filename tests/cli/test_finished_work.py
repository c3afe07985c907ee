"""Finished work is never reported as failed, nor lost, for a side matter; what must fail is told before the work."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from laser_cli.output.record import read_record
from laser_cli.presets_dir import presets_folder
from laser_cli.storybook.look import SHIPPED

COTTAGE = presets_folder() / "storybook" / "cottage.png"
QUICK = ["--steps", "2", "--frames", "2", "--no-even-pace", "--prompt", "a red house in a meadow at noon"]
posix = pytest.mark.skipif(os.name == "nt", reason="descriptors and users of POSIX")
ROOT = Path(__file__).parents[2]


@pytest.fixture
def here(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    shutil.copy(COTTAGE, "photo.png")
    return tmp_path


def shell(line: str, **environment: str | None) -> subprocess.CompletedProcess[bytes]:
    """Run a line of a shell in which $LASER is the command."""
    env = {**os.environ, "PYTHONPATH": str(ROOT), "LASER": f"{sys.executable} -m laser_cli", **environment}
    env = {key: value for key, value in env.items() if value is not None}
    return subprocess.run(["sh", "-c", line], capture_output=True, check=False, timeout=900, env=env)


@posix
@pytest.mark.parametrize(
    ("line", "environment"),
    [
        ("$LASER animate photo.png 'night falls' -o out.mp4 {} >&-", {}),
        ("$LASER animate photo.png 'night falls' -o caf\u00e9.mp4 {}", {"PYTHONIOENCODING": "ascii"}),
        ("$LASER animate photo.png 'night falls' -o out.mp4 {} >/dev/full", {}),
        ("$LASER animate photo.png 'night falls' -o out.mp4 {} 2>/dev/full", {}),
        ("$LASER animate photo.png 'night falls' -o out.mp4 {} <&- 2>&-", {}),
        ("$LASER animate photo.png 'night falls' -o out.mp4 {} --json", {"LASER_CACHE": "/dev/null/x"}),
    ],
)
def test_the_run_ends_well_whatever_becomes_of_what_it_prints(here, line, environment):
    done = shell(line.format(" ".join(f"'{word}'" for word in QUICK)), **environment)
    assert done.returncode == 0, done.stderr
    made = next(path for path in here.iterdir() if path.suffix == ".mp4")
    assert read_record(made)["command"] == "animate"
    if "--json" in line:
        assert json.loads(done.stdout)["paths"] == ["out.mp4"]
    elif line.endswith("{}"):
        assert done.stdout == f"{made.name}\n".encode()


@posix
def test_messages_never_get_into_a_stream_of_frames(here):
    words = " ".join(f"'{word}'" for word in QUICK)
    done = shell(f"$LASER animate photo.png 'night falls' -o - --format rgb24 --sheet s.png {words} 2>&-")
    assert done.returncode == 0 and len(done.stdout) == 2 * 3 * SHIPPED.size**2
    assert (here / "s.png").exists()


@posix
@pytest.mark.parametrize(
    "arguments",
    [
        ["presets"],
        ["models"],
        ["plan", "night falls", "-p", "a house"],
        ["animate", "a ball at night", "--dry-run", *QUICK],
    ],
)
def test_without_any_home(tmp_path, arguments):
    code = (
        "import os, sys; sys.argv = ['laser', *sys.argv[1:]]; os.environ.pop('HOME', None)\n"
        "import pwd; pwd.getpwuid = lambda uid: (_ for _ in ()).throw(KeyError(uid))\n"
        "from laser_cli.cli.main import run; run()"
    )
    hidden = {key: value for key, value in os.environ.items() if not key.startswith(("XDG_", "LASER_", "HF_"))}
    env = {**hidden, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", code, *arguments]
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, check=False, timeout=900)
    assert done.returncode == 0 and "error" not in done.stderr, done.stderr
    assert list(tmp_path.iterdir()) == []


@posix
@pytest.mark.parametrize("suffix", [".mp4", ".webm", ".apng", ".png", ".webp", ".gif"])
def test_a_picture_whose_name_is_no_text(laser, here, suffix):
    name = os.fsdecode(b"caf\xe9.png")
    shutil.copy("photo.png", name)
    more = ["--frames-dir", "d", "--report", "r.html", "--depfile", "o.d"] if suffix == ".gif" else []
    code, _, stderr = laser("animate", name, "night falls", "-o", f"out{suffix}", *more, *QUICK)
    assert code == 0, stderr
    assert read_record(Path(f"out{suffix}"))["settings"]["image"] == name
    if more:
        assert b"caf\xe9.png" in Path("o.d").read_bytes() and "caf\\xe9" in Path("r.html").read_text("utf-8")


@posix
@pytest.mark.parametrize("letter", ["x", "й", "猫"])
@pytest.mark.parametrize("more", [[], ["--resume"]])
def test_names_as_long_as_the_file_system_takes_them(laser, here, letter, more):
    name = letter * (251 // len(letter.encode())) + ".gif"
    assert 239 <= len(name.encode()) <= 255
    code, stdout, stderr = laser("animate", "photo.png", "night falls", "-o", name, *more, *QUICK)
    assert (code, stdout) == (0, f"{name}\n"), stderr
    assert sorted(os.listdir()) == sorted([name, "photo.png"])


@posix
@pytest.mark.parametrize(
    "target", ["/proc/x.gif", "/dev/null/x.gif", "x" * 256 + ".gif", "loop.gif", "photo.png/x.gif"]
)
def test_places_that_cannot_be_written_are_told_before_the_model_loads(laser, here, target):
    if target.startswith("/proc") and not Path("/proc").is_dir():
        pytest.skip("no /proc")
    Path("loop.gif").symlink_to("loop.gif")
    code, stdout, stderr = laser("animate", "photo.png", "night falls", "-o", target, *QUICK)
    assert code == 5 and stdout == "" and "cannot write" in stderr and "model" not in stderr
    assert sorted(os.listdir()) == ["loop.gif", "photo.png"]


@posix
def test_a_preview_and_a_depfile_that_fail_in_the_end_only_warn(laser, here, monkeypatch):
    from laser_cli.jobs import outputs

    def full(*arguments, **options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(outputs, "write_depfile", full)
    monkeypatch.setattr(outputs.Outputs, "show", full)
    more = ["--preview", "p.png", "--depfile", "o.d"]
    code, stdout, stderr = laser("animate", "photo.png", "night falls", "-o", "out.gif", *more, *QUICK)
    assert (code, stdout) == (0, "out.gif\n")
    assert stderr.count("warning: the preview could not be written: No space left") >= 1
    assert "warning: the dependency file could not be written" in stderr


def test_a_depfile_is_not_left_behind_by_a_failure(laser, here, monkeypatch):
    from laser_cli.output import frames, sink

    def broken(*arguments, **options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(sink, "open_video", broken)
    code, _, stderr = laser("animate", "photo.png", "night", "-o", "out.gif", "--depfile", "o.d", *QUICK)
    assert code == 1 and "the disk is full" in stderr and os.listdir() == ["photo.png"]
    assert frames.frame_name(0) == "frame_0000.png"


@posix
@pytest.mark.parametrize(("suffix"), [".mp4", ".webp", ".png"])
def test_a_limit_of_file_sizes_is_told_and_the_old_file_stays(here, suffix):
    words = " ".join(f"'{word}'" for word in [*QUICK, "--size", "256"])
    target = f"out{suffix}"
    done = shell(f"ulimit -f 8; $LASER animate photo.png 'night falls' -o {target} {words}")
    assert done.returncode == 1 and b"unexpected" not in done.stderr, done.stderr
    assert b"larger than allowed" in done.stderr or b"disk" in done.stderr
    assert os.listdir() == ["photo.png"]


@posix
def test_few_descriptors_and_little_memory_are_told(here):
    words = " ".join(f"'{word}'" for word in QUICK)
    done = shell(f"ulimit -n 12; $LASER animate photo.png 'night falls' -o out.mp4 {words}")
    assert done.returncode in (0, 1) and b"ffmpeg is missing" not in done.stderr and b"unexpected" not in done.stderr
    assert done.returncode == 0 or b"too many open files" in done.stderr
    done = shell(f"ulimit -v 700000; $LASER animate photo.png 'night falls' -o out.mp4 {words}")
    assert done.returncode in (0, 4), done.stderr
    assert b"ffmpeg is missing" not in done.stderr and b"primitive" not in done.stderr.split(b"why")[0]
