"""`laser track`: written paths on stdout, what was found odd on stderr, exit codes."""

import json

import numpy as np
import pytest
import yaml
from PIL import Image

from laser_cli.tracks.files import write_track
from laser_cli.tracks.read import read_track
from laser_cli.tracks.schema import FaceTrack

CAPTURE = "Timecode,BlendShapeCount,JawOpen,HeadYaw\n" + "".join(
    f"10:00:00:{2 * i:02}.000,{0 if i == 3 else 61},{'' if i == 3 else i / 20},0.0\n" for i in range(20)
)


@pytest.fixture
def take(tmp_path):
    (tmp_path / "take.csv").write_text(CAPTURE)
    return tmp_path / "take.csv"


def test_a_capture_becomes_a_track(laser, take, tmp_path):
    code, out, err = laser("track", take, "-o", tmp_path / "track.yaml", "--plot", tmp_path / "track.png")
    assert code == 0
    assert out.split() == [str(tmp_path / "track.yaml"), str(tmp_path / "track.png")]
    assert "head columns are all zero" in err and "1 frame without a face (3)" in err
    assert Image.open(tmp_path / "track.png").size == (1000, 240)
    track, notes = read_track(tmp_path / "track.yaml")
    assert track.fps == pytest.approx(30) and len(track.frames) == 20 and notes == []


def test_stdout_is_the_track_alone(laser, take):
    code, out, err = laser("track", take, "--quiet")
    assert (code, err) == (0, "")
    assert yaml.safe_load(out)["columns"] == ["jawOpen"]


def test_json_tells_what_was_made(laser, take, tmp_path):
    code, out, _ = laser("track", take, "-o", tmp_path / "t.csv", "--json", "--fps", "12")
    told = json.loads(out)
    assert code == 0 and told["fps"] == 12 and told["columns"] == ["jawOpen"] and len(told["notes"]) == 2


def test_a_part_smoothed_and_scaled(laser, take, tmp_path):
    made = tmp_path / "t.json"
    options = ("--from", "0.2", "--to", "0.5", "--smooth", "0", "--relative", "--neutral", "1", "--ratio", "0.5")
    assert laser("track", take, "-o", made, *options)[0] == 0
    part, _ = read_track(made)
    assert part["jawOpen"] == pytest.approx(np.maximum(0, np.arange(-1, 9) * 0.05 * 0.5), abs=1e-4)


def test_the_same_command_gives_the_same_bytes(laser, take, tmp_path):
    for name in ("a.yaml", "b.yaml"):
        laser("track", take, "-o", tmp_path / name)
    assert (tmp_path / "a.yaml").read_bytes() == (tmp_path / "b.yaml").read_bytes()


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (("-o", "track.mp4"), 2, "ends in none of .yaml, .json, .csv"),
        (("--plot", "track.jpg"), 2, "plots are .png files"),
        (("--neutral", "3"), 2, "--neutral goes with --relative"),
        (("--json",), 2, "--output"),
        (("--relative", "--neutral", "50"), 5, "there is no frame 50"),
        (("--from", "9"), 5, "nothing between"),
        (("--fps", "0"), 2, "--fps"),
    ],
)
def test_what_cannot_be_done(laser, take, tmp_path, monkeypatch, options, code, said):
    monkeypatch.chdir(tmp_path)
    given = laser("track", take, *options)
    assert given[0] == code and said in given[2] and given[1] == ""
    assert [path.name for path in tmp_path.iterdir()] == ["take.csv"]


def test_sources_that_are_none(laser, tmp_path):
    code, _, err = laser("track", tmp_path / "gone.csv", "-o", tmp_path / "t.yaml")
    assert code == 5 and "gone.csv" in err
    (tmp_path / "broken.mp4").write_bytes(b"no video")
    code, _, err = laser("track", tmp_path / "broken.mp4", "-o", tmp_path / "t.yaml")
    assert code == 5 and "broken.mp4 is not a video" in err
    assert not (tmp_path / "t.yaml").exists()


def test_a_video_without_a_face(laser, tmp_path, monkeypatch):
    class Blind:
        crowded = 0

        def __init__(self, model):
            pass

        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

        def __call__(self, frame):
            return None

    monkeypatch.setattr("laser_cli.tracks.read.Landmarker", Blind)
    Image.new("RGB", (64, 64)).save(tmp_path / "wall.png")
    code, out, err = laser("track", tmp_path / "wall.png", "-o", tmp_path / "t.yaml")
    assert code == 5 and out == "" and "no face found in wall.png" in err


def test_a_puppets_picture(laser, tmp_path):
    from laser_cli.storybook.puppets import Puppet
    from laser_cli.storybook.world import draw

    picture = (draw([Puppet(yaw=20, expression=(("jawOpen", 1.0),))])[0].clamp(0, 1) * 255).byte().permute(1, 2, 0)
    Image.fromarray(picture.numpy()).save(tmp_path / "puppet.png")
    code, _, err = laser("track", tmp_path / "puppet.png", "--puppet", "-o", tmp_path / "t.yaml")
    track, _ = read_track(tmp_path / "t.yaml")
    assert (code, err) == (0, "") and track["yaw"][0] == pytest.approx(20, abs=4) and track["jawOpen"][0] > 0.8


def test_a_track_is_read_as_it_was_written(laser, tmp_path):
    track = FaceTrack.of(24, ("jawOpen", "yaw"), np.random.default_rng(0).uniform(0, 1, (5, 2)), "mine")
    write_track(track, tmp_path / "a.yaml")
    assert laser("track", tmp_path / "a.yaml", "-o", tmp_path / "b.json")[0] == 0
    assert read_track(tmp_path / "b.json")[0] == track


@pytest.mark.parametrize("there", [False, True])
def test_doctor_says_whether_faces_can_be_read(monkeypatch, there):
    from laser_cli.cli import doctor
    from laser_cli.tracks import video

    monkeypatch.setattr(video, "find_task", lambda: "face_landmarker.task" if there else None)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: there or None)
    (check,) = doctor._faces()
    assert check.ok == there and not check.needed
    assert check.value == ("can be read from videos" if there else "without mediapipe and face_landmarker.task")
