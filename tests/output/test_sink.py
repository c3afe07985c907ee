import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from laser_cli.errors import LaserError, UsageError
from laser_cli.output import sink as sink_module
from laser_cli.output.frames import read_picture
from laser_cli.output.look import Look
from laser_cli.output.record import make_record, read_record
from laser_cli.output.sink import open_sinks

RECORD = make_record("animate", {}, prompt="a fox", seed=1)
LOOK = Look(fps=10)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def outputs(folder: Path) -> tuple[Path, Path, Path]:
    return folder / "a.gif", folder / "frames", folder / "sheet.png"


def test_all_outputs_are_written_with_the_record_and_nothing_else(tmp_path, smooth):
    with open_sinks(*outputs(tmp_path), size=(64, 48), look=LOOK, count=5, record=RECORD, labels={0: "fox"}) as sink:
        for index in range(5):
            sink.add(index, smooth(index))
            assert all(name.startswith(".") for name in names(tmp_path))
    assert names(tmp_path) == ["a.gif", "frames", "sheet.png"]
    assert names(tmp_path / "frames") == [f"frame_{index:04}.png" for index in range(5)]
    assert np.array_equal(read_picture(tmp_path / "frames" / "frame_0003.png"), smooth(3))
    for path in (tmp_path / "a.gif", tmp_path / "sheet.png", tmp_path / "frames" / "frame_0004.png"):
        assert read_record(path) == RECORD
    assert sink.paths == list(outputs(tmp_path))


@pytest.mark.parametrize("only", range(3))
def test_each_output_can_stand_alone(tmp_path, smooth, only):
    chosen = [path if place == only else None for place, path in enumerate(outputs(tmp_path))]
    with open_sinks(*chosen, size=(64, 48), look=LOOK, count=1, record=RECORD) as sink:
        sink.add(0, smooth())
    assert sink.paths == [chosen[only]] and len(names(tmp_path)) == 1


@pytest.mark.parametrize(("still", "shown"), [(-1, 4), (0, 0), (3, 3), (-5, 0)])
def test_a_png_is_the_one_frame_that_is_asked_for(tmp_path, smooth, still, shown):
    look = Look(fps=240, bounce=True, hold_first=1, loop=3, still=still)
    with open_sinks(tmp_path / "a.png", size=(64, 48), look=look, count=5, record=RECORD) as sink:
        for index in range(5):
            sink.add(index, smooth(index))
            assert all(name.startswith(".") for name in names(tmp_path))
    assert names(tmp_path) == ["a.png"] and sink.paths == [tmp_path / "a.png"]
    assert np.array_equal(read_picture(tmp_path / "a.png"), smooth(shown))
    assert read_record(tmp_path / "a.png") == RECORD


@pytest.mark.parametrize("still", [5, -6])
def test_a_frame_that_is_not_there_is_refused_before_the_work(tmp_path, still):
    look = Look(still=still)
    with pytest.raises(UsageError, match="of 5"):
        sink_module.check_sinks(tmp_path / "a.PNG", None, None, look=look, count=5)
    sink_module.check_sinks(tmp_path / "a.apng", None, None, look=look, count=5)


@pytest.mark.parametrize("kind", [RuntimeError, KeyboardInterrupt])
def test_a_failure_leaves_nothing(tmp_path, smooth, kind):
    with pytest.raises(kind), open_sinks(*outputs(tmp_path), size=(64, 48), look=LOOK, count=5, record=RECORD) as sink:
        sink.add(0, smooth())
        raise kind
    assert names(tmp_path) == []


def test_too_few_frames_are_a_failure(tmp_path, smooth):
    with (
        pytest.raises(LaserError, match="only 1 of 5"),
        open_sinks(*outputs(tmp_path), size=(64, 48), look=LOOK, count=5, record=RECORD) as sink,
    ):
        sink.add(0, smooth())
    assert names(tmp_path) == []


def test_a_video_that_fails_at_its_end_keeps_the_sidecars_back(tmp_path, smooth, monkeypatch):
    from laser_cli.output import video

    def fail(*arguments):
        raise LaserError("disk full")

    monkeypatch.setattr(video, "_splice_comment", fail)
    with (
        pytest.raises(LaserError, match="disk full"),
        open_sinks(*outputs(tmp_path), size=(64, 48), look=LOOK, count=1, record=RECORD) as sink,
    ):
        sink.add(0, smooth())
    assert names(tmp_path) == []


def test_the_primary_output_comes_last(tmp_path, smooth, monkeypatch):
    from laser_cli.output import atomic

    placed = []
    replace = os.replace
    monkeypatch.setattr(atomic.os, "replace", lambda made, to: (placed.append(Path(to)), replace(made, to)))
    with open_sinks(*outputs(tmp_path), size=(64, 48), look=LOOK, count=1, record=RECORD) as sink:
        sink.add(0, smooth())
    video, frames, sheet = outputs(tmp_path)
    assert [path for path in placed if path in (video, frames, sheet)] == [frames, sheet, video]


