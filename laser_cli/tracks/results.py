"""Results of MediaPipe's face landmarker: of its Python and JavaScript packages, in memory or as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from laser_cli.errors import BadInputError
from laser_cli.tracks.capture import Capture
from laser_cli.tracks.names import ANGLES, PLACE, SHAPES

COLUMNS = (*SHAPES[:-1], *ANGLES, *PLACE)
"""What it measures: all of ARKit's blendshapes but `tongueOut`, the head's angles and its place."""
FPS = 30.0
"""Frames a second where the file says nothing."""


def head_of(matrix: np.ndarray) -> np.ndarray:
    """Pitch, yaw and roll in degrees, and the place in centimetres, of a face's 4x4 transformation (column vectors)."""
    r = matrix[:3, :3]
    pitch, roll = np.arctan2(r[2, 1], r[2, 2]), np.arctan2(r[1, 0], r[0, 0])
    yaw = -np.arcsin(np.clip(r[2, 0], -1, 1))
    return np.array([*np.degrees([pitch, yaw, roll]), *matrix[:3, 3]])


def row_of(blendshapes: Mapping[str, float], matrix: np.ndarray | None) -> np.ndarray:
    """One frame's values of `COLUMNS`; NaN for a head that was not measured."""
    head = np.full(6, np.nan) if matrix is None else head_of(matrix)
    return np.array([*(float(blendshapes.get(name, np.nan)) for name in SHAPES[:-1]), *head])


def looks_like_results(value: Any) -> bool:
    """Whether parsed JSON is such results rather than a track."""
    frames = _frames(value)
    return bool(frames) and any(
        _field(frame, "blendshapes", "face_blendshapes", "faceBlendshapes") is not None
        for frame in frames
        if isinstance(frame, dict)
    )


def parse_results(value: Any, name: str) -> Capture:
    """The capture in parsed JSON: a result, a list of results, or `{"fps": ..., "frames": [...]}`.

    A result has `blendshapes`, as a mapping or as categories, or `faceBlendshapes`, of which the first face counts;
    `matrix`, 4x4 or JavaScript's column-major `data`; and may have `time` in seconds or `timestamp_ms`. Results
    without a face are gaps. Raises BadInputError.
    """
    frames = _frames(value)
    values, times = [], []
    fps = value.get("fps", FPS) if isinstance(value, dict) else FPS
    if not isinstance(fps, int | float) or isinstance(fps, bool) or not 0 < fps <= 1000:
        raise BadInputError(f"{name}: fps {fps!r} is not a rate of frames")
    for number, frame in enumerate(frames):
        try:
            values.append(_row(frame or {}))
            times.append(_time(frame or {}, number / fps))
        except (TypeError, ValueError, KeyError, AttributeError, IndexError) as error:
            raise BadInputError(
                f"{name}, frame {number}: not a result of MediaPipe's face landmarker", why=str(error)
            ) from error
    if (np.diff(times) <= 0).any():
        raise BadInputError(f"{name}, frame {int((np.diff(times) <= 0).argmax()) + 1}: the time does not rise")
    return Capture(COLUMNS, np.array(times) - times[0], np.stack(values), name)


def loads(text: str) -> Any:
    """JSON, or JSON Lines: one result a line."""
    try:
        return json.loads(text)
    except ValueError:
        return [json.loads(line) for line in text.splitlines() if line.strip()]


def _frames(value: Any) -> list[Any]:
    if isinstance(value, dict):
        inner = value.get("frames") or value.get("results")
        return inner if isinstance(inner, list) else [value]
    return value if isinstance(value, list) else []


def _field(frame: Mapping[str, Any], *names: str) -> Any:
    return next((frame[name] for name in names if frame.get(name) is not None), None)


def _row(frame: Mapping[str, Any]) -> np.ndarray:
    shapes = _field(frame, "blendshapes", "face_blendshapes", "faceBlendshapes")
    if not shapes:
        return np.full(len(COLUMNS), np.nan)
    return row_of(_shapes(shapes), _matrix(frame))


def _shapes(given: Any) -> dict[str, float]:
    if isinstance(given, Mapping) and "categories" not in given:
        return {name: float(score) for name, score in given.items()}
    if isinstance(given, Mapping):
        given = given["categories"]
    first = given[0]
    if isinstance(first, list) or (isinstance(first, Mapping) and "categories" in first):
        return _shapes(first)
    return {_field(c, "category_name", "categoryName", "name"): float(c["score"]) for c in given}


def _matrix(frame: Mapping[str, Any]) -> np.ndarray | None:
    found = _field(
        frame, "matrix", "facial_transformation_matrixes", "facialTransformationMatrixes", "facialTransformationMatrix"
    )
    if not found:
        return None
    if isinstance(found, Sequence) and isinstance(found[0], Mapping):
        found = found[0]
    if isinstance(found, Mapping):
        # JavaScript's: 16 numbers, column by column
        return np.array(found["data"], float).reshape(4, 4).T
    matrix = np.array(found, float)
    return matrix.reshape(-1, 4, 4)[0]


def _time(frame: Mapping[str, Any], otherwise: float) -> float:
    seconds, milliseconds = frame.get("time"), _field(frame, "timestamp_ms", "timestampMs", "timestamp")
    return float(seconds) if seconds is not None else otherwise if milliseconds is None else float(milliseconds) / 1000
