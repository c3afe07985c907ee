"""What two prompts differ in."""

import pytest

from laser_cli.plan.difference import only_the_subject_changes

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
