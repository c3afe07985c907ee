"""MediaPipe's results: as its Python package and its JavaScript package give them."""

import json

import numpy as np
import pytest

from laser_cli.errors import BadInputError
from laser_cli.tracks.read import Reading, read_track
from laser_cli.tracks.results import COLUMNS, head_of

from .conftest import FIXTURES

ASTRONAUT = json.loads((FIXTURES / "astronaut_mediapipe.json").read_text())
MATRIX, SHAPES = ASTRONAUT["matrix"], ASTRONAUT["blendshapes"]


def as_javascript() -> dict:
    categories = [
        {"index": i, "score": s, "categoryName": n, "displayName": ""} for i, (n, s) in enumerate(SHAPES.items())
    ]
    data = np.array(MATRIX).T.flatten().tolist()
    return {
        "faceLandmarks": [[]],
        "faceBlendshapes": [{"categories": categories, "headIndex": -1}],
        "facialTransformationMatrixes": [{"rows": 4, "columns": 4, "data": data}],
    }


def as_python() -> dict:
    categories = [{"index": i, "score": s, "category_name": n} for i, (n, s) in enumerate(SHAPES.items())]
    return {"face_blendshapes": [categories], "facial_transformation_matrixes": [MATRIX]}


@pytest.mark.parametrize("result", [ASTRONAUT, as_python(), as_javascript()], ids=["plain", "python", "javascript"])
def test_the_astronaut(tmp_path, result):
    path = tmp_path / "result.json"
    path.write_text(json.dumps(result))
    track, notes = read_track(path)
    assert len(track.frames) == 1 and notes == []
    assert [round(track[name][0], 1) for name in ("pitch", "yaw", "roll")] == [14.9, 0.6, -3.5]
    assert track["mouthSmileLeft"][0] == pytest.approx(0.90, abs=0.01)
    assert track["z"][0] == pytest.approx(-70.05, abs=0.01)
    assert "tongueOut" not in track.columns


def test_an_untouched_head_looks_straight_ahead():
    assert head_of(np.eye(4)) == pytest.approx(np.zeros(6))


def test_a_clip_with_gaps_and_times(tmp_path):
    empty = {"faceBlendshapes": [], "facialTransformationMatrixes": []}
    frames = [
        {**as_javascript(), "timestampMs": 0},
        {**empty, "timestampMs": 50},
        {**as_javascript(), "timestampMs": 100},
    ]
    path = tmp_path / "clip.json"
    path.write_text(json.dumps(frames))
    track, notes = read_track(path, Reading(smooth=0))
    assert track.fps == 20 and len(track.frames) == 3
    assert track.frames[0] == track.frames[1]
    assert "1 frame without a face (1)" in notes[0]


def test_json_lines_and_a_rate(tmp_path):
    lines = tmp_path / "clip.jsonl"
    lines.write_text("".join(json.dumps(as_python()) + "\n" for _ in range(4)))
    assert read_track(lines)[0].fps == 30
    whole = tmp_path / "clip.json"
    whole.write_text(json.dumps({"fps": 24, "frames": [as_python()] * 4}))
    assert read_track(whole)[0].fps == 24


def test_values_without_a_head(tmp_path):
    path = tmp_path / "shapes.json"
    path.write_text(json.dumps([{"blendshapes": {"jawOpen": 0.5}}] * 2))
    assert read_track(path)[0].columns == ("jawOpen",)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ([{"blendshapes": {"jawOpen": "wide"}}], "frame 0: not a result"),
        ([{"blendshapes": {"jawOpen": 0.5}, "matrix": [1, 2]}], "frame 0: not a result"),
        (
            [{"blendshapes": {"jawOpen": 0.5}, "time": 1}, {"blendshapes": {"jawOpen": 0.5}, "time": 1}],
            "frame 1: the time",
        ),
        ({"fps": 0, "frames": [{"blendshapes": {"jawOpen": 0.5}}]}, "fps 0"),
        ([{"blendshapes": {"jawOpen": 0.5}}, {}, 7], "frame 2"),
    ],
)
def test_broken_results(tmp_path, value, said):
    path = tmp_path / "bad.json"
    path.write_text(json.dumps(value))
    with pytest.raises(BadInputError) as caught:
        read_track(path)
    assert said in caught.value.render()


def test_the_columns_are_what_it_measures():
    assert set(COLUMNS) - {"pitch", "yaw", "roll", "x", "y", "z"} == set(SHAPES) - {"_neutral"}
