"""Faces in videos and pictures: frames by ffmpeg, faces by MediaPipe (the extra `faces`)."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from importlib.metadata import distributions
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from laser_cli.errors import BadInputError, NotFoundError
from laser_cli.tracks.capture import Capture
from laser_cli.tracks.results import COLUMNS, row_of

PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".avif", ".heic", ".bmp", ".tif", ".tiff")
VIDEOS = (".mp4", ".mov", ".m4v", ".mkv", ".webm", ".avi", ".gif", ".mpg", ".mpeg")
TASK = "face_landmarker.task"
"""The model file of MediaPipe's face landmarker."""
MAX_FACES = 4
INSTALL = "pip install 'laser-cli[faces]'"
Measure = Callable[[np.ndarray], np.ndarray | None]
"""From a frame [h, w, 3] uint8 to the values of `COLUMNS`, None where no face is found."""


class Face(NamedTuple):
    """One face in a frame: its values, and its centre and extent as shares of the frame's width."""

    values: np.ndarray
    centre: np.ndarray
    extent: float


class Clip(NamedTuple):
    """A video or a picture: frames a second, about how many frames, and the frames [h, w, 3] uint8 one by one."""

    fps: float
    expected: int
    frames: Iterator[np.ndarray]


def open_clip(path: Path) -> Clip:
    """The frames of a video, or of a picture, which is one frame. Raises BadInputError."""
    if not path.is_file():
        raise BadInputError(f"cannot read {path}", why="there is no such file")
    if path.suffix.lower() in PICTURES:
        from laser_cli.output.pictures import read_picture

        return Clip(30.0, 1, iter([read_picture(path)]))
    import imageio_ffmpeg

    reader = imageio_ffmpeg.read_frames(str(path))
    try:
        about = next(reader)
    except (OSError, RuntimeError, StopIteration) as error:
        raise BadInputError(f"{path} is not a video that can be read", why=_last_line(error)) from error
    width, height = about["size"]
    fps = float(about["fps"] or 30.0)
    return Clip(fps, max(1, round(fps * (about.get("duration") or 0))), _decoded(reader, height, width, path))


def _decoded(reader: Any, height: int, width: int, path: Path) -> Iterator[np.ndarray]:
    try:
        for data in reader:
            yield np.frombuffer(data, np.uint8).reshape(height, width, 3)
    except RuntimeError as error:
        raise BadInputError(f"{path} cannot be read to its end", why=_last_line(error)) from error
    finally:
        reader.close()


def capture_faces(
    frames: Iterable[np.ndarray], fps: float, measure: Measure, columns: tuple[str, ...] = COLUMNS, name: str = ""
) -> Capture:
    """The capture of a face in frames; those without one are gaps. Raises BadInputError if there is none at all."""
    empty = np.full(len(columns), np.nan)
    rows = [empty if (found := measure(frame)) is None else found for frame in frames]
    if not rows:
        raise BadInputError(f"{name} has no frames")
    if np.isnan(rows).all():
        where = "the picture" if len(rows) == 1 else f"any of its {len(rows)} frames (0 to {len(rows) - 1})"
        raise BadInputError(
            f"no face found in {name or 'the video'}",
            why=f"there is none in {where}",
            hint="use one where a face is seen from the front, not too small and well lit",
        )
    return Capture(columns, np.arange(len(rows)) / fps, np.stack(rows), name)


class Landmarker:
    """MediaPipe's face landmarker; a context manager that is called with frames.

    Of several faces the largest is followed from frame to frame. Raises NotFoundError without MediaPipe or its model.
    """

    def __init__(self, model: str | Path | None = None) -> None:
        file = Path(os.path.expanduser(model)) if model else find_task()
        if file is None:
            raise NotFoundError(
                "there is no model to find faces with",
                why=f"no installed package holds a {TASK}",
                hint=f"{INSTALL}, or name a downloaded one with --face-model",
            )
        if not file.is_file():
            raise NotFoundError(f"there is no face model {file}", hint=f"name a {TASK} that MediaPipe publishes")
        self._file, self._last = file, np.array([np.nan, np.nan])
        self.crowded = 0
        """Frames so far that showed more than one face."""

    def __enter__(self) -> Landmarker:
        try:
            import mediapipe
            from mediapipe.tasks.python import BaseOptions, vision
        except ImportError as error:
            raise NotFoundError("faces in videos are read with MediaPipe", why=str(error), hint=INSTALL) from error
        options = vision.FaceLandmarkerOptions(
            base_options=BaseOptions(model_asset_buffer=self._file.read_bytes()),
            num_faces=MAX_FACES,
            output_face_blendshapes=True,
            output_facial_transformation_matrixes=True,
        )
        self._mediapipe, self._quiet = mediapipe, True
        try:
            with _quiet_stderr():
                self._landmarker = vision.FaceLandmarker.create_from_options(options)
        except (RuntimeError, ValueError) as error:
            raise NotFoundError(f"{self._file} is not a face model", why=_last_line(error)) from error
        return self

    def __exit__(self, *_: object) -> None:
        self._landmarker.close()

    def __call__(self, frame: np.ndarray) -> np.ndarray | None:
        """The followed face's values of `COLUMNS`, None if there is no face in the frame [h, w, 3] uint8."""
        image = self._mediapipe.Image(image_format=self._mediapipe.ImageFormat.SRGB, data=np.ascontiguousarray(frame))
        if self._quiet:
            # the first call logs warnings about itself
            with _quiet_stderr():
                result = self._landmarker.detect(image)
            self._quiet = False
        else:
            result = self._landmarker.detect(image)
        faces = list(_faces(result, frame.shape[0] / frame.shape[1]))
        self.crowded += len(faces) > 1
        chosen = follow(faces, self._last)
        if chosen is None:
            return None
        self._last = chosen.centre
        return chosen.values


def follow(faces: list[Face], last: np.ndarray) -> Face | None:
    """The face nearest to where the last one was; the largest one where none was (NaN)."""
    if not faces:
        return None
    if np.isnan(last).any():
        return max(faces, key=lambda face: face.extent)
    return min(faces, key=lambda face: float(np.hypot(*(face.centre - last))))


def find_task() -> Path | None:
    """The face landmarker's model in an installed package; none is imported."""
    for package in distributions():
        for file in package.files or ():
            if file.name == TASK and (found := Path(str(package.locate_file(file)))).is_file():
                return found
    return None


def _faces(result: Any, tall: float) -> Iterator[Face]:
    groups = zip(result.face_landmarks, result.face_blendshapes, result.facial_transformation_matrixes, strict=True)
    for landmarks, shapes, matrix in groups:
        points = np.array([(point.x, point.y * tall) for point in landmarks])
        values = row_of({shape.category_name: shape.score for shape in shapes}, np.asarray(matrix))
        low, high = points.min(0), points.max(0)
        yield Face(values, (low + high) / 2, float((high - low).max()))


@contextmanager
def _quiet_stderr() -> Iterator[None]:
    """Hides what native code writes to the process's stderr."""
    kept = os.dup(2)
    try:
        with open(os.devnull, "wb") as nowhere:
            os.dup2(nowhere.fileno(), 2)
            yield
    finally:
        os.dup2(kept, 2)
        with suppress(OSError):
            os.close(kept)


def _last_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
