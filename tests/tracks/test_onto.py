"""Tracks brought onto a portrait's own face: the first frame is the portrait."""

import numpy as np
import pytest

from laser_cli.tracks.onto import LEAD, onto_face
from laser_cli.tracks.schema import FaceTrack

OWN = FaceTrack.of(30, ("mouthSmileLeft", "eyeBlinkLeft", "yaw", "pitch"), np.array([[0.6, 0.1, 12.0, -5.0]]))


def track(*columns, start=0.0, end=1.0, frames=5):
    values = [np.linspace(start, end, frames) for _ in columns]
    return FaceTrack.of(10, columns, np.stack(values, 1))


def test_relative_movement_starts_at_the_portraits_values():
    moved, lead = onto_face(track("jawOpen", "yaw", start=0.2, end=0.9), OWN, relative=True)
    assert lead == 0
    assert moved["jawOpen"][0] == 0 and moved["jawOpen"][-1] == pytest.approx(0.7)
    assert moved["yaw"][0] == 12 and moved["yaw"][-1] == pytest.approx(12.7)
    # what the drive does not know stays as the portrait has it
    assert (moved["mouthSmileLeft"] == 0.6).all() and "pitch" not in moved.columns


def test_a_drive_that_begins_elsewhere_is_led_to():
    drive = track("mouthSmileLeft", "jawOpen", start=0.0, end=1.0)
    led, lead = onto_face(drive, OWN, relative=False)
    assert lead == round(LEAD * 10) and len(led.frames) == lead + 5
    assert led["mouthSmileLeft"][0] == pytest.approx(0.6) and led["eyeBlinkLeft"][0] == pytest.approx(0.1)
    assert np.allclose(led["jawOpen"][lead:], drive["jawOpen"]) and (np.diff(led["mouthSmileLeft"][:lead]) <= 0).all()
    assert "yaw" not in led.columns


def test_a_drive_that_begins_as_the_portrait_is_needs_no_way():
    drive = FaceTrack.of(10, ("mouthSmileLeft", "eyeBlinkLeft"), np.array([[0.58, 0.08], [0.0, 0.0]]))
    same, lead = onto_face(drive, OWN, relative=False)
    assert (same, lead) == (drive, 0)


@pytest.mark.parametrize("relative", [True, False])
def test_one_frame_is_enough_or_moves_nothing(relative):
    led, lead = onto_face(track("jawOpen", start=0.8, frames=1), OWN, relative=relative)
    assert len(led.frames) == 1 + lead and bool(lead) != relative
