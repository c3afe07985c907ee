"""Pose maps and face geometry, against the published drawings and numbers."""

import json

import numpy as np
import pytest
from PIL import Image

from laser_cli.controls.knit.geometry import face_box, similarity, uncropped
from laser_cli.controls.knit.pose import HeadPose, corners, draw_square, pose_maps, rotations
from laser_cli.tracks.results import head_of

from .conftest import FOLDER

POSES = json.loads((FOLDER / "pose.json").read_text())
SQUARES = POSES["project_rect"]


def posed(*squares: dict) -> HeadPose:
    return HeadPose(np.array([s["rot"] for s in squares], float), np.array([s["trans"] for s in squares], float))


def test_the_projected_squares():
    assert np.allclose(corners(posed(*SQUARES)), [square["rect"] for square in SQUARES], atol=1e-6)


@pytest.mark.parametrize("number", range(6))
def test_the_drawn_squares(number):
    theirs = np.array(Image.open(FOLDER / f"heatmap_{number}.png").convert("RGB"))
    ours = draw_square(SQUARES[number]["rect"], 512, 512)
    # corners are rounded to 1/65536 of a pixel there, which moves single pixels of slanted edges
    assert (ours != theirs).any(2).sum() <= 0.01 * theirs.any(2).sum()


def test_maps_are_what_the_control_nets_take():
    maps = pose_maps(posed(SQUARES[0]), 512, 256)
    assert maps.shape == (1, 3, 512, 256) and maps.min() == -1 and maps.max() == 1


def test_rotations_and_back():
    example = POSES["rotation_example"]
    angles = np.array([example["angles"]])
    # the example multiplies row vectors
    assert np.allclose(rotations(angles)[0].T, example["matrix_rows_times"])
    for one in np.random.default_rng(0).uniform(-1.5, 1.5, (50, 3)):
        matrix = np.eye(4)
        matrix[:3, :3] = rotations(one[None])[0]
        assert np.allclose(head_of(matrix)[:3], np.degrees(one)), "a track's angles are a pose's"


def test_the_signs_of_angles():
    def shown(**angle):
        angles = [angle.get(name, 0.0) for name in ("pitch", "yaw", "roll")]
        return corners(HeadPose(np.array([angles]), np.array([[0, 0, -4.0]])))

    left, right = [0, 1], [2, 3]
    height = lambda points, side: np.ptp(points[0, side, 1])  # noqa: E731
    assert height(shown(yaw=0.3), left) > height(shown(yaw=0.3), right), "turned to the right, the left side is nearer"
    nodding = shown(pitch=0.3)[0]
    assert np.ptp(nodding[[1, 2], 0]) > np.ptp(nodding[[0, 3], 0]), "with the chin down, the top is nearer"
    assert shown(roll=0.3)[0, 2, 1] < shown()[0, 2, 1], "counter-clockwise, the right side rises"


def test_a_head_stands_before_the_camera():
    with pytest.raises(ValueError, match="negative"):
        HeadPose(np.zeros((1, 3)), np.zeros((1, 3)))
    with pytest.raises(ValueError, match=r"\[n, 3\]"):
        HeadPose(np.zeros((2, 3)), np.full((1, 3), -4.0))


@pytest.mark.parametrize("case", [c for c in POSES["crop"] if c["crop"]], ids=lambda c: f"{c['W']}x{c['H']}")
def test_the_square_around_a_face(case):
    box = face_box(np.array(case["tl"]), np.array(case["br"]), case["H"], case["W"])
    assert box.side == round(512 / case["scale"][0])
    assert np.allclose((box.left, box.top), -np.array(case["offset"]) / case["scale"], atol=1e-6)


@pytest.mark.parametrize("case", POSES["umeyama"])
def test_alignment_is_no_worse_than_the_published_one(case):
    # these points are mirrored, where the published code transposes a factor: the scale is the same, the fit worse
    source, target, theirs = (np.array(case[key]) for key in ("src", "dst", "matrix"))
    ours = similarity(source, target)
    misfit = lambda m: ((source @ m[:, :2].T + m[:, 2] - target) ** 2).sum()  # noqa: E731
    assert np.isclose(np.linalg.det(ours[:, :2]), np.linalg.det(theirs[:, :2]))
    assert misfit(ours) < misfit(theirs)


def test_alignment_finds_a_similarity_again():
    source = np.random.default_rng(0).uniform(0, 100, (5, 2))
    known = np.array([[0.6, -0.8, 3.0], [0.8, 0.6, -7.0]]) * 1.7
    assert np.allclose(similarity(source, source @ known[:, :2].T + known[:, 2]), known)


def test_places_across_crops():
    row = POSES["crop_to_full_translation"]
    place, centre, middle = (np.array(row[key]) for key in ("crop_trans", "crop_center", "full_center"))
    full = uncropped(place, centre, row["scale"], middle)
    assert np.allclose(full, row["full"], atol=1e-6)


@pytest.mark.parametrize("shift", [(-400, 0), (0, 500), (150, -230), (3000, 3000)])
def test_a_square_that_leaves_the_picture(shift):
    whole = draw_square(np.array(SQUARES[3]["rect"]) + 600, 1800, 1800)
    part = draw_square(np.array(SQUARES[3]["rect"]) + shift, 512, 512)
    top, left = 600 - shift[1], 600 - shift[0]
    seen = whole[max(0, top) : max(0, top + 512), max(0, left) : max(0, left + 512)]
    assert part.sum() == seen.sum()
