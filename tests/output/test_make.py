import pytest

from laser_cli.errors import BadInputError, UsageError
from laser_cli.output.frames import frame_name, write_png
from laser_cli.output.make import fingerprint, is_current, refuse_clobber
from laser_cli.output.record import make_record


def test_a_fingerprint_follows_settings_and_contents_and_nothing_else(tmp_path):
    one, two = tmp_path / "one.png", tmp_path / "two.png"
    one.write_bytes(b"1")
    two.write_bytes(b"2")
    settings = {"steps": 25, "image": one, "plan": {"source": "ü"}}
    first = fingerprint(settings, [one, two])
    assert len(first) == 64 and first == fingerprint(dict(reversed(settings.items())), [one, two])
    assert fingerprint({**settings, "steps": 26}, [one, two]) != first
    assert fingerprint(settings, [two, one]) != first
    one.touch()
    assert fingerprint(settings, [one, two]) == first
    one.write_bytes(b"3")
    assert fingerprint(settings, [one, two]) != first
    with pytest.raises(BadInputError):
        fingerprint(settings, [tmp_path / "missing"])


def test_current_is_what_carries_the_fingerprint(tmp_path, smooth):
    out = tmp_path / "a.png"
    assert not is_current(out, "ab")
    out.write_text("something else")
    assert not is_current(out, "ab")
    write_png(out, smooth(), make_record("animate", {}))
    assert not is_current(out, "ab")
    write_png(out, smooth(), make_record("animate", {}, fingerprint="ab"))
    assert is_current(out, "ab") and not is_current(out, "cd")


def test_a_folder_is_current_with_all_its_frames(tmp_path, smooth):
    def write(index: int, told: str) -> None:
        write_png(tmp_path / frame_name(index), smooth(), make_record("animate", {}, fingerprint=told))

    assert not is_current(tmp_path, "ab")
    for index in range(3):
        write(index, "ab")
    (tmp_path / "notes.txt").write_text("")
    assert is_current(tmp_path, "ab")
    write(3, "old")  # a run of fewer frames that was killed on its way in
    assert not is_current(tmp_path, "ab")
    write(3, "ab")
    (tmp_path / frame_name(1)).unlink()
    assert not is_current(tmp_path, "ab")


def test_what_exists_is_not_overwritten(tmp_path):
    (tmp_path / "b.gif").write_text("")
    (tmp_path / "frames").mkdir()
    refuse_clobber([None, tmp_path / "a.gif", tmp_path / "frames"])
    (tmp_path / "frames" / frame_name(0)).write_text("")
    with pytest.raises(UsageError, match="frames exists"):
        refuse_clobber([tmp_path / "frames"])
    with pytest.raises(UsageError, match=r"b\.gif exists"):
        refuse_clobber([tmp_path / "a.gif", tmp_path / "b.gif"])
    (tmp_path / "c.gif").symlink_to("nowhere")
    with pytest.raises(UsageError, match=r"c\.gif exists"):
        refuse_clobber([tmp_path / "c.gif"])