@pytest.mark.parametrize("order", [[1], [0, 0], [0, 2], [0, 1, 2]])
def test_frames_come_once_and_in_order(tmp_path, smooth, order):
    with (
        pytest.raises(ValueError, match="was due"),
        open_sinks(tmp_path / "a.gif", size=(64, 48), look=LOOK, count=2, record=RECORD) as sink,
    ):
        for index in order:
            sink.add(index, smooth(index))


@pytest.mark.parametrize(
    "chosen", [("a.avi", None, None), ("a.mp4", None, "b.jpg"), ("a.mp4", "a.mp4", None), (None, None, None, "r.pdf")]
)
def test_impossible_outputs_are_refused_before_the_work(tmp_path, chosen):
    paths = [tmp_path / name if name else None for name in chosen]
    with pytest.raises(UsageError):
        sink_module.check_sinks(*paths[:3], look=LOOK, count=1, report=paths[3] if paths[3:] else None)
    assert names(tmp_path) == []


@pytest.mark.slow
def test_memory_does_not_grow_with_the_number_of_frames(tmp_path):
    script = """
import resource, sys, pathlib, numpy as np
from laser_cli.output.look import Look
from laser_cli.output.sink import open_sinks
LOOK = Look(fps=10, bounce=True)
folder, count = pathlib.Path(sys.argv[1]), int(sys.argv[2])
frame = np.random.default_rng(0).integers(0, 255, (256, 256, 3), dtype=np.uint8)
with open_sinks(folder / "a.gif", None, folder / "s.png", size=(256, 256), look=LOOK, count=count, record={}) as sink:
    for index in range(count):
        sink.add(index, frame)
own, children = (resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
print(own, children)
"""

    def peak(count: int) -> list[int]:
        command = [sys.executable, "-c", script, str(tmp_path), str(count)]
        root = Path(__file__).parents[2]
        done = subprocess.run(command, capture_output=True, text=True, cwd=root, check=True, timeout=900)
        return [int(number) for number in done.stdout.split()]

    pytest.importorskip("resource")
    for few, many in zip(peak(50), peak(400), strict=True):
        assert many < 1.1 * few


@pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_in_the_middle_leaves_nothing(tmp_path, number):
    script = """
import os, pathlib, sys
import numpy as np
from laser_cli.cli.main import run
from laser_cli.output.look import Look
from laser_cli.output.sink import open_sinks
LOOK = Look(fps=10)

def render(prog_name):
    outputs = [pathlib.Path(name) for name in ("a.mp4", "f", "s.png")]
    with open_sinks(*outputs, size=(64, 48), look=LOOK, count=10**9, record={}) as sink:
        for index in range(10**9):
            sink.add(index, np.zeros((48, 64, 3), np.uint8))
            if index == 20:
                os.kill(os.getpid(), int(sys.argv[1]))

run(render)
"""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    command = [sys.executable, "-c", script, str(int(number))]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, check=False, timeout=900)
    assert (done.returncode, done.stdout, done.stderr) == (128 + number, b"", b"")
    assert names(tmp_path) == []


@pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
def test_kill_9_leaves_no_target(tmp_path):
    script = """
import os, pathlib, signal
import numpy as np
from laser_cli.output.look import Look
from laser_cli.output.sink import open_sinks
*outputs, page = [pathlib.Path(name) for name in ("a.webp", "f", "s.png", "r.html")]
with open_sinks(*outputs, size=(64, 48), look=Look(bounce=True), count=4, record={}, report=page) as sink:
    for index in range(4):
        sink.add(index, np.zeros((48, 64, 3), np.uint8))
    os.kill(os.getpid(), signal.SIGKILL)
"""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    (tmp_path / "a.webp").write_text("older")
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, env=environment, check=False, timeout=900)
    assert done.returncode == -signal.SIGKILL
    assert [name for name in names(tmp_path) if not name.startswith(".")] == ["a.webp"]
    assert (tmp_path / "a.webp").read_text() == "older"


def test_side_outputs_show_each_frame_once(tmp_path, smooth):
    look, outputs = (
        Look(fps=10, bounce=True, hold_last=1, loop=2),
        (tmp_path / "a.mp4", tmp_path / "f", tmp_path / "s.png"),
    )
    with open_sinks(*outputs, size=(64, 48), look=look, count=4, record=RECORD, report=tmp_path / "r.html") as sink:
        for index in range(4):
            sink.add(index, smooth(index))
    assert names(tmp_path / "f") == [f"frame_{index:04}.png" for index in range(4)]
    assert sink.paths == [*outputs, tmp_path / "r.html"]
    assert read_record(tmp_path / "r.html") == RECORD
