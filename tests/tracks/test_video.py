"""Faces in videos: reading frames, following one face, and MediaPipe where it is installed."""

import importlib.util

import numpy as np
import pytest
from PIL import Image

from laser_cli.errors import BadInputError, NotFoundError
from laser_cli.tracks import video
from laser_cli.tracks.read import Reading, read_track
from laser_cli.tracks.results import COLUMNS
from laser_cli.tracks.video import Face, Landmarker, capture_faces, find_task, follow, open_clip

needs_mediapipe = pytest.mark.skipif(
    importlib.util.find_spec("mediapipe") is None or find_task() is None,
    reason="needs the extra `faces`",
)
needs_astronaut = pytest.mark.skipif(importlib.util.find_spec("skimage") is None, reason="needs scikit-image")


def write_video(path, frames, fps=10):
    import imageio_ffmpeg

    height, width = frames[0].shape[:2]
    writer = imageio_ffmpeg.write_frames(str(path), (width, height), fps=fps, macro_block_size=2, quality=9)
    writer.send(None)
    for frame in frames:
        writer.send(np.ascontiguousarray(frame))
    writer.close()


def test_frames_of_a_video_and_of_a_picture(tmp_path):
    shades = [np.full((32, 48, 3), 20 * i, np.uint8) for i in range(8)]
    write_video(tmp_path / "clip.mp4", shades)
    clip = open_clip(tmp_path / "clip.mp4")
    read = list(clip.frames)
    assert clip.fps == 10 and clip.expected == 8 and len(read) == 8 and read[0].shape == (32, 48, 3)
    assert [round(frame.mean() / 20) for frame in read] == list(range(8))
    Image.fromarray(shades[3]).save(tmp_path / "one.png")
    assert [frame.mean() for frame in open_clip(tmp_path / "one.png").frames] == [60]


@pytest.mark.parametrize("name", ["clip.mp4", "one.png"])
def test_what_is_no_video(tmp_path, name):
    (tmp_path / name).write_bytes(b"words")
    with pytest.raises(BadInputError, match=name):
        open_clip(tmp_path / name)


def measured(shade: float) -> np.ndarray:
    return np.full(len(COLUMNS), shade / 255)


def test_frames_without_a_face_are_gaps():
    frames = [np.full((4, 4, 3), shade, np.uint8) for shade in (51, 0, 102)]
    capture = capture_faces(frames, 10, lambda frame: measured(frame.mean()) if frame.any() else None, name="clip.mp4")
    assert capture.values[:, 0] == pytest.approx([0.2, np.nan, 0.4], nan_ok=True)
    assert capture.times.tolist() == [0, 0.1, 0.2]


@pytest.mark.parametrize(("count", "said"), [(1, "none in the picture"), (7, "any of its 7 frames (0 to 6)")])
def test_no_face_at_all(count, said):
    with pytest.raises(BadInputError) as caught:
        capture_faces([np.zeros((4, 4, 3), np.uint8)] * count, 10, lambda _: None, name="clip.mp4")
    assert "no face found in clip.mp4" in caught.value.render() and said in caught.value.render()
    assert caught.value.exit_code == 5


def test_of_several_faces_the_largest_is_followed():
    def face(mark, x, extent):
        return Face(np.array([mark]), np.array([x, 0.5]), extent)

    nowhere = np.array([np.nan, np.nan])
    assert follow([], nowhere) is None
    assert follow([face(1, 0.2, 0.1), face(2, 0.8, 0.4)], nowhere).values == [2]
    # someone nearer walks by: the one that was followed stays
    assert follow([face(1, 0.3, 0.9), face(2, 0.75, 0.3)], np.array([0.8, 0.5])).values == [2]


def test_without_a_model(monkeypatch, tmp_path):
    monkeypatch.setattr(video, "find_task", lambda: None)
    with pytest.raises(NotFoundError) as caught:
        Landmarker()
    assert "laser-cli[faces]" in caught.value.hint and caught.value.exit_code == 3
    with pytest.raises(NotFoundError, match="there is no face model"):
        Landmarker(tmp_path / "none.task")


def test_without_mediapipe(monkeypatch, tmp_path):
    model = tmp_path / "face_landmarker.task"
    model.write_bytes(b"")
    monkeypatch.setitem(__import__("sys").modules, "mediapipe", None)
    with pytest.raises(NotFoundError, match="MediaPipe") as caught, Landmarker(model):
        pass
    assert "laser-cli[faces]" in caught.value.hint


@needs_mediapipe
@needs_astronaut
def test_the_astronaut(tmp_path):
    from skimage.data import astronaut

    path = tmp_path / "astronaut.png"
    Image.fromarray(astronaut()).save(path)
    track, notes = read_track(path)
    assert [track[name][0] for name in ("pitch", "yaw", "roll")] == pytest.approx([14.9, 0.65, -3.5], abs=0.2)
    assert track["mouthSmileLeft"][0] == pytest.approx(0.90, abs=0.02)
    assert notes == []


@needs_mediapipe
@needs_astronaut
def test_a_turning_picture_as_a_video(tmp_path):
    from skimage.data import astronaut

    picture = Image.fromarray(astronaut())
    frames = [np.array(picture.rotate(angle, Image.Resampling.BICUBIC)) for angle in (0, 5, 10, 15)]
    frames.insert(2, np.zeros_like(frames[0]))
    write_video(tmp_path / "turn.mp4", frames)
    track, notes = read_track(tmp_path / "turn.mp4", Reading(smooth=0))
    assert len(track.frames) == 5 and track.fps == 10
    assert track["roll"] - track["roll"][0] == pytest.approx([0, 5, 7.5, 10, 15], abs=1.5)
    assert notes == ["1 frame without a face (2) filled in evenly from those around them"]


@needs_mediapipe
def test_a_picture_without_a_face(tmp_path, smooth):
    Image.fromarray(smooth()).save(tmp_path / "wave.png")
    with pytest.raises(BadInputError, match=r"no face found in wave.png"):
        read_track(tmp_path / "wave.png")


@needs_mediapipe
def test_a_model_file_that_is_none(tmp_path, smooth):
    (tmp_path / "bad.task").write_bytes(b"words")
    Image.fromarray(smooth()).save(tmp_path / "wave.png")
    with pytest.raises(NotFoundError, match="is not a face model"):
        read_track(tmp_path / "wave.png", Reading(face_model=str(tmp_path / "bad.task")))
