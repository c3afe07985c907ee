"""Live Link Face captures: names in any order, time codes, lost rows, head columns."""

import numpy as np
import pytest

from laser_cli.errors import BadInputError
from laser_cli.tracks.livelink import parse_livelink
from laser_cli.tracks.read import Reading, read_track

from .conftest import LOST, livelink


def codes(count: int, step: int = 1, start: int = 0) -> list[str]:
    frames = [start + i * step for i in range(count)]
    return [f"10:20:{f // 60:02}:{f % 60:02}.{123 if f % 2 else 0:03}" for f in frames]


def test_values_by_name_at_sixty_a_second(tmp_path):
    frames = [{"JawOpen": i / 90, "MouthLeft": 0.25} for i in range(90)]
    path = tmp_path / "take.csv"
    path.write_text(livelink(frames, codes(90)))
    track, notes = read_track(path, Reading(smooth=0))
    assert track.fps == pytest.approx(60, rel=5e-3) and len(track.frames) == 90
    assert track["jawOpen"][-1] == pytest.approx(89 / 90, abs=1e-2)
    assert (track["mouthLeft"] == 0.25).all() and not track["mouthRight"].any()
    assert any("head columns are all zero" in note for note in notes)
    assert "yaw" not in track.columns


def test_every_second_frame_is_thirty_a_second():
    capture = parse_livelink(livelink([{"JawOpen": 1.0}] * 60, codes(60, step=2)), "take.csv")
    assert capture.fps == pytest.approx(30)


def test_a_file_that_counts_thirty_frames_a_second():
    text = livelink([{"JawOpen": 1.0}] * 60, [f"01:00:{i // 30:02}:{i % 30:02}.000" for i in range(60)])
    assert parse_livelink(text, "take.csv").fps == pytest.approx(30)


def test_over_midnight():
    text = livelink([{}, {"JawOpen": 1.0}, {}], ["23:59:59:58.000", "23:59:59:59.000", "00:00:00:00.000"])
    assert parse_livelink(text.replace("\r\n", "\n"), "take.csv").times == pytest.approx([0, 1 / 60, 2 / 60])


@pytest.mark.parametrize("column", ["BlendShapeCount", "BlendshapeCount"])
def test_lost_rows_are_held_and_counted(tmp_path, column):
    frames = [{"JawOpen": 0.5}, LOST, LOST, {"JawOpen": 0.9}, LOST]
    path = tmp_path / "take.csv"
    path.write_text(livelink(frames, codes(5, step=2), column))
    track, notes = read_track(path, Reading(smooth=0))
    assert track["jawOpen"].tolist() == [0.5, 0.5, 0.5, 0.9, 0.9]
    assert any(note.startswith("3 frames without a face (1-2, 4) filled with the values before") for note in notes)


def test_values_are_clamped():
    text = livelink([{"JawOpen": 1.0034, "CheekPuff": -0.2}] * 2, codes(2))
    from laser_cli.tracks.capture import to_track

    track, notes = to_track(parse_livelink(text, "take.csv"))
    assert track["jawOpen"].max() == 1 and track["cheekPuff"].min() == 0
    assert any("2 values outside 0..1 clamped" in note for note in notes)


@pytest.mark.parametrize(("given", "degrees"), [(0.5, np.degrees(0.5)), (12.0, 12.0)], ids=["radians", "degrees"])
def test_head_angles(given, degrees):
    capture = parse_livelink(livelink([{"HeadYaw": given, "HeadPitch": -given / 2}] * 3, codes(3)), "take.csv")
    values = dict(zip(capture.columns, capture.values[0], strict=True))
    assert values["yaw"] == pytest.approx(degrees) and values["pitch"] == pytest.approx(-degrees / 2)
    assert not capture.notes


def test_repeated_time_codes_are_left_out_and_said():
    capture = parse_livelink(livelink([{"JawOpen": x} for x in (0.1, 0.2, 0.3)], [*codes(2), codes(2)[1]]), "take.csv")
    assert len(capture.times) == 2 and "1 row" in capture.notes[0]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Timecode,BlendShapeCount,JawOpen\nsoon,61,0.5\n", "row 1: 'soon' is not a time code"),
        ("Timecode,BlendShapeCount,JawOpen\n10:00:00:00.000,61,x\n", "row 1, jawOpen: 'x' is not a number"),
        ("Timecode,BlendShapeCount\n10:00:00:00.000,61\n", "none of its columns is a blendshape"),
        ("Timecode,BlendShapeCount,JawOpen\n10:00:00:00.000\n", "no values"),
    ],
)
def test_broken_captures(text, said):
    with pytest.raises(BadInputError) as caught:
        parse_livelink(text, "take.csv")
    assert said in caught.value.render()
