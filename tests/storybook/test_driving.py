"""What drives puppets: states as motions, tracks within what they can do, faces told by prompts."""

import numpy as np
import pytest

from laser_cli.controls.knit.drive import COEFFICIENTS
from laser_cli.plan.schema import Plan, Segment
from laser_cli.storybook.driving import as_puppet, face_of_words, motion_of, puppet_of
from laser_cli.storybook.puppets import YAW, Puppet
from laser_cli.tracks.schema import FaceTrack

LOOKS = "a portrait of a person with light skin, short red hair and blue eyes"


def test_a_puppets_state_as_a_motion_counts_as_tracks_do():
    motion = motion_of([Puppet(yaw=20, pitch=10, roll=-5, expression=(("jawOpen", 0.7),))])
    assert np.allclose(np.degrees(motion.pose.angles), [[-10, 20, 5]])
    assert motion.coefficients[0, COEFFICIENTS.index("jawOpen")] == 0.7 and motion.coefficients.sum() == 0.7


def test_a_track_shown_by_a_puppet_is_read_back():
    track = FaceTrack.of(12, ("jawOpen", "pitch", "yaw", "roll"), np.array([[0.5, 8.0, -15.0, 4.0]]))
    motion = motion_of([puppet_of(track, 0)])
    assert np.allclose(np.degrees(motion.pose.angles), [[8, -15, 4]])
    assert motion.coefficients[0, COEFFICIENTS.index("jawOpen")] == 0.5


def test_a_puppet_does_what_it_can():
    values = np.array([[1.0, 0.9, 80.0, -60.0, -70.0]])
    track = as_puppet(FaceTrack.of(12, ("jawOpen", "tongueOut", "yaw", "roll", "z"), values))
    assert track.columns == ("jawOpen", "yaw", "roll") and track["yaw"][0] == YAW and track["roll"][0] == -24
    assert len(as_puppet(FaceTrack.of(12, ("tongueOut",), np.ones((3, 1)))).frames) == 3


def told(*prompts):
    return face_of_words(Plan(source=prompts[0], segments=tuple(Segment(prompt=p, frames=4) for p in prompts[1:])))


def test_prompts_tell_a_face():
    points = told(f"{LOOKS}, smiling", f"{LOOKS}, smiling, turned a little to the left", f"{LOOKS}, turned to the left")
    assert [p.at for p in points] == pytest.approx([0, 50, 100])
    assert [p.yaw for p in points] == [0, -13.5, -30]
    assert points[1].expression == {"mouthSmileLeft": 100, "mouthSmileRight": 100} and points[2].expression == {}


def test_prompts_in_which_no_face_moves_tell_none():
    assert told(f"{LOOKS}, smiling", f"{LOOKS}, smiling, on a blue background") == ()
    assert told("a red ball in a meadow", "a blue ball in a meadow") == ()
