"""Keyframes on the way between far ones."""

import random

import pytest

from laser_cli.plan.intermediate import between, with_intermediate_keyframes
from laser_cli.plan.rules import plan_by_rules
from laser_cli.plan.schema import Plan, Segment
from laser_cli.plan.wording.phrases import parse_attributes
from laser_cli.storybook.changes import sample_change

CAR = "a green car {} in the city {}"


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ("a red ball in a meadow at noon", "a blue ball in a meadow at noon", []),
        (
            "a house in a meadow at noon",
            "a house in a meadow at night",
            ["a house in a meadow at sunset", "a house in a meadow at dusk"],
        ),
        ("a house at night", "a house in the morning", ["a house at dawn"]),
        ("a house at sunset", "a house at noon", []),
        ("a house at dusk", "a house at dawn", ["a house at night"]),
        (
            "a car on the left in the city",
            "a car on the right in the city",
            ["a car a little to the left in the city", "a car in the city", "a car a little to the right in the city"],
        ),
        ("a car on the right", "a car", ["a car a little to the right"]),
        (
            "a boat by the sea at noon",
            "a boat by the sea at noon in the rain",
            ["a boat by the sea at noon in light rain"],
        ),
        (
            "a red house in a meadow at noon",
            "a red house in a meadow at night in falling snow, covered in snow",
            [
                "a red house in a meadow at sunset in light snowfall, with a little snow on the ground",
                "a red house in a meadow at dusk in light snowfall, half covered in snow",
            ],
        ),
        ("a horse in a field", "a zebra in a field", []),
        # a head that turns stays where it is
        ("a man, turned to the right", "a man, head lowered", []),
        ("a cat looking a little to the left in a meadow", "a cat in a meadow", []),
    ],
)
def test_the_way_between(before, after, expected):
    assert between(before, after) == expected


def test_a_plan_keeps_its_length_its_end_and_a_steady_course():
    eased = Segment(prompt="a house at night", frames=24, easing="ease")
    plan = Plan(source="a house at noon", segments=(eased,))
    longer = with_intermediate_keyframes(plan)
    assert longer.total_frames == 24 and longer.prompts[-1] == "a house at night"
    assert [s.via for s in longer.segments] == [True, True, False]
    first, middle, last = (s.frames for s in longer.segments)
    assert first == last > middle, "the easing runs over all of the way"
    assert all(s.control == "texture" and s.strength == 0.8 for s in longer.segments)
    assert with_intermediate_keyframes(longer) == longer, "twice is once"


def test_a_short_segment_stays_whole():
    plan = Plan(source="a house at noon", segments=(Segment(prompt="a house at night", frames=6),))
    assert with_intermediate_keyframes(plan) == plan


def test_every_plan_of_the_grammar_stays_a_plan_with_small_steps():
    rng = random.Random(11)
    for _ in range(300):
        change = sample_change(rng)
        plan, _ = plan_by_rules(change.description, change.source_prompt, 48)
        longer = with_intermediate_keyframes(plan)
        assert longer.total_frames == 48
        assert longer.prompts[0] == plan.prompts[0] and longer.prompts[-1] == plan.prompts[-1]
        stages = iter(longer.prompts)
        assert all(prompt in stages for prompt in plan.prompts), "the stages stand in their order"
        assert all(a != b for a, b in zip(longer.prompts[:-1], longer.prompts[1:], strict=True))
        subjects = {parse_attributes(p).get("subject") for p in longer.prompts}
        assert subjects == {parse_attributes(p).get("subject") for p in plan.prompts}
