"""Reads a face track from whatever holds one: a track, a capture, MediaPipe's results, a plan, a video, a picture."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from laser_cli import limits
from laser_cli.errors import BadInputError
from laser_cli.text import read_text
from laser_cli.tracks.capture import Capture, Filling, cut, to_track
from laser_cli.tracks.files import parse_csv, parse_track
from laser_cli.tracks.livelink import is_livelink, parse_livelink
from laser_cli.tracks.results import COLUMNS as FACE_COLUMNS
from laser_cli.tracks.results import loads, looks_like_results, parse_results
from laser_cli.tracks.retarget import resample
from laser_cli.tracks.schema import FaceTrack
from laser_cli.tracks.smooth import CUTOFF, smooth
from laser_cli.tracks.video import PICTURES, VIDEOS, Landmarker, Measure, capture_faces, open_clip

PLAN_KEY = re.compile(r'^"?segments"?\s*:|[{,]\s*"segments"\s*:', re.MULTILINE)
"""What plan files have and tracks do not."""
PLAN_FPS = 12.0
"""Frames a second of a plan, which does not say."""


@dataclass(frozen=True)
class Reading:
    """How a source becomes a track: the part in seconds, frames a second (its own if None), `smooth` in Hz at rest
    (None: measured sources at the usual cutoff, made ones not at all; 0: never), the `face_model` for videos, and
    whether they show a storybook `puppet`."""

    start: float | None = None
    end: float | None = None
    fps: float | None = None
    smooth: float | None = None
    face_model: str | None = None
    puppet: bool = False


class Ticker(Protocol):
    """What is told of every frame read."""

    def advance(self, n: int = 1, label: str | None = None) -> None:
        """`n` more frames are done."""


Progress = Callable[[int, str], AbstractContextManager[Ticker]]
"""`progress(total, label)`: a context that is told of a long job's steps."""


class _Untold:
    def advance(self, n: int = 1, label: str | None = None) -> None:
        """Tell nobody."""


def untold(total: int, label: str) -> AbstractContextManager[Ticker]:
    """Progress that nobody watches."""
    return nullcontext(_Untold())


def read_track(
    path: str | Path, reading: Reading = Reading(), progress: Progress = untold
) -> tuple[FaceTrack, list[str]]:
    """The track that a file holds, and what has to be said about it. Raises BadInputError, NotFoundError."""
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix in VIDEOS or suffix in PICTURES:
        return _from_capture(_filmed(path, reading, progress), reading, "linear", measured=True)
    text = read_text(path, "the face track ", limits.TRACK_BYTES)
    name = path.name
    if suffix == ".csv":
        if is_livelink(text):
            return _from_capture(parse_livelink(text, name), reading, "hold", measured=True)
        return _from_capture(parse_csv(text, name), reading, "linear", measured=False)
    if suffix in (".json", ".jsonl"):
        try:
            value = loads(text)
        except (ValueError, RecursionError) as error:
            raise BadInputError(f"{path} is not a face track", why=f"it is not valid JSON: {error}") from error
        if looks_like_results(value):
            return _from_capture(parse_results(value, name), reading, "linear", measured=True)
    if suffix in (".yaml", ".yml", ".json"):
        return _from_track(_planned(text, path, reading) or parse_track(text, name), reading)
    known = ", ".join((".yaml", ".json", ".csv", *VIDEOS, *PICTURES))
    raise BadInputError(f"{path} is not a face track", why=f"its name does not end in any of {known}")


def read_face(picture: np.ndarray, name: str, *, puppet: bool = False, face_model: str | None = None) -> FaceTrack:
    """The face in a picture [h, w, 3] uint8 as a track of one frame. Raises BadInputError where there is none."""
    with ExitStack() as stack:
        measure, columns = _reader(puppet, face_model, stack)
        capture = capture_faces([picture], 30.0, measure, columns, name)
    return to_track(capture)[0]


def _reader(puppet: bool, face_model: str | None, stack: ExitStack) -> tuple[Measure, tuple[str, ...]]:
    """What measures faces, open as long as the stack, and the columns that it measures."""
    if puppet:
        from laser_cli.tracks.puppets import COLUMNS, puppet_reader

        return puppet_reader(), COLUMNS
    return stack.enter_context(Landmarker(face_model)), FACE_COLUMNS


def _planned(text: str, path: Path, reading: Reading) -> FaceTrack | None:
    """The face of a plan, if the text is a plan."""
    from laser_cli.plan.files import parse_plan
    from laser_cli.tracks.planned import planned_track

    if not PLAN_KEY.search(text):
        return None
    return planned_track(parse_plan(text, str(path)), reading.fps or PLAN_FPS, source=path.name)


def _filmed(path: Path, reading: Reading, progress: Progress) -> Capture:
    clip = open_clip(path)
    with ExitStack() as stack:
        measure, columns = _reader(reading.puppet, reading.face_model, stack)
        ticker = stack.enter_context(progress(clip.expected, "faces"))
        capture = capture_faces(_told(clip.frames, ticker), clip.fps, measure, columns, path.name)
    crowded = getattr(measure, "crowded", 0)
    return capture.noting(f"{crowded} frames show several faces: the largest is followed") if crowded else capture


def _told(frames: Iterator[np.ndarray], ticker: Ticker) -> Iterator[np.ndarray]:
    for frame in frames:
        yield frame
        ticker.advance()


def _from_capture(
    capture: Capture, reading: Reading, filling: Filling, *, measured: bool
) -> tuple[FaceTrack, list[str]]:
    if reading.start is not None or reading.end is not None:
        capture = cut(capture, reading.start, reading.end)
    # smoothed at its own rate: resampling would blur the speed that the filter reads
    track, notes = to_track(capture, filling=filling)
    return _finished(track, reading, CUTOFF if measured else 0.0), notes


def _from_track(track: FaceTrack, reading: Reading) -> tuple[FaceTrack, list[str]]:
    if reading.start is not None or reading.end is not None:
        times = np.arange(len(track.frames)) / track.fps
        part = cut(Capture(track.columns, times, track.values, track.source), reading.start, reading.end)
        track = track.with_values(part.values)
    return _finished(track, reading, 0.0), []


def _finished(track: FaceTrack, reading: Reading, cutoff: float) -> FaceTrack:
    cutoff = cutoff if reading.smooth is None else reading.smooth
    track = smooth(track, cutoff) if cutoff > 0 else track
    return resample(track, reading.fps) if reading.fps and reading.fps != track.fps else track
