"""Names of expressions, the words that mean them, and the blendshapes that show them."""

from typing import get_args

import pytest

from laser_cli.plan.expressions import EXPRESSIONS, NAMES, TURNS, face_point, named
from laser_cli.plan.schema import FacePoint
from laser_cli.tracks.names import SHAPES, Shape


def test_plans_and_tracks_have_one_list_of_shapes():
    assert set(SHAPES) == set(get_args(Shape)) and len(SHAPES) == 52
    assert FacePoint(at=0, expression=dict.fromkeys(SHAPES, 1)).expression.keys() == set(SHAPES)


@pytest.mark.parametrize("name", NAMES)
def test_every_name_shows_something_that_a_plan_can_hold(name):
    point = face_point(50, {name: 80})
    assert point.expression if name in EXPRESSIONS else any((point.yaw, point.pitch, point.roll))
    assert point.expression.keys() <= set(SHAPES) and face_point(0, {name: 0}) == FacePoint(at=0)


def test_levels_scale_add_up_and_stay_within_their_ranges():
    assert face_point(0, {"smiling": 50}).expression["mouthSmileLeft"] == 50
    both = face_point(0, {"smiling": 50, "laughing": 100, "turned left": 500, "chin up": 10})
    assert both.expression["mouthSmileLeft"] == 100 and (both.yaw, both.pitch) == (-90, 10)
    assert face_point(0, {"turned left": 30, "turned right": 30}).yaw == 0


@pytest.mark.parametrize(
    ("words", "names"),
    [
        ("she smiles and winks", ("smiling", "winking")),
        ("a laughing old man", ("laughing",)),
        ("he opens his mouth", ("mouth open",)),
        ("the girl closes her eyes", ("eyes closed",)),
        ("he turns his head to the left", ("turned left",)),
        ("she looks up", ("looking up",)),
        ("she tilts her head", ("tilted right",)),
        ("she tilts her head to the left", ("tilted left",)),
        ("he nods", ("chin down",)),
        ("the door opens", ()),
        ("the car turns left", ()),
        ("a saddle on a horse", ()),
    ],
)
def test_words_that_mean_a_face(words, names):
    assert named(words) == names


def test_sides_are_the_viewers_but_those_of_shapes_are_the_persons_own():
    left = face_point(0, {"looking left": 100}).expression
    assert left == {"eyeLookInLeft": 80, "eyeLookOutRight": 80} and TURNS["turned left"].sign == -1
