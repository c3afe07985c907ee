"""Poses: read, interpolated as keypoints, drawn."""

import json

import numpy as np
import pytest

from laser_cli.errors import BadInputError
from laser_cli.models.pose import BODY, COLOURS, FACE, LEFT, between, draw_pose, held, read_pose


def standing(x=256.0, unseen=(), **more):
    """A person of 18 points on 512 x 512, arms out, seen but for some."""
    places = [(0, 80), (0, 130), (-50, 130), (-100, 130), (-150, 130), (50, 130), (100, 130), (150, 130)]
    places += [(-30, 280), (-30, 370), (-30, 460), (30, 280), (30, 370), (30, 460), (-10, 70), (10, 70)]
    places += [(-20, 75), (20, 75)]
    points = [(x + dx, y, 0.0 if k in unseen else 1.0) for k, (dx, y) in enumerate(places)]
    return {BODY: [n for point in points for n in point], **more}


def write(path, *people, **canvas):
    path.write_text(json.dumps({"people": list(people), **canvas}))
    return path


CANVAS = {"canvas_width": 512, "canvas_height": 512}


def test_points_move_evenly_between_two_poses(tmp_path):
    a = read_pose(write(tmp_path / "a.json", standing(156), **CANVAS))
    b = read_pose(write(tmp_path / "b.json", standing(356), **CANVAS))
    for t in (0, 0.25, 1):
        assert between(a, b, t).people[0][BODY][0, 0] == pytest.approx(156 + 200 * t)
    assert list(held(a, b)) == []


def test_points_and_people_seen_once_are_held_and_said(tmp_path):
    a = read_pose(write(tmp_path / "a.json", standing(156, unseen=(4,)), standing(400), **CANVAS))
    b = read_pose(write(tmp_path / "b.json", standing(356, unseen=(10,)), **CANVAS))
    mid = between(a, b, 0.5)
    # they go with the body, which is half of 200 px from either end
    assert mid.people[0][BODY][4].tolist() == (b.people[0][BODY][4] - [100, 0, 0]).tolist()
    assert mid.people[0][BODY][10].tolist() == (a.people[0][BODY][10] + [100, 0, 0]).tolist()
    assert np.array_equal(mid.people[1][BODY], a.people[1][BODY])
    told = list(held(a, b))
    assert told == ["1 of the people", "the right wrist of person 1", "the right ankle of person 1"]
    unseen = read_pose(write(tmp_path / "c.json", standing(unseen=(4,)), **CANVAS))
    assert between(unseen, unseen, 0.5).people[0][BODY][4, 2] == 0


def test_openposes_25_points_hands_and_faces_are_read(tmp_path):
    body = np.arange(75.0).reshape(25, 3) + 1
    hand, face = np.ones((21, 3)), np.ones((70, 3))
    told = {BODY: body.flatten().tolist(), LEFT: hand.flatten().tolist(), FACE: face.flatten().tolist()}
    (who,) = read_pose(write(tmp_path / "a.json", told)).people
    assert who[BODY][7].tolist() == body[7].tolist() and who[BODY][8].tolist() == body[9].tolist()
    assert who[BODY][17].tolist() == body[18].tolist()
    assert who[LEFT].shape == (21, 3) and who[FACE].shape == (70, 3)


def test_a_skeleton_has_its_joints_colours_and_keeps_its_place_at_any_size(tmp_path):
    pose = read_pose(write(tmp_path / "a.json", standing(), **CANVAS))
    large, small = draw_pose(pose, (512, 512)), draw_pose(pose, (256, 256))
    assert large.shape == (512, 512, 3) and small.shape == (256, 256, 3)
    for joint in (0, 4, 13):
        x, y, _ = pose.people[0][BODY][joint]
        assert tuple(large[int(y), int(x)]) == COLOURS[joint] == tuple(small[int(y) // 2, int(x) // 2])
    assert not large[500, 10].any() and 0.01 < (large.sum(-1) > 0).mean() < 0.2


def test_normalised_points_need_no_canvas(tmp_path):
    told = standing()
    told[BODY] = [n if i % 3 == 2 else n / 512 for i, n in enumerate(told[BODY])]
    pose = read_pose(write(tmp_path / "a.json", told))
    whole = read_pose(write(tmp_path / "b.json", standing(), **CANVAS))
    assert np.array_equal(draw_pose(pose, (128, 128)), draw_pose(whole, (128, 128)))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "is not a pose"),
        ("{}", "is not a pose"),
        ('{"people": []}', "is not a pose"),
        ('{"people": [{}]}', "is not a pose"),
        ('{"people": [{"pose_keypoints_2d": [1, 2]}]}', "is not a pose"),
        ('{"people": [{"pose_keypoints_2d": [1, 2, 3]}]}', "is not a pose"),
    ],
)
def test_what_is_no_pose_is_refused(tmp_path, text, said):
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(BadInputError, match=said):
        read_pose(tmp_path / "a.json")
    with pytest.raises(BadInputError, match="cannot read"):
        read_pose(tmp_path / "nowhere.json")
