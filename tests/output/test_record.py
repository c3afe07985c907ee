import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from laser_cli.errors import BadInputError
from laser_cli.output.frames import write_png
from laser_cli.output.look import Look
from laser_cli.output.record import (
    PAGE,
    comment_of,
    ffmetadata,
    from_page,
    has_png_record,
    has_record,
    make_record,
    read_record,
    to_json,
)
from laser_cli.output.video import FASTEST, open_video

texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=60)


def write(path: Path, record, smooth) -> None:
    if path.suffix == ".png":
        write_png(path, smooth(), record)
    else:
        with open_video(path, (64, 48), Look(fps=10), to_json(record)) as video:
            video.add(smooth())


@pytest.mark.parametrize("suffix", [*FASTEST, ".png"])
def test_round_trip_with_any_letters(tmp_path, smooth, suffix):
    settings = {"strength": 0.5, "list": [1, None, True], "odd": 'ü=;#\\\n"x" [STREAM]\ncomment=y 🐱' + "long " * 400}
    record = make_record("animate", settings, seed=7, prompt="eine Kätzin\n猫", model="storybook", dtype="float32")
    write(tmp_path / f"a{suffix}", record, smooth)
    assert read_record(tmp_path / f"a{suffix}") == record


@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(prompt=texts)
def test_any_prompt_survives_in_every_format(tmp_path, smooth, prompt):
    record = make_record("animate", {}, prompt=prompt)
    for suffix in FASTEST:
        write(tmp_path / f"a{suffix}", record, smooth)
        assert read_record(tmp_path / f"a{suffix}") == record


@given(texts)
def test_metadata_file_is_read_back(text):
    assert comment_of(ffmetadata(text)) == text


def test_a_streams_comment_is_not_the_files():
    assert comment_of(";FFMETADATA1\ntitle=a\n[STREAM]\ncomment=b\n") == ""


def test_holds_no_absolute_path_and_no_time(tmp_path):
    picture = tmp_path / "a.png"
    picture.touch()
    record = make_record("animate", {"input": picture, "nested": [{"out": str(picture)}], "rel": Path("b/c.png")})
    assert record["settings"] == {"input": "a.png", "nested": [{"out": "a.png"}], "rel": "b/c.png"}
    assert str(tmp_path) not in to_json(record)
    assert to_json(record) == to_json(make_record("animate", record["settings"]))
    assert record["version"] == 1 and record["libraries"]["numpy"]


def test_a_fingerprint_is_kept_and_else_not_there():
    assert "fingerprint" not in make_record("animate", {})
    assert make_record("animate", {}, fingerprint="ab")["fingerprint"] == "ab"


def test_files_of_others_are_told_apart(tmp_path, smooth):
    (tmp_path / "a.txt").write_text("hello, this is not a picture")
    (tmp_path / "b.mp4").write_bytes(b"\0\0\0\x18ftypmp42" + bytes(50))
    (tmp_path / "b.webm").write_bytes(b"\x1aE\xdf\xa3" + bytes(50))
    (tmp_path / "b.webp").write_bytes(b"RIFF\x20\0\0\0WEBPVP8X" + bytes(50))
    (tmp_path / "b.html").write_text("<!doctype html><p>hello</p>")
    (tmp_path / "c.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(30))
    write_png(tmp_path / "d.png", smooth(), None)
    write_png(tmp_path / "e.png", smooth(), {"program": "other"})
    write_png(tmp_path / "f.png", smooth(), {"program": "laser", "version": 99})
    with open_video(tmp_path / "g.mp4", (64, 48), Look(fps=10)) as video:
        video.add(smooth())
    for name in (
        "a.txt",
        "b.mp4",
        "b.webm",
        "b.webp",
        "b.html",
        "c.png",
        "d.png",
        "e.png",
        "f.png",
        "g.mp4",
        "missing.gif",
    ):
        with pytest.raises(BadInputError):
            read_record(tmp_path / name)
    assert not has_png_record(tmp_path / "d.png") and has_png_record(tmp_path / "f.png")


def test_json_is_one_line_and_strict():
    assert "\n" not in to_json({"a": "b\nc"})
    with pytest.raises(ValueError):
        to_json({"a": float("nan")})
    assert json.loads(to_json({"ü": 1})) == {"ü": 1}


@pytest.mark.parametrize("suffix", [*FASTEST, ".png"])
def test_names_that_are_no_text_are_recorded(tmp_path, smooth, suffix):
    record = make_record("animate", {"image": Path("caf\udce9.png")}, prompt="caf\udce9")
    write(tmp_path / f"caf\udce9{suffix}", record, smooth)
    back = read_record(tmp_path / f"caf\udce9{suffix}")
    assert back["settings"]["image"] == "caf\udce9.png" and has_record(tmp_path / f"caf\udce9{suffix}")


def test_a_record_of_another_version_is_still_lasers(tmp_path, smooth):
    write(tmp_path / "a.png", {**make_record("animate", {}), "version": 99}, smooth)
    assert has_record(tmp_path / "a.png")
    with pytest.raises(BadInputError, match="cannot use"):
        read_record(tmp_path / "a.png")
    write_png(tmp_path / "b.png", smooth())
    assert not has_record(tmp_path / "b.png") and not has_record(tmp_path / "missing.png")


def test_reading_takes_time_and_memory_by_the_size_of_a_record(tmp_path):
    big = ("\\" + "\n") * 2_000_000
    assert comment_of(f";FFMETADATA1\ntitle={big}\ncomment={big}\n") == "\n" * 2_000_000
    assert from_page(PAGE.split("{}")[0] * 200_000) == ""
    (tmp_path / "a.gif").write_bytes(b"GIF89a" + b"\1\0\1\0\0\0\0" + b"\x21\xfe" + (b"\xff" + b"x" * 255) * 40_000)
    with pytest.raises(BadInputError, match="no record"):
        read_record(tmp_path / "a.gif")


@pytest.mark.parametrize(
    "text", ["[" * 100_000, '{"program":' * 50_000, "9" * 5_000, '{"program":"laser","a":NaN}', "{}"]
)
def test_what_is_no_record_is_told(tmp_path, text):
    (tmp_path / "a.html").write_text("<!doctype html>" + PAGE.format(text))
    with pytest.raises(BadInputError, match="no record"):
        read_record(tmp_path / "a.html")
