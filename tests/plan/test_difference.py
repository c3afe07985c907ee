"""What two prompts differ in."""

import pytest

from laser_cli.plan.difference import (
    moved_to,
    only_the_place_changes,
    only_the_scene_changes,
    only_the_subject_changes,
    same_light,
    same_subject,
)

BALL = "a red ball in a meadow at noon"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (BALL, "an orange ball in a meadow at noon"),
        (BALL, "a red striped cat in a meadow at noon"),
        ("a sketch of a small red ball at night, in winter", "a sketch of a small teal cup at night, in winter"),
    ],
)
def test_the_subject_alone(before, after):
    assert only_the_subject_changes(before, after) and only_the_subject_changes(after, before)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (BALL, BALL),
        (BALL, "a red ball in a meadow at night"),
        (BALL, "a red ball in a meadow at noon in the rain"),
        (BALL, "a large red ball in a meadow at noon"),
        (BALL, "a red ball on the left in a meadow at noon"),
        ("a flat drawing of a red ball", "a sketch of a red ball"),
        ("a portrait with tan skin, smiling", "a portrait with tan skin, angry"),
        ("in the rain", "in the snow"),
        ("a cat", "a cat wearing a hat"),
    ],
)
def test_more_than_the_subject_or_nothing(before, after):
    assert not only_the_subject_changes(before, after) and not only_the_subject_changes(after, before)


@pytest.mark.parametrize(
    ("before", "after", "place"),
    [
        ("a red ball", "a red ball on the left", 0.25),
        ("a red ball on the left in a meadow", "a red ball in a meadow", 0.5),
        ("a red ball to the left at noon", "a red ball a little to the right at noon", 0.625),
        ("a red ball on the left", "a blue ball to the left at night", None),
        ("a red ball", "a red ball in the middle", None),
    ],
)
def test_where_a_subject_moves(before, after, place):
    assert moved_to(before, after) == place


def test_what_else_changes_when_a_subject_moves():
    here, there = "a red ball in a meadow at noon", "a red ball on the left in a meadow at noon"
    assert only_the_place_changes(here, there) and same_subject(here, there)
    assert not only_the_place_changes(here, there.replace("noon", "night"))
    assert same_subject(here, there.replace("noon", "night"))
    assert same_subject(here, there.replace("red", "blue")) and not same_subject(
        here, there.replace("red", "blue"), True
    )
    assert same_subject(here, there, look=True) and not same_subject(here, there.replace("ball", "cat"))


def test_light_is_the_hour_and_the_style():
    assert same_light(BALL, "a blue ball on the left in a meadow at noon, in the rain")
    assert not same_light(BALL, "a red ball in a meadow at dusk") and not same_light(BALL, f"a sketch of {BALL}")


@pytest.mark.parametrize(
    "after",
    [
        "a red ball in a meadow at night",
        "a red ball on the left by the sea, in winter, in falling snow, covered in snow",
        "at dusk, a red ball in a meadow, under an overcast sky",
    ],
)
def test_the_scene_alone(after):
    assert only_the_scene_changes(BALL, after) and only_the_scene_changes(after, BALL)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (BALL, BALL),
        (BALL, "a blue ball in a meadow at night"),
        (BALL, "a large red ball in a meadow at night"),
        (BALL, f"a watercolour of {BALL}"),
        (BALL, "a red ball with a hat at night"),
        ("a portrait of a woman at noon", "a portrait of a woman with a hat at night"),
        ("a tree by a lake", "a tree by a lake, its leaves red"),
        ("at noon", "at night"),
    ],
)
def test_more_than_the_scene_or_nothing(before, after):
    assert not only_the_scene_changes(before, after) and not only_the_scene_changes(after, before)
