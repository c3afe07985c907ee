"""Equal time, equal change."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from laser_cli.engine.render import Manner
from laser_cli.plan.schema import Plan, Segment
from laser_cli.stages.animate import animate, compose, paced
from laser_cli.stages.invert import invert_picture
from laser_cli.stages.pacing import draft, evaluations, even, probes_each


def test_a_uniform_way_is_left_as_it_is():
    assert even([1.0] * 8, [0.0, 0.25, 0.5, 1.0]) == pytest.approx([0.0, 0.25, 0.5, 1.0])
    assert even([0.0] * 8, [0.0, 0.3, 1.0]) == pytest.approx([0.0, 0.3, 1.0])


def test_more_frames_go_where_more_happens():
    times = even([1, 1, 1, 1, 3, 3, 1, 1], [i / 12 for i in range(13)])
    in_the_steep_part = sum(4 / 8 < t <= 6 / 8 for t in times)
    assert in_the_steep_part >= 5


def test_a_jump_does_not_swallow_the_frames():
    times = even([0.01] * 7 + [100.0], [i / 20 for i in range(21)])
    assert sum(t <= 7 / 8 for t in times) > 4


@given(
    st.lists(st.floats(0, 1e3, allow_subnormal=False), min_size=1, max_size=12),
    st.lists(st.floats(0, 1), min_size=2, max_size=40).map(sorted),
)
def test_times_are_monotone_and_stay_within_0_and_1(distances, wanted):
    times = even(distances, wanted)
    assert times == sorted(times) and times[0] >= 0 and times[-1] <= 1
    assert even(distances, [0.0, 1.0]) == pytest.approx([0.0, 1.0])


def test_a_draft_measures_every_segment_and_costs_what_it_says(storybook, red_ball):
    inversion = invert_picture(storybook, red_ball, "a red ball in a meadow at noon", 4)
    segments = tuple(Segment(prompt=f"a {c} ball in a meadow at noon", frames=3) for c in ("blue", "green"))
    plan = Plan(source=inversion.prompt, segments=segments)
    score, said = compose(storybook, plan, inversion), []
    distances = draft(storybook, score, inversion, Manner(), said.append)
    assert [len(d) for d in distances] == [probes_each(2) + 1] * 2
    assert sum(said) == evaluations(2, 4, 3.0)
    moved = paced(storybook, score, inversion, Manner())
    assert [f.end for f in moved.frames] == [1, 2] and all(0 < f.t < 1 for f in moved.frames)
    drawn = list(animate(storybook, plan, inversion, Manner(), even_pace=False))
    assert len(drawn) == plan.total_frames
