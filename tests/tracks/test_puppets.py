"""A video of a puppet, read back by the attribute classifier."""

import numpy as np
import pytest

from laser_cli.storybook.puppets import Puppet
from laser_cli.storybook.world import draw
from laser_cli.tracks.capture import to_track
from laser_cli.tracks.inbetween import Pose, draw_track
from laser_cli.tracks.puppets import COLUMNS, puppet_reader
from laser_cli.tracks.video import capture_faces


def test_what_a_puppet_does_is_read_back():
    poses = [
        Pose(0),
        Pose(1, {"jawOpen": 0.9, "yaw": 25.0, "pitch": -12.0}),
        Pose(2, {"eyeBlinkLeft": 1.0, "roll": -15}),
    ]
    track = draw_track(poses, 4, 9)

    def puppet(i: int) -> Puppet:
        shapes = tuple((name, float(track[name][i])) for name in ("jawOpen", "eyeBlinkLeft"))
        pitch, yaw, roll = (float(track[name][i]) for name in ("pitch", "yaw", "roll"))
        return Puppet(pitch=-pitch, yaw=yaw, roll=-roll, expression=shapes)

    frames = (draw([puppet(i) for i in range(9)]).clamp(0, 1) * 255).byte().permute(0, 2, 3, 1).numpy()
    found, notes = to_track(capture_faces(frames, 4, puppet_reader(), COLUMNS))
    assert notes == []
    for name, most in {"jawOpen": 0.1, "eyeBlinkLeft": 0.15, "pitch": 3, "yaw": 3, "roll": 3}.items():
        assert np.abs(found[name] - track[name]).mean() < most


def test_a_picture_that_shows_no_puppet_is_a_gap(red_ball):
    assert puppet_reader()(red_ball) is None


def test_the_columns_are_those_of_tracks():
    from laser_cli.tracks.names import COLUMNS as KNOWN

    assert set(COLUMNS) <= set(KNOWN)


@pytest.mark.parametrize("shade", [0, 255])
def test_a_plain_frame_does_not_stop_it(shade):
    row = puppet_reader()(np.full((64, 64, 3), shade, np.uint8))
    assert row is None or np.isfinite(row).all()
