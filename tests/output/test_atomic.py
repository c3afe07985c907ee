import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from laser_cli.errors import BadInputError, LaserError, UsageError
from laser_cli.output.atomic import staged, staged_dir
from laser_cli.output.frames import write_png

posix = pytest.mark.skipif(os.name == "nt", reason="POSIX files and signals")


def test_appears_only_at_the_end_under_its_own_name(tmp_path):
    target = tmp_path / "out.mp4"
    with staged(target) as path:
        path.write_text("new")
        assert path.name == target.name
        assert not target.exists()
    assert target.read_text() == "new"
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize("old", [None, "old"])
@pytest.mark.parametrize("kind", [ValueError, KeyboardInterrupt])
def test_an_exception_leaves_what_was_there(tmp_path, old, kind):
    target = tmp_path / "out.txt"
    if old:
        target.write_text(old)
    with pytest.raises(kind), staged(target) as path:
        path.write_text("half")
        raise kind
    assert [file.read_text() for file in tmp_path.iterdir()] == ([old] if old else [])


def test_forgetting_to_write_is_an_error(tmp_path):
    for forget in (lambda path: None, lambda path: path.touch()):
        with pytest.raises(LaserError, match="was not written"), staged(tmp_path / "out.txt") as path:
            forget(path)
    assert list(tmp_path.iterdir()) == []


def test_a_missing_folder_is_not_made_but_told(tmp_path):
    with pytest.raises(BadInputError) as told, staged(tmp_path / "no" / "out.mp4"):
        pass
    assert "mkdir -p" in told.value.hint


@posix
@pytest.mark.skipif(hasattr(os, "geteuid") and os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_permission_is_told(tmp_path):
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(BadInputError, match="cannot write"), staged(tmp_path / "out.mp4"):
            pass
    finally:
        tmp_path.chmod(0o700)


@posix
def test_devices_and_folders_are_not_replaced(tmp_path):
    for target in (Path(os.devnull), tmp_path):
        with pytest.raises(UsageError), staged(target):
            pass
    with pytest.raises(UsageError), staged_dir(Path(os.devnull)):
        pass


@posix
def test_the_mode_is_that_of_an_ordinary_file(tmp_path):
    old = os.umask(0o027)
    try:
        with staged(tmp_path / "a") as path:
            path.write_text("x")
        with staged_dir(tmp_path / "b") as folder:
            (folder / "c").write_text("x")
    finally:
        os.umask(old)
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o640
    assert (tmp_path / "b").stat().st_mode & 0o777 == 0o750


@posix
def test_a_link_stays_a_link(tmp_path):
    (tmp_path / "far").mkdir()
    (tmp_path / "near.txt").symlink_to(tmp_path / "far" / "real.txt")
    with staged(tmp_path / "near.txt") as path:
        path.write_text("x")
    assert (tmp_path / "near.txt").is_symlink()
    assert (tmp_path / "far" / "real.txt").read_text() == "x"


@posix
def test_a_killed_process_leaves_no_target(tmp_path):
    script = (
        "import os, signal, pathlib; from laser_cli.output.atomic import staged\n"
        f"with staged(pathlib.Path({str(tmp_path / 'out.mp4')!r})) as path:\n"
        "    path.write_text('half'); os.kill(os.getpid(), signal.SIGKILL)"
    )
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", script], cwd=root, check=False, timeout=60)
    assert done.returncode == -signal.SIGKILL
    assert not (tmp_path / "out.mp4").exists()


def frames_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def write_run(folder: Path, count: int, smooth) -> None:
    with staged_dir(folder) as made:
        for index in range(count):
            write_png(made / f"frame_{index:04}.png", smooth(index), {"program": "laser"})


def test_a_shorter_run_removes_the_frames_of_a_longer_one_and_nothing_else(tmp_path, smooth):
    folder = tmp_path / "frames"
    write_run(folder, 5, smooth)
    (folder / "notes.txt").write_text("mine")
    write_png(folder / "frame_0009.png", smooth(), None)  # another program's
    write_run(folder, 2, smooth)
    assert frames_in(folder) == ["frame_0000.png", "frame_0001.png", "frame_0009.png", "notes.txt"]
    assert frames_in(tmp_path) == ["frames"]


@pytest.mark.parametrize("exists", [False, True])
def test_a_failed_run_changes_no_folder(tmp_path, smooth, exists):
    folder = tmp_path / "frames"
    if exists:
        write_run(folder, 3, smooth)
    before = {path.name: path.read_bytes() for path in folder.iterdir()} if exists else None
    with pytest.raises(RuntimeError), staged_dir(folder) as made:
        write_png(made / "frame_0000.png", smooth(9), {"program": "laser"})
        raise RuntimeError
    after = {path.name: path.read_bytes() for path in folder.iterdir()} if folder.exists() else None
    assert after == before
    assert frames_in(tmp_path) == (["frames"] if exists else [])
