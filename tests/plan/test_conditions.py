"""A plan's keyframes that name conditions: read, checked, written as people write them."""

import pytest

from laser_cli.errors import BadInputError
from laser_cli.plan.files import parse_plan, plan_text
from laser_cli.plan.schema import Plan, with_easing, with_frames

PLAN = """
source: a red ball
condition: here.png
segments:
- prompt: a red ball on the left
  condition: [left.png, none]
  frames: 4
- prompt: a red ball at night
"""


def test_keyframes_name_one_condition_or_one_for_each_net():
    plan = parse_plan(PLAN)
    assert plan.condition == ("here.png",)
    assert [segment.condition for segment in plan.segments] == [("left.png", "none"), ()]
    changed = with_easing(with_frames(plan, 12), "linear")
    assert [segment.condition for segment in changed.segments] == [("left.png", "none"), ()]


def test_it_is_written_as_it_is_read_and_the_header_says_what_it_is():
    plan = parse_plan(PLAN)
    text = plan_text(plan)
    assert "condition: here.png\n" in text and "- left.png" in text and "#   condition" in text
    assert parse_plan(text) == plan
    assert Plan.model_validate_json(plan.model_dump_json()) == plan


def test_a_plan_without_says_nothing_of_them():
    plan = parse_plan("source: a\nsegments: [{prompt: b}]")
    assert "condition" not in plan_text(plan) and "condition" not in plan.model_dump_json()


@pytest.mark.parametrize("wrong", ["3", "''", "[a.png, 7]", "{a: b}"])
def test_what_is_no_file_name_is_told_with_its_line(wrong):
    with pytest.raises(BadInputError) as caught:
        parse_plan(f"source: a\nsegments:\n- prompt: b\n  condition: {wrong}\n")
    assert "line 4" in caught.value.render() and "condition" in caught.value.render()
