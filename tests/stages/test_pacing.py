"""Equal time, equal change."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from laser_cli.engine.spec import SamplingParams
from laser_cli.plan.schema import Plan, Segment
from laser_cli.plan.way import lengths
from laser_cli.stages import pacing
from laser_cli.stages.animate import animate, compose
from laser_cli.stages.invert import invert_picture
from laser_cli.stages.pacing import EXTRA, FLATTEST, STEEPEST, nfe, paced, tempered
from laser_cli.stages.profile import Gap, time_at


def profile(*distances):
    """Stretches of equal length in t."""
    n = len(distances)
    return [Gap(i / n, (i + 1) / n, d) for i, d in enumerate(distances)]


def times(distances, wanted):
    return [time_at(tempered(profile(*distances)), share) for share in wanted]


def test_a_uniform_way_is_left_as_it_is():
    assert times([1.0] * 8, [0.0, 0.25, 0.5, 1.0]) == pytest.approx([0.0, 0.25, 0.5, 1.0], abs=1e-6)
    assert times([0.0] * 8, [0.0, 0.3, 1.0]) == pytest.approx([0.0, 0.3, 1.0])


def test_more_frames_go_where_more_happens():
    laid = times([1, 1, 1, 1, 3, 3, 1, 1], [i / 12 for i in range(13)])
    assert sum(4 / 8 < t <= 6 / 8 for t in laid) >= 5


def test_a_jump_does_not_swallow_the_frames():
    laid = times([0.01] * 7 + [100.0], [i / 20 for i in range(21)])
    assert sum(t <= 7 / 8 for t in laid) > 4


def test_no_stretch_is_too_steep_or_too_flat_whatever_its_length():
    uneven = [Gap(0.0, 0.5, 0.0), Gap(0.5, 0.9, 1.0), Gap(0.9, 1.0, 9.0)]
    assert [gap.distance for gap in tempered(uneven)] == [FLATTEST * 5, 1.0, pytest.approx(STEEPEST)]


@given(
    st.lists(st.floats(0, 1e3, allow_subnormal=False), min_size=1, max_size=12),
    st.lists(st.floats(0, 1), min_size=2, max_size=40).map(sorted),
)
def test_times_are_monotone_and_stay_within_0_and_1(distances, wanted):
    laid = times(distances, wanted)
    assert all(b >= a - 1e-9 for a, b in pairwise(laid)) and laid[0] >= 0 and laid[-1] <= 1
    assert times(distances, [0.0, 1.0]) == pytest.approx([0.0, 1.0], abs=1e-6)


def ball(storybook, red_ball, frames, steps=7):
    """Two changes of colour, and the picture they begin with."""
    inversion = invert_picture(storybook, red_ball, "a red ball in a meadow at noon", steps)
    segments = tuple(Segment(prompt=f"a {c} ball in a meadow at noon", frames=frames) for c in ("blue", "green"))
    return Plan(source=inversion.prompt, segments=segments), inversion


def test_drafts_move_the_frames_and_cost_what_is_said(storybook, red_ball):
    plan, inversion = ball(storybook, red_ball, 26)
    spec, said = compose(storybook, plan, inversion), []
    moved = paced(storybook, spec, SamplingParams(), 7, report=said.append)
    assert [f.segment for f in moved.frames] == [f.segment for f in spec.frames]
    assert all(0 < f.t < 1 for f in moved.frames) and moved.frames != spec.frames
    most = nfe(2, plan.total_frames, 7, 3.0)
    assert 0 < sum(said) <= most <= EXTRA * 2 * plan.total_frames * 7


def test_the_distance_says_where_the_frames_lie(storybook, red_ball):
    plan, inversion = ball(storybook, red_ball, 26)
    spec = compose(storybook, plan, inversion)
    moved = paced(storybook, spec, SamplingParams(), 7, lambda a, b: 1.0)
    # drafts as far apart as any others: only where one is says how fast it changes there
    assert [f.t for f in moved.frames] != [f.t for f in paced(storybook, spec, SamplingParams(), 7).frames]


def test_few_frames_are_laid_in_t_for_drafts_would_cost_too_much(storybook, red_ball):
    plan, inversion = ball(storybook, red_ball, 3)
    spec, said = compose(storybook, plan, inversion), []
    assert paced(storybook, spec, SamplingParams(), 7, report=said.append) is spec
    assert not said and nfe(2, plan.total_frames, 7, 3.0) == 0
    assert len(list(animate(storybook, plan, inversion, SamplingParams(), pace=None))) == plan.total_frames


def test_segments_on_one_way_give_each_other_frames(storybook, red_ball, monkeypatch):
    plan, inversion = ball(storybook, red_ball, 26)
    spec = compose(storybook, plan, inversion)
    monkeypatch.setattr(pacing, "measure_profiles", lambda *args: [[Gap(0.0, 1.0, 3.0)], [Gap(0.0, 1.0, 1.0)]])
    via = (plan.segments[0].model_copy(update={"via": True}), plan.segments[1])
    moved, kept = (paced(storybook, spec, SamplingParams(), 7, planned=told) for told in (via, plan.segments))
    counts = [[sum(f.segment == k for f in made.frames) for k in (0, 1)] for made in (moved, kept)]
    assert counts[1] == [24, 24] and sum(counts[0]) == 48 and counts[0][0] == lengths("linear", [3.0, 1.0], 51)[0] - 2


def test_keyframes_on_a_way_stand_where_the_pace_puts_them(storybook, red_ball):
    plan, inversion = ball(storybook, red_ball, 26)
    via = (plan.segments[0].model_copy(update={"via": True}), plan.segments[1])
    plan = plan.model_copy(update={"segments": via})
    drawn = list(animate(storybook, plan, inversion, SamplingParams()))
    assert [p.index for p in drawn] == list(range(plan.total_frames))
