import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from laser_cli.errors import BadInputError, LaserError, UsageError
from laser_cli.output import atomic
from laser_cli.output.atomic import LOCK, staged, staged_dir, sweep
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
    done = subprocess.run([sys.executable, "-c", script], cwd=root, check=False, timeout=900)
    assert done.returncode == -signal.SIGKILL
    assert not (tmp_path / "out.mp4").exists()


KILLED = """
import os, pathlib, signal, sys
from laser_cli.output import atomic
with getattr(atomic, sys.argv[1])(pathlib.Path(sys.argv[2])) as made:
    (made / "frame_0000.png" if sys.argv[1] == "staged_dir" else made).write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def killed(how: str, target: Path) -> None:
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", KILLED, how, str(target)], cwd=root, check=False, timeout=900)
    assert done.returncode == -signal.SIGKILL


@posix
def test_what_a_killed_process_left_goes_with_the_next_run_to_the_same_name_and_nothing_else_does(tmp_path):
    killed("staged", tmp_path / "a.mp4")
    killed("staged", tmp_path / "b.mp4")
    left = {path.name for path in tmp_path.iterdir()}
    assert len(left) == 2
    saved = tmp_path / ".a.mp4.laser-render"
    saved.write_text("a render to go on with")
    (tmp_path / ".a.mp4.laser-mine_too").mkdir()  # named alike, but no process of laser's locked it
    (tmp_path / ".a.mp4.laser-mine_too" / "x").touch()
    (tmp_path / ".a.mp4.laser-born_now").mkdir()  # killed before it had its lock
    with staged(tmp_path / "a.mp4") as path:
        path.write_text("whole")
    (of_b,) = (name for name in left if name.startswith(".b.mp4"))
    expected = [saved.name, ".a.mp4.laser-mine_too", of_b, "a.mp4"]
    assert {path.name for path in tmp_path.iterdir()} == set(expected)


@posix
@pytest.mark.parametrize("exists", [False, True])
def test_a_killed_process_leaves_no_frames_that_the_next_one_does_not_sweep(tmp_path, exists, smooth):
    target = tmp_path / "frames"
    if exists:
        target.mkdir()
    killed("staged_dir", target)
    assert list(tmp_path.rglob(f"*/{LOCK}"))
    target.mkdir(exist_ok=True)  # even if the folder has come in between
    write_run(target, 1, smooth)
    assert frames_in(tmp_path) == ["frames"] and frames_in(target) == ["frame_0000.png"]


@posix
def test_what_a_kill_in_a_saving_left_is_swept_and_the_saved_render_stays(tmp_path):
    saved = tmp_path / ".a.mp4.laser-render"
    saved.write_text("a render to go on with")
    killed("staged", saved)
    assert len(frames_in(tmp_path)) == 2
    sweep(saved)
    assert [path.read_text() for path in tmp_path.iterdir()] == ["a render to go on with"]
    sweep(tmp_path / "no such folder" / "a")


@posix
def test_a_process_that_lives_keeps_its_folder(tmp_path):
    target = tmp_path / "a.mp4"
    with staged(target) as first:
        first.write_text("first")
        with staged(target) as second:
            second.write_text("second")
        assert first.read_text() == "first" and target.read_text() == "second"
    assert target.read_text() == "first" and list(tmp_path.iterdir()) == [target]


@posix
def test_a_folder_that_is_swept_before_it_is_locked_is_made_anew(tmp_path, monkeypatch):
    lock, swept = atomic._lock, []

    def late(folder, flags):
        if not swept:
            swept.append(folder)
            os.rmdir(folder)
        return lock(folder, flags)

    monkeypatch.setattr(atomic, "_lock", late)
    with staged(tmp_path / "a") as path:
        path.write_text("x")
        assert str(path.parent) not in swept
    assert frames_in(tmp_path) == ["a"]


def test_where_nothing_can_be_locked_nothing_is_swept(tmp_path, monkeypatch):
    monkeypatch.setattr(atomic, "_lock", lambda folder, flags: None)
    with staged(tmp_path / "a") as first:
        first.write_text("first")
        with staged(tmp_path / "a") as second:
            second.write_text("second")
    assert (tmp_path / "a").read_text() == "first"


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


@posix
def test_a_file_that_is_replaced_keeps_its_mode_and_owner(tmp_path):
    target = tmp_path / "out.txt"
    target.write_text("old")
    target.chmod(0o640)
    if os.geteuid() == 0:
        os.chown(target, 12345, 23456)
    owner = (target.stat().st_uid, target.stat().st_gid)
    with staged(target) as path:
        path.write_text("new")
    assert target.read_text() == "new" and target.stat().st_mode & 0o7777 == 0o640
    assert (target.stat().st_uid, target.stat().st_gid) == owner


@posix
def test_frames_that_are_replaced_keep_their_modes(tmp_path, smooth):
    write_run(tmp_path / "d", 2, smooth)
    (tmp_path / "d" / "frame_0001.png").chmod(0o600)
    write_run(tmp_path / "d", 2, smooth)
    assert (tmp_path / "d" / "frame_0001.png").stat().st_mode & 0o777 == 0o600


@posix
def test_a_read_only_file_is_replaced_only_by_force(tmp_path):
    target = tmp_path / "out.txt"
    target.write_text("old")
    target.chmod(0o444)
    with pytest.raises(UsageError, match="read-only") as told, staged(target) as path:
        path.write_text("new")
    assert "--force" in told.value.hint and target.read_text() == "old"
    with staged(target, force=True) as path:
        path.write_text("new")
    assert target.read_text() == "new" and target.stat().st_mode & 0o777 == 0o444


@posix
@pytest.mark.parametrize("letter", ["a", "й", "猫", "🐈", "\udce9"])
def test_names_of_every_length_that_a_file_system_takes(tmp_path, letter):
    name = letter * ((255 - 4) // len(os.fsencode(letter))) + ".gif"
    with staged(tmp_path / name) as path:
        path.write_text("x")
    assert os.listdir(tmp_path) == [name]
    with staged_dir(tmp_path / name[:-4]) as folder:
        (folder / "frame_0000.png").write_text("x")
    assert sorted(os.listdir(tmp_path)) == sorted([name, name[:-4]])
    hidden = atomic.hidden_name(name, ".laser-render")
    assert len(os.fsencode(hidden)) <= 255
    with staged(tmp_path / hidden) as path:
        path.write_text("x")
    assert hidden != atomic.hidden_name("x" + name[1:], ".laser-render")
    assert atomic.hidden_name("a.gif", ".laser-render") == ".a.gif.laser-render"


@posix
@pytest.mark.parametrize("name", ["x" * 256, "/proc/laser.gif", "loop.gif", "file/x.gif"])
def test_places_that_cannot_be_written_are_told_before_the_work(tmp_path, name):
    (tmp_path / "loop.gif").symlink_to("loop.gif")
    (tmp_path / "file").touch()
    if name.startswith("/proc") and not os.path.isdir("/proc"):
        pytest.skip("no /proc")
    with pytest.raises(BadInputError, match="cannot write"):
        atomic.check_target(tmp_path / name)
    assert sorted(os.listdir(tmp_path)) == ["file", "loop.gif"]
