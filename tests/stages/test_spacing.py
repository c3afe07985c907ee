"""Where the frames of an interpolation lie: published spacing, equal change, jumps and their bridges."""

import math
from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from laser_cli.engine.beta import beta_cdf, beta_ppf
from laser_cli.engine.render import nfe
from laser_cli.errors import BadInputError
from laser_cli.stages.profile import Gap, measure_profiles, plan_rounds
from laser_cli.stages.spacing import EXTRA, by_beta, drafting_nfe, even, uniform


def way(change):
    """A world of one number: the picture at t is change(t); the distance is the difference."""
    asked = []

    def draft(places):
        asked.append(len(places))
        return [torch.tensor(float(k)) for k in range(3)], [torch.tensor(f.segment + change(f.t)) for f in places]

    return draft, asked


def distance(a, b):
    return abs(float(a - b))


def test_uniform_spacing_shares_its_keyframes():
    schedule = uniform(7, 2)
    assert list(schedule.places) == [0, 3, 6] and schedule.total == 7
    assert [(f.segment, pytest.approx(f.t)) for f in schedule.frames] == [
        (0, 1 / 3),
        (0, 2 / 3),
        (1, 1 / 3),
        (1, 2 / 3),
    ]
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
    draft, _ = way(lambda t: t**power)
    profiles = measure_profiles(draft, 1, [8, 4, 4], 24, distance)
    schedule = even(24, profiles, 25)
    assert not schedule.late
    values = [0.0, *(f.t**power for f in schedule.frames), 1.0]
    gaps = [b - a for a, b in pairwise(values)]
    assert max(gaps) / sorted(gaps)[len(gaps) // 2] < 1.25


def test_frames_follow_a_steep_stretch_between_the_drafts():
    draft, _ = way(lambda t: 0.2 * t + 0.8 / (1 + math.exp(-30 * (t - 0.47))))
    schedule = even(18, measure_profiles(draft, 1, [5, 6], 18, distance), 25)
    values = [0.0, *(0.2 * f.t + 0.8 / (1 + math.exp(-30 * (f.t - 0.47))) for f in schedule.frames), 1.0]
    gaps = [b - a for a, b in pairwise(values)]
    assert not schedule.late and max(gaps) / sorted(gaps)[len(gaps) // 2] < 2


def test_a_jump_is_found_bridged_and_not_halved_for_ever():
    draft, asked = way(lambda t: 0.3 * t + 0.7 * (t > 0.37))
    profiles = measure_profiles(draft, 1, [8] + [4] * 20, 24, distance)
    assert sum(gap.jump for gap in profiles[0]) == 1
    assert sum(asked) < 16  # twenty more rounds were allowed
    schedule = even(24, profiles, 25)
    late = [frame for frame in schedule.frames if frame.arc]
    assert len(late) == schedule.late >= 12 and schedule.jumps == 1 and {frame.start_step for frame in late} == {17}
    left, right = schedule.frames[late[0].arc.left], schedule.frames[late[0].arc.right]
    assert left.t < 0.37 < right.t < left.t + 0.06
    assert all(left.t < frame.t < right.t for frame in late)
    shares = [frame.arc.share for frame in late]
    assert shares == pytest.approx([(i + 1) / (len(late) + 1) for i in range(len(late))])


def test_a_distance_that_saturates_is_no_jump():
    draft, _ = way(lambda t: t)
    profiles = measure_profiles(draft, 1, [4, 4, 4, 4], 60, lambda a, b: float(a != b))
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
    schedule = even(total, profiles, 10)
    assert schedule.total == total and schedule.places[0] == 0 and schedule.places[-1] == total - 1
    for segment in range(len(profiles)):
        times = [f.t for f in schedule.frames if f.segment == segment]
        assert times == sorted(times) and all(0 <= t <= 1 for t in times)
    for j, frame in enumerate(schedule.frames):
        for neighbour in (frame.arc.left, frame.arc.right) if frame.arc else ():
            if neighbour is None:
                continue
            other = schedule.frames[neighbour]
            assert other.segment == frame.segment and not other.arc
            assert all(schedule.frames[i].arc for i in range(min(j, neighbour) + 1, max(j, neighbour)))


@settings(deadline=None, max_examples=50)
@given(st.integers(1, 6), st.integers(3, 400), st.integers(1, 100), st.sampled_from([1.0, 3.0]))
def test_drafts_stay_within_half_of_the_drawing(segments, more, steps, guidance):
    total = segments + more
    whole = nfe(total, steps, guidance)
    assert drafting_nfe(segments, total, steps, guidance) <= 0.5 * whole
    if plan_rounds(segments, total, steps, EXTRA):
        assert plan_rounds(segments, total, steps, EXTRA)[0] >= segments
    assert EXTRA < 0.5
