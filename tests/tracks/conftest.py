"""Captures as their apps write them, made here with numbers of our own."""

import csv
import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from laser_cli.tracks.names import SHAPES
from laser_cli.tracks.schema import FaceTrack

FIXTURES = Path(__file__).parents[1] / "fixtures" / "hellomeme"
HEAD = ("HeadYaw", "HeadPitch", "HeadRoll")
EYES = tuple(f"{side}Eye{angle}" for side in ("Left", "Right") for angle in ("Yaw", "Pitch", "Roll"))


def livelink(frames: list[dict[str, float]], codes: list[str], count: str = "BlendShapeCount") -> str:
    """A capture of Live Link Face: its shapes in PascalCase, in an order of its own; rows without values are lost."""
    names = [name[0].upper() + name[1:] for name in reversed(SHAPES)]
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(["Timecode", count, *names, *HEAD, *EYES])
    for code, frame in zip(codes, frames, strict=True):
        values = [f"{frame.get(name, 0.0):.10f}" for name in (*names, *HEAD, *EYES)]
        writer.writerow([code, 61, *values] if frame is not LOST else [code, 0, *([""] * len(values))])
    return out.getvalue()


LOST: dict[str, float] = {}
"""A row in which the face was lost."""


@pytest.fixture
def take() -> Callable[..., str]:
    return livelink


@pytest.fixture
def talking() -> FaceTrack:
    """Two seconds of speech and a turn of the head, 30 frames a second."""
    t = np.arange(60) / 30
    values = np.stack([0.4 + 0.4 * np.sin(9 * t), 30 * np.sin(2 * t), np.full(60, -60.0)], 1)
    return FaceTrack.of(30, ("jawOpen", "yaw", "z"), values, "talk.mp4")
