"""Where the frames of an interpolation lie: published spacing, equal change, jumps and their bridges."""

import math
from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from laser_cli.engine.beta import beta_cdf, beta_ppf
from laser_cli.engine.between import evaluations
from laser_cli.errors import BadInputError
from laser_cli.stages.spacing import EXTRA, by_beta, drafting, even, uniform
from laser_cli.stages.survey import Gap, plan_rounds, survey


def way(change):
    """A world of one number: the picture at t is change(t); the distance is the difference."""
    asked = []

    def look(places):
        asked.append(len(places))
        return [torch.tensor(float(k)) for k in range(3)], [torch.tensor(f.end - 1 + change(f.t)) for f in places]

    return look, asked


def distance(a, b):
    return abs(float(a - b))


def test_uniform_spacing_shares_its_keyframes():
    course = uniform(7, 2)
    assert list(course.places) == [0, 3, 6] and course.total == 7
    assert [(f.end, pytest.approx(f.t)) for f in course.frames] == [(1, 1 / 3), (1, 2 / 3), (2, 1 / 3), (2, 2 / 3)]
    with pytest.raises(BadInputError, match="too few"):
        uniform(2, 2)


def test_beta_quantiles_are_those_of_the_distribution():
    assert beta_ppf(0.3, 1, 1) == pytest.approx(0.3)
    assert beta_ppf(0.25, 2, 1) == pytest.approx(0.5)  # the CDF is x squared
    assert beta_ppf(0.5, 25, 25) == pytest.approx(0.5)
    # against a plain integration of the density
    x = torch.linspace(0, 1, 200_001, dtype=torch.float64)
    density = x**2 * (1 - x) ** 4
    done = torch.cumulative_trapezoid(density, x) / torch.trapezoid(density, x)
    assert beta_cdf(0.3, 3, 5) == pytest.approx(float(done[59_999]), abs=1e-8)
    assert beta_cdf(0.8, 3, 5) == pytest.approx(float(done[159_999]), abs=1e-8)


def test_beta_spacing_gathers_frames_in_the_middle():
    times = [f.t for f in by_beta(9, 1, 25, 25).frames]
    assert times == sorted(times) and times[3] == pytest.approx(0.5)
    assert all(0.3 < t < 0.7 for t in times)
    assert [f.t for f in by_beta(9, 1, 1, 1).frames] == pytest.approx([f.t for f in uniform(9, 1).frames])


@pytest.mark.parametrize("power", [1, 2, 4])
def test_even_spacing_evens_a_smooth_way(power):
    look, _ = way(lambda t: t**power)
    profiles = survey(look, 1, [8, 4, 4], 24, distance)
    course = even(24, profiles, 25)
    assert not course.bridges
    values = [0.0, *(f.t**power for f in course.frames), 1.0]
    gaps = [b - a for a, b in pairwise(values)]
    assert max(gaps) / sorted(gaps)[len(gaps) // 2] < 1.25


def test_frames_follow_a_steep_stretch_between_the_drafts():
    look, _ = way(lambda t: 0.2 * t + 0.8 / (1 + math.exp(-30 * (t - 0.47))))
    course = even(18, survey(look, 1, [5, 6], 18, distance), 25)
    values = [0.0, *(0.2 * f.t + 0.8 / (1 + math.exp(-30 * (f.t - 0.47))) for f in course.frames), 1.0]
    gaps = [b - a for a, b in pairwise(values)]
    assert not course.bridges and max(gaps) / sorted(gaps)[len(gaps) // 2] < 2


def test_a_jump_is_found_bridged_and_not_halved_for_ever():
    look, asked = way(lambda t: 0.3 * t + 0.7 * (t > 0.37))
    profiles = survey(look, 1, [8] + [4] * 20, 24, distance)
    assert sum(gap.jump for gap in profiles[0]) == 1
    assert sum(asked) < 16  # twenty more rounds were allowed
    course = even(24, profiles, 25)
    (bridge,) = course.bridges
    assert bridge.last - bridge.first + 1 >= 12 and bridge.step == 17
    left, right = course.frames[bridge.first - 1], course.frames[bridge.last + 1]
    assert left.t < 0.37 < right.t < left.t + 0.06
    assert all(left.t < course.frames[j].t < right.t for j in range(bridge.first, bridge.last + 1))


def test_a_distance_that_saturates_is_no_jump():
    look, _ = way(lambda t: t)
    profiles = survey(look, 1, [4, 4, 4, 4], 60, lambda a, b: float(a != b))
    assert not any(gap.jump for gap in profiles[0])


def test_a_longer_segment_gets_more_frames():
    profiles = [[Gap(0.0, 1.0, 3.0)], [Gap(0.0, 1.0, 1.0)]]
    assert list(even(9, profiles, 25).places) == [0, 6, 8]


@settings(deadline=None)
@given(
    st.lists(st.lists(st.tuples(st.floats(0, 100), st.integers(0, 3)), min_size=1, max_size=9), min_size=1, max_size=3),
    st.integers(0, 40),
)
def test_times_rise_within_every_segment_and_bridges_have_ends(lengths, more):
    profiles = [[Gap(i / len(one), (i + 1) / len(one), d, w) for i, (d, w) in enumerate(one)] for one in lengths]
    total = len(profiles) + 1 + more
    course = even(total, profiles, 10)
    assert course.total == total and course.places[0] == 0 and course.places[-1] == total - 1
    for end in range(1, len(profiles) + 1):
        times = [f.t for f in course.frames if f.end == end]
        assert times == sorted(times) and all(0 <= t <= 1 for t in times)
    ends = [f.end for f in course.frames]
    spanned = {j for b in course.bridges for j in range(b.first, b.last + 1)}
    assert len(spanned) == sum(b.last - b.first + 1 for b in course.bridges)
    for b in course.bridges:
        assert ends[b.first] == ends[b.last]
        for j in {b.first - 1, b.last + 1} & spanned:
            assert ends[j] != ends[b.first]


@settings(deadline=None, max_examples=50)
@given(st.integers(1, 6), st.integers(3, 400), st.integers(1, 100), st.sampled_from([1.0, 3.0]))
def test_drafts_stay_within_half_of_the_drawing(segments, more, steps, guidance):
    total = segments + more
    whole = evaluations(segments + 1, total - segments - 1, steps, guidance)
    assert drafting(segments, total, steps, guidance) <= 0.5 * whole
    if plan_rounds(segments, total, steps, EXTRA):
        assert plan_rounds(segments, total, steps, EXTRA)[0] >= segments
    assert EXTRA < 0.5
