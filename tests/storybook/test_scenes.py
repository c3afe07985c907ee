"""Scenes: true in-betweens and a sampler that repeats itself."""

import random
from dataclasses import fields, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from laser_cli.storybook.scenes import COLOURS, SETTINGS, TIMES, Scene, blend, blend_mix, colour_distance, pure, sample
from laser_cli.storybook.shapes import SUBJECTS

scenes = st.integers(0, 10**6).map(lambda seed: sample(random.Random(seed)))


def close(a: Scene, b: Scene) -> bool:
    for f in fields(Scene):
        p, q = getattr(a, f.name), getattr(b, f.name)
        if isinstance(p, tuple):
            if dict(p) != pytest.approx(dict(q), abs=1e-6):
                return False
        elif p != pytest.approx(q, abs=1e-6):
            return False
    return True


@given(scenes, scenes)
def test_a_blend_begins_and_ends_at_its_scenes(a, b):
    # of a grey scene the hue is free
    a, b = (replace(s, saturation=max(s.saturation, 0.1)) for s in (a, b))
    assert close(blend(a, b, 0), a) and close(blend(a, b, 1), b)
    assert close(blend(a, a, 0.3), a)


@given(scenes, scenes, st.floats(0, 1))
def test_an_in_between_stays_in_range(a, b, t):
    made = blend(a, b, t)
    assert 0 <= made.hue < 360 and 0 <= made.hour < 24 and -1 <= made.place <= 1
    for name in ("snow", "clouds", "rain", "snowfall", "size", "saturation", "lightness"):
        low, high = sorted((getattr(a, name), getattr(b, name)))
        assert low - 1e-9 <= getattr(made, name) <= high + 1e-9
    assert sum(w for _, w in made.subject) == pytest.approx(1, abs=1e-5)


def test_hue_and_hour_take_the_short_way():
    a, b = Scene(hue=350.0, hour=22.0), Scene(hue=20.0, hour=2.0)
    assert (blend(a, b, 0.5).hue, blend(a, b, 0.5).hour) == (5.0, 0.0)
    assert (blend(b, a, 0.75).hue, blend(b, a, 0.75).hour) == (357.5, 23.0)


def test_a_grey_borrows_the_hue_of_the_other():
    gray, pink = Scene().with_colour("gray"), Scene().with_colour("pink")
    assert blend(gray, pink, 0.1).hue == blend(gray, pink, 0.9).hue == pink.hue


def test_mixtures_are_weighted():
    assert dict(blend_mix(pure("ball"), pure("cube"), 0.25)) == {"ball": 0.75, "cube": 0.25}
    assert dict(blend_mix((), pure("striped"), 0.25)) == {"striped": 0.25}
    assert blend_mix(pure("ball"), pure("cube"), 0) == pure("ball")


def test_colours_lie_nearest_to_themselves():
    for name in COLOURS:
        scene = Scene().with_colour(name)
        assert min(COLOURS, key=lambda other: colour_distance(scene, COLOURS[other])) == name


def test_the_sampler_repeats_itself_and_covers_the_world():
    assert [sample(random.Random(i)) for i in range(20)] == [sample(random.Random(i)) for i in range(20)]
    rng = random.Random(0)
    drawn = [sample(rng) for _ in range(1500)]
    assert {s.subject[0][0] for s in drawn} == set(SUBJECTS)
    assert {s.setting[0][0] for s in drawn} == set(SETTINGS)
    assert all(any(abs(s.hour - hour) < 0.5 for s in drawn) for hour in TIMES.values())
    for s in drawn:
        assert 0 <= s.hue < 360 and 0 <= s.hour < 24 and -1 <= s.place <= 1 and 0 <= s.size <= 1
        assert all(0 <= x <= 1 for x in (s.snow, s.rain, s.snowfall, s.clouds, s.saturation, s.lightness, s.sway))
