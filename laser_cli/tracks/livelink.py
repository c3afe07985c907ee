"""Captures of the app Live Link Face: a CSV of blendshapes and angles by time code."""

from __future__ import annotations

import re

import numpy as np

from laser_cli.errors import BadInputError
from laser_cli.tracks.capture import Capture
from laser_cli.tracks.files import numbers, table
from laser_cli.tracks.names import SHAPES, known_column

TIMECODE = re.compile(r"(\d+):(\d+):(\d+)[:;](\d+(?:\.\d+)?)")
DAY = 24 * 3600
HEAD = {"headpitch": "pitch", "headyaw": "yaw", "headroll": "roll"}
MOST_RADIANS = 3.2
"""Head angles beyond this are degrees already."""


def is_livelink(text: str) -> bool:
    """Whether a CSV is such a capture."""
    first = text.lstrip().splitlines()[:1]
    return bool(first) and "timecode" in first[0].lower()


def parse_livelink(text: str, name: str) -> Capture:
    """The capture in a CSV, its columns found by name in any case and order. Raises BadInputError.

    Rows where the face was lost are NaN. Head columns that are zero throughout, which the app writes unless it is
    told to stream the head, mean that the head was not measured. Their angles are taken as radians by the right-hand
    rule; no public capture shows another sign.
    """
    header, rows = table(text, name)
    lowered = [cell.lower().replace(" ", "") for cell in header]
    shapes = {i: column for i, cell in enumerate(header) if (column := known_column(cell)) in SHAPES}
    heads = {i: HEAD[cell] for i, cell in enumerate(lowered) if cell in HEAD}
    if not shapes:
        raise BadInputError(f"{name} is not a capture of Live Link Face", why="none of its columns is a blendshape")
    kept = sum(1 for row in rows if len(row) > 1)
    rows = [row for row in rows if len(row) > 1]
    if not kept:
        raise BadInputError(f"{name} is not a capture of Live Link Face", why="its rows have no values")
    times = _times([row[lowered.index("timecode")] for row in rows], name)
    order = np.argsort(times, kind="stable")
    order = order[np.r_[True, np.diff(times[order]) > 0]]
    columns = shapes | heads
    values = numbers(rows, columns, name)
    counted = lowered.index("blendshapecount") if "blendshapecount" in lowered else None
    lost = np.isnan(values[:, : len(shapes)]).any(1)
    if counted is not None:
        lost |= numbers(rows, {counted: header[counted]}, name)[:, 0] == 0
    values[lost] = np.nan
    notes = []
    if len(order) < len(rows):
        notes.append(f"{len(rows) - len(order)} rows repeat a time code and are left out")
    values, times = values[order], times[order]
    head = values[:, len(shapes) :]
    if heads and not np.nan_to_num(head).any():
        notes.append("the head columns are all zero: the capture has no head pose, and the head stays still")
        columns, values = shapes, values[:, : len(shapes)]
    elif heads and np.nanmax(np.abs(head)) <= MOST_RADIANS:
        values[:, len(shapes) :] = np.degrees(head)
    return Capture(tuple(columns.values()), times - times[0], values, name, tuple(notes))


def _times(codes: list[str], name: str) -> np.ndarray:
    """Seconds since midnight of time codes `HH:MM:SS:FF.mmm`, whose frames count 60 a second (30 where none passes
    29); after midnight they go on rising."""
    parts = []
    for number, code in enumerate(codes, 1):
        found = TIMECODE.fullmatch(code.strip())
        if not found:
            raise BadInputError(
                f"{name}, row {number}: {code!r} is not a time code", why="it should be HH:MM:SS:FF.mmm"
            )
        parts.append([float(part) for part in found.groups()])
    hours, minutes, seconds, frames = np.array(parts).T
    base = 60 if frames.max() >= 30 else 30
    times = hours * 3600 + minutes * 60 + seconds + frames / base
    return times + DAY * np.cumsum(np.r_[0, np.diff(times) < -DAY / 2])
