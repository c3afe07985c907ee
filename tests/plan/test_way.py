"""Segments that are one way."""

from itertools import accumulate, pairwise

import pytest
from pydantic import ValidationError

from laser_cli.plan.easing import ease, time_of
from laser_cli.plan.files import parse_plan, plan_text
from laser_cli.plan.schema import Plan, Segment
from laser_cli.plan.way import apart, laid, lengths, spaced, ways

EASINGS = ("linear", "ease", "ease-in", "ease-out")


def segments(*told, easing="ease"):
    """Segments of (frames, via)."""
    return tuple(Segment(prompt=f"a {n}", frames=n, via=via, easing=easing) for n, via in told)


def test_which_segments_are_one():
    parts = segments((3, False), (4, True), (5, True), (6, False), (7, False))
    assert [(way.start, way.stop) for way in ways(parts)] == [(0, 1), (1, 4), (4, 5)]


def test_how_far_ends_are_from_the_source():
    parts = segments((3, True), (4, False), (5, False), (6, True), (7, False))
    assert apart(parts, [False, False, False, False, True]) == [0.5, 1.0, 1.0, 0.5, 0.0]
    assert apart(parts[:1], [True]) == [] and apart(parts[2:3], [True]) == [0.0]


@pytest.mark.parametrize("easing", EASINGS)
def test_the_time_of_an_eased_time(easing):
    for t in (0.0, 0.1, 0.5, 0.83, 1.0):
        assert time_of(easing, ease(easing, t)) == pytest.approx(t, abs=1e-6)


@pytest.mark.parametrize("easing", EASINGS)
def test_a_segment_of_its_own_is_eased_as_it_says(easing):
    (part,) = segments((9, False), easing=easing)
    assert list(laid([part])) == [(0, ease(easing, j / 8)) for j in range(1, 8)]


@pytest.mark.parametrize("easing", EASINGS)
def test_as_much_changes_from_each_frame_to_the_next_as_in_one_long_segment(easing):
    distances, frames = [1.0, 3.0, 2.0], 121
    parts = segments((2, True), (2, True), (frames - 2, False), easing=easing)
    parts = spaced(parts, distances)
    assert sum(p.frames - 1 for p in parts) == frames - 1
    marks = list(accumulate(distances, initial=0.0))
    done = {0: 0.0, **{sum(p.frames - 1 for p in parts[: k + 1]): marks[k + 1] for k in range(3)}}
    numbers = [n for n in range(frames) if n not in done]
    done |= {n: marks[k] + t * distances[k] for n, (k, t) in zip(numbers, laid(parts), strict=True)}
    for n in range(frames):
        assert done[n] / marks[-1] == pytest.approx(ease(easing, n / (frames - 1)), abs=0.012)


def test_lengths_follow_the_distances_and_every_segment_keeps_its_keyframes():
    assert lengths("linear", [1.0, 2.0], 13) == [5, 9]
    assert lengths("linear", [0.0, 0.0], 5) == [3, 3]
    assert lengths("linear", [1e-9, 1.0], 4) == [2, 3]


def test_ways_do_not_take_frames_from_each_other():
    parts = spaced(segments((5, True), (5, False), (9, False)), [1.0, 3.0, 100.0])
    assert sum(p.frames - 1 for p in parts[:2]) == 8 and parts[2].frames == 9 and parts[0].frames < parts[1].frames
    assert all(0 < t < 1 for _, t in laid(parts))
    assert all(b > a for (k, a), (m, b) in pairwise(laid(parts)) if k == m)


def test_a_plan_file_says_it_and_its_last_segment_cannot():
    plan = Plan(source="a house", segments=segments((5, True), (5, False)))
    assert parse_plan(plan_text(plan)) == plan and plan_text(plan).count("via: true") == 1
    with pytest.raises(ValidationError, match="no other comes after"):
        Plan(source="a house", segments=segments((5, False), (5, True)))
