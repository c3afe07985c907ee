"""Face tracks in files: three notations of one table, and errors that name the place."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from laser_cli.errors import BadInputError
from laser_cli.tracks.files import HEADER, parse_track, track_text, write_track
from laser_cli.tracks.names import ANGLES, COLUMNS, PLACE, SHAPES, known_column
from laser_cli.tracks.read import Reading, read_track
from laser_cli.tracks.schema import FaceTrack


@st.composite
def tracks(draw):
    columns = draw(st.lists(st.sampled_from(COLUMNS), min_size=1, max_size=6, unique=True))
    ranges = {
        **dict.fromkeys(SHAPES, (0, 1)),
        **dict.fromkeys(ANGLES, (-180, 180)),
        **dict.fromkeys(PLACE, (-900, 900)),
    }
    row = st.tuples(*(st.floats(*ranges[name]) for name in columns))
    rows = draw(st.lists(row, min_size=2, max_size=5))
    return FaceTrack.of(draw(st.sampled_from([8, 12, 23.976, 29.97, 60])), columns, np.array(rows), draw(st.text()))


@pytest.mark.parametrize("suffix", [".yaml", ".json"])
@given(track=tracks())
def test_what_is_written_is_read_back(track, suffix):
    assert parse_track(track_text(track, suffix), "it") == track


@given(track=tracks())
def test_csv_keeps_the_numbers_and_the_rate(track, tmp_path_factory):
    path = tmp_path_factory.mktemp("csv") / "track.csv"
    write_track(track, path)
    back, notes = read_track(path)
    assert back.frames == track.frames and back.columns == track.columns and notes == []
    assert back.fps == pytest.approx(track.fps, rel=1e-3)


def test_a_track_is_one_line_a_frame_for_people(talking):
    text = track_text(talking, ".yaml")
    assert text.startswith(HEADER) and "fps: 30.0\n" in text
    assert len(text.splitlines()) == len(HEADER.splitlines()) + 5 + len(talking.frames)


def test_columns_that_are_not_there_are_at_rest(talking):
    assert not talking["eyeBlinkLeft"].any() and talking["yaw"].any()
    with pytest.raises(KeyError):
        talking["nose"]


def valid() -> dict:
    return {"fps": 12, "columns": ["jawOpen", "yaw"], "frames": [[0, 0], [0.5, 10]]}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"frames": [[0, 0], [1.5, 0]]}, "frame 1, jawOpen: 1.5 is not in 0..1"),
        ({"frames": [[0, 0], [0, 200]]}, "frame 1, yaw: 200.0 is not in -180..180 degrees"),
        ({"frames": [[0, 0], [0]]}, "frame 1 has 1 values for 2 columns"),
        ({"frames": [[0, "wide"], [0, 0]]}, "frame 0, yaw: 'wide'"),
        ({"frames": []}, "frames"),
        ({"columns": ["jawOpen", "nose"]}, "columns: 'nose' is not a blendshape"),
        ({"columns": ["yaw", "yaw"]}, "the column yaw is there twice"),
        ({"fps": 0}, "fps: 0"),
        ({"version": 2}, "version"),
        ({"speed": 2}, "speed: unknown key; the keys are version, fps"),
    ],
)
def test_errors_name_the_frame_and_the_column(tmp_path, change, said):
    path = tmp_path / "bad.json"
    path.write_text(json.dumps(valid() | change))
    with pytest.raises(BadInputError) as caught:
        read_track(path)
    assert said in caught.value.render()


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("a.yaml", "", "it is empty"),
        ("a.yaml", "fps: [\n", "line 2"),
        ("a.yaml", "just words", "fps"),
        ("a.json", "{", "not valid JSON"),
        ("a.csv", "time,jawOpen\n", "no line of numbers"),
        ("a.csv", "jawOpen\n0.5\n", "neither a `time` column"),
        ("a.csv", "time,speed\n0,1\n", "the name of a blendshape"),
        ("a.csv", "time,jawOpen\n0,much\n", "row 1, jawOpen: 'much' is not a number"),
        ("a.csv", "time,jawOpen\n0,0\n0,1\n", "row 2: the time does not rise"),
        ("a.csv", "time,jawOpen\n,0\n0,1\n", "row 1: there is no time"),
        ("a.csv", "time,jawOpen,JawOpen\n0,0,0\n", "twice"),
        ("a.csv", "time,jawOpen\n0,\n1,\n", "nothing was measured"),
        ("a.txt", "words", "does not end in"),
    ],
)
def test_files_that_are_no_tracks(tmp_path, name, text, said):
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(BadInputError) as caught:
        read_track(path)
    assert said in caught.value.render() and caught.value.exit_code == 5


def test_a_file_that_is_not_there(tmp_path):
    for name in ("gone.yaml", "gone.mp4"):
        with pytest.raises(BadInputError, match=r"gone\."):
            read_track(tmp_path / name)


def test_a_csv_made_by_hand(tmp_path):
    # semicolons, names in any case, a column of something else, a gap, uneven times
    path = tmp_path / "hand.csv"
    path.write_text("Time;JAWOPEN;Head Yaw;mood;yaw\n0;0;1;calm;0\n0.1;;1;calm;10\n0.2;1;1;calm;20\n")
    track, notes = read_track(path)
    assert track.columns == ("jawOpen", "yaw") and track.fps == 10
    assert track["jawOpen"].tolist() == [0, 0.5, 1]
    assert any("left out: Head Yaw, mood" in note for note in notes)
    assert any("1 frame without a face (1)" in note for note in notes)


def test_a_part_at_another_rate(tmp_path, talking):
    path = tmp_path / "talk.yaml"
    write_track(talking, path)
    part, _ = read_track(path, Reading(start=0.5, end=1.5, fps=12))
    assert part.fps == 12 and part.duration == pytest.approx(1.0)
    assert part.frames[0] == talking.frames[15] and part.frames[-1] == talking.frames[45]
    with pytest.raises(BadInputError, match="nothing between"):
        read_track(path, Reading(start=5))


def test_names_in_any_case():
    assert known_column("EyeBlinkLeft") == known_column("eye_blink_left") == "eyeBlinkLeft"
    assert known_column("HeadYaw") is None


def test_nothing_is_left_where_writing_fails(tmp_path, talking, monkeypatch):
    monkeypatch.setattr("laser_cli.tracks.files.track_text", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        write_track(talking, tmp_path / "out.yaml")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "text",
    [
        "[" * 5000,
        "{" * 5000,
        "fps: &a [*a]",
        "a: &a [1,1]\nb: &b [*a,*a]\nfps: 12\ncolumns: [yaw]\nframes: [*b]",
        '{"fps": 1' + "0" * 5000 + "}",
        "fps: 1" + "0" * 5000,
        '{"fps": NaN, "columns": ["yaw"], "frames": [[NaN]]}',
        "fps: .inf\ncolumns: [yaw]\nframes: [[1]]",
        "- 1\n- 2",
        "\0",
        "fps: 12\ncolumns: {yaw: 1}\nframes: 3",
    ],
)
@pytest.mark.parametrize("suffix", ["yaml", "json", "csv"])
def test_strange_files_are_told_and_nothing_more(tmp_path, text, suffix):
    path = tmp_path / f"strange.{suffix}"
    path.write_text(text)
    with pytest.raises(BadInputError):
        read_track(path)


@pytest.mark.parametrize(
    ("column", "values", "turns"),
    [
        ("yaw", (0, 10, 25), False),
        ("yaw", (0, 25, 20), True),
        ("yaw", (0, 10, 8), False),
        ("eyeBlinkLeft", (0, 1, 0), True),
        ("eyeBlinkLeft", (1, 1, 0), False),
        ("mouthSmileLeft", (0.2, 0.2, 0.2), False),
    ],
)
def test_what_goes_and_comes_back(column, values, turns):
    assert FaceTrack.of(12, [column], np.array([values], float).T).turns is turns
