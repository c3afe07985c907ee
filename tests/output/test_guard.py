import os
from pathlib import Path

import pytest

from laser_cli.errors import UsageError
from laser_cli.output.frames import write_png
from laser_cli.output.guard import check_outputs
from laser_cli.output.record import make_record

posix = pytest.mark.skipif(os.name == "nt", reason="links and file systems of POSIX")


@pytest.fixture
def photo(tmp_path, smooth, monkeypatch) -> Path:
    """A picture of the user's in the current folder."""
    monkeypatch.chdir(tmp_path)
    write_png(tmp_path / "photo.png", smooth())
    return Path("photo.png")


def of_laser(path: Path, smooth) -> Path:
    write_png(path, smooth(), make_record("animate", {}))
    return path


def spellings(photo: Path) -> list[Path]:
    folder = Path.cwd()
    (folder / "soft.png").symlink_to("photo.png")
    (folder / "again.png").symlink_to("soft.png")
    os.link("photo.png", "hard.png")
    (folder / "way").symlink_to(folder)
    names = ["photo.png", "./photo.png", "way/photo.png", "way/way/photo.png", "soft.png", "again.png", "hard.png"]
    return [*map(Path, names), folder / "photo.png"]


@posix
@pytest.mark.parametrize("force", [False, True])
def test_an_input_is_never_replaced_whatever_it_is_called(photo, force):
    for path in spellings(photo):
        with pytest.raises(UsageError, match="would be replaced"):
            check_outputs([path], [photo], force=force)
        with pytest.raises(UsageError, match="would be replaced"):
            check_outputs([Path("new.mp4"), path], [Path("missing"), photo], force=force)


def test_a_frame_in_a_folder_may_be_the_input(photo, smooth):
    Path("d").mkdir()
    source = of_laser(Path("d/frame_0007.png"), smooth)
    with pytest.raises(UsageError, match="frame_0007"):
        check_outputs([], [source], frames_dir=Path("d"), force=True)


def test_what_laser_did_not_make_is_replaced_only_by_force(photo, smooth):
    Path("d").mkdir()
    write_png(Path("d/frame_0000.png"), smooth())
    for outputs, folder in (([photo], None), ([], Path("d"))):
        with pytest.raises(UsageError, match="was not made by laser") as told:
            check_outputs(outputs, [], frames_dir=folder)
        assert "--force" in told.value.hint
        check_outputs(outputs, [], frames_dir=folder, force=True)
    Path("empty.png").touch()
    check_outputs([of_laser(Path("mine.png"), smooth), Path("empty.png"), Path("new.gif")], [photo])
    Path("d/frame_0000.png").unlink()
    Path("d/notes.txt").write_text("stays")
    check_outputs([], [photo], frames_dir=Path("d"))


def test_of_outputs_without_a_record_their_kind_tells(photo):
    Path("a.yaml").write_text("laser")
    Path("b.yaml").write_text("mine")
    ours = {path: lambda path: path.read_text() == "laser" for path in (Path("a.yaml"), Path("b.yaml"))}
    check_outputs([Path("a.yaml")], [], ours=ours)
    with pytest.raises(UsageError, match=r"b\.yaml"):
        check_outputs([Path("b.yaml")], [], ours=ours)


def test_a_run_that_is_made_again_may_replace_its_output(photo, smooth):
    made = of_laser(Path("made.png"), smooth)
    check_outputs([made], [photo, made], again=made)
    with pytest.raises(UsageError):
        check_outputs([photo], [photo, made], again=made)
    with pytest.raises(UsageError):
        check_outputs([made], [photo, made])


@posix
def test_two_outputs_are_two_files(photo, tmp_path):
    (tmp_path / "way").symlink_to(tmp_path)
    (tmp_path / "soft.gif").symlink_to("out.gif")
    for other in ("out.gif", "./out.gif", "way/out.gif", "soft.gif"):
        with pytest.raises(UsageError, match="two outputs"):
            check_outputs([Path("out.gif"), Path(other)], [])
    with pytest.raises(UsageError, match="two outputs"):
        check_outputs([Path("out")], [], frames_dir=Path("way/out"))
    check_outputs([Path("out.gif"), Path("out.png")], [])


@pytest.mark.parametrize("folds", [True, False])
def test_letter_case_counts_where_the_file_system_says_so(photo, monkeypatch, folds):
    monkeypatch.setattr("laser_cli.output.guard._folds_case", lambda folder: folds)
    if folds:
        with pytest.raises(UsageError):
            check_outputs([Path("A.png"), Path("a.png")], [])
    else:
        check_outputs([Path("A.png"), Path("a.png")], [])


def test_how_the_file_system_is_found_out_leaves_nothing(tmp_path):
    from laser_cli.output.guard import _folds_case

    (tmp_path / "UPPER").touch()
    assert _folds_case(tmp_path) == (tmp_path / "upper").exists()
    assert os.listdir(tmp_path) == ["UPPER"]


@posix
def test_pipes_and_terminals_are_no_files_to_lose(photo):
    os.mkfifo("pipe")
    check_outputs([Path("out.gif")], [Path("pipe"), Path(os.devnull), Path("-"), Path("a\0b")])
