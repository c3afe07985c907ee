"""What drives puppets: states as motions, tracks within what they can do, faces told by prompts."""

import numpy as np
import pytest

from laser_cli.controls.knit.drive import COEFFICIENTS
from laser_cli.plan.schema import Plan, Segment
from laser_cli.storybook.driving import as_puppet, looks_alone, motion_of, puppet_of, told_face
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


def told(*prompts, description=""):
    segments = tuple(Segment(prompt=p, frames=4) for p in prompts[1:])
    return told_face(Plan(source=prompts[0], segments=segments, description=description))


def test_prompts_tell_a_face():
    points = told(f"{LOOKS}, smiling", f"{LOOKS}, smiling, turned a little to the left", f"{LOOKS}, turned to the left")
    assert [p.at for p in points] == pytest.approx([0, 50, 100])
    assert [p.yaw for p in points] == [0, -13.5, -30]
    assert points[1].expression == {"mouthSmileLeft": 100, "mouthSmileRight": 100} and points[2].expression == {}


def test_prompts_in_which_no_face_moves_tell_none():
    assert told(f"{LOOKS}, smiling", f"{LOOKS}, smiling, on a blue background") == ()
    assert told("a red ball in a meadow", "a blue ball in a meadow") == ()


def test_what_the_picture_shows_gives_way_to_what_is_told():
    points = told(f"{LOOKS}, winking with the left eye", f"{LOOKS}, surprised", description="first she is surprised")
    assert points[0].expression == {"eyeBlinkRight": 100}
    assert points[-1].expression == {"browInnerUp": 100, "jawOpen": 100}
    (_, calm) = told(f"{LOOKS}, eyes closed", f"{LOOKS}, with a neutral face", description="she relaxes the face")
    assert calm.expression == {}


def test_a_gesture_ends_before_the_animation_and_what_the_sentence_tells_stays():
    prompts = (f"{LOOKS}, with puffed cheeks", f"{LOOKS}, winking with the right eye")
    points = told(*prompts, description="she winks with the right eye")
    # a puppet winks without a smile, and what it did before lets go on the way
    assert [(p.at, p.expression) for p in points] == [(0, {"cheekPuff": 100}), (50, {"eyeBlinkLeft": 100}), (100, {})]
    prompts = (f"{LOOKS}, with closed eyes", f"{LOOKS}, winking with the right eye")
    points = told(*prompts, description="she winks with the right eye")
    assert [(p.at, p.expression.get("eyeBlinkRight", 0)) for p in points] == [(0, 100), (100, 0)]
    prompts = (LOOKS, f"{LOOKS}, smiling", f"{LOOKS}, winking with the left eye, turned to the right")
    points = told(*prompts, description="she smiles, winks with the left eye, then turns her head to the right")
    assert points[-1].expression == {"mouthSmileLeft": 100, "mouthSmileRight": 100} and points[-1].yaw == 25


def test_each_stage_has_its_own_time():
    prompts = (f"{LOOKS} and a blue cap, laughing", f"{LOOKS} and a blue cap, puffing the cheeks", LOOKS)
    points = told(*prompts, description="she puffs the cheeks, then removes the hat")
    assert [(p.at, p.expression) for p in points[1:]] == [(50, {"cheekPuff": 100}), (100, {"cheekPuff": 100})]
    prompts = (LOOKS, f"{LOOKS} and a blue cap", f"{LOOKS} and a blue cap, laughing")
    points = told(*prompts, description="she puts on a blue cap, then bursts into laughter")
    laughing = {"jawOpen": 70, "mouthSmileLeft": 100, "mouthSmileRight": 100}
    assert [(p.at, p.expression) for p in points[1:]] == [(50, {}), (100, laughing)]


def test_turns_are_counted_from_how_the_head_is_held():
    prompts = (f"{LOOKS}, turned to the left", f"{LOOKS}, turned to the right")
    assert [p.yaw for p in told(*prompts, description="she turns to the right")] == [-30, 25]
    assert [p.yaw for p in told(prompts[0], LOOKS, description="she faces forward")] == [-30, 0]


def test_slightly_is_less():
    points = told(LOOKS, f"{LOOKS}, smiling", description="she smiles a little")
    assert points[-1].expression == {"mouthSmileLeft": 45, "mouthSmileRight": 45}


def test_prompts_of_a_driven_portrait_tell_looks_alone():
    prompts = (f"{LOOKS}, smiling, turned to the left, on a blue background", "a face, surprised", "a knight, smiling")
    segments = tuple(Segment(prompt=p, frames=4) for p in prompts[1:])
    plan = looks_alone(Plan(source=prompts[0], segments=segments))
    assert plan.prompts == (f"{LOOKS}, on a blue background", "a portrait of a person", "a knight, smiling")
