"""Captions say what is in a scene."""

import random
from dataclasses import replace

import pytest

from laser_cli.storybook.scenes import COLOURS, TIMES, Scene, pure, sample
from laser_cli.storybook.words import TIME_WORDS, Voice, article, caption, colour_words, level, nearest

PLAIN = Scene()


@pytest.mark.parametrize(
    ("scene", "told"),
    [
        (PLAIN, "a red ball in a meadow at noon"),
        (
            replace(PLAIN, subject=pure("house"), hour=0.0, snow=1.0),
            "a red house in a meadow at night, covered in snow",
        ),
        (
            replace(PLAIN, size=1.0, place=-1.0).with_colour("orange"),
            "a large orange ball on the left in a meadow at noon",
        ),
        (
            replace(PLAIN, pattern=pure("striped"), style=pure("sketch")),
            "a sketch of a red striped ball in a meadow at noon",
        ),
        (replace(PLAIN, rain=0.65, setting=pure("sea")), "a red ball by the sea at noon in the rain"),
        (replace(PLAIN, snowfall=0.95, clouds=0.9), "a red ball in a meadow at noon in heavy snowfall"),
        (replace(PLAIN, clouds=0.95), "a red ball in a meadow at noon, under an overcast sky"),
        (
            replace(PLAIN, subject=(("ball", 0.5), ("cube", 0.5))),
            "something red halfway between a ball and a cube in a meadow at noon",
        ),
        (
            replace(PLAIN, subject=(("ball", 0.75), ("cube", 0.25))),
            "a red ball turning into a cube in a meadow at noon",
        ),
        (replace(PLAIN, hour=TIMES["sunset"] + 1.0).with_colour("blue"), "a blue ball in a meadow at dusk"),
        (replace(PLAIN, place=0.5), "a red ball a little to the right in a meadow at noon"),
    ],
)
def test_plain_captions(scene, told):
    assert caption(scene) == told


@pytest.mark.parametrize("name", COLOURS)
def test_named_colours_keep_their_names(name):
    assert colour_words(PLAIN.with_colour(name)) == name


@pytest.mark.parametrize("name", TIMES)
def test_named_times_keep_their_names(name):
    assert TIME_WORDS[name][0] in caption(replace(PLAIN, hour=TIMES[name]))


def test_between_two_colours_lies_a_mixed_name():
    assert colour_words(replace(PLAIN, hue=14.0, saturation=0.85, lightness=0.51)) in ("reddish orange", "orangish red")


def test_a_voice_varies_the_words_and_is_reproducible():
    scene = sample(random.Random(5))
    told = [caption(scene, Voice(random.Random(i))) for i in range(40)]
    assert told == [caption(scene, Voice(random.Random(i))) for i in range(40)]
    assert len(set(told)) > 5


def test_everything_may_be_left_unsaid():
    assert caption(PLAIN, Voice(random.Random(0), omit=1.0)) in ("a ball", "a sphere")


def test_captions_are_tidy():
    for seed in range(800):
        told = caption(sample(random.Random(seed)), Voice(random.Random(seed), omit=0.2))
        assert told == told.strip() and "  " not in told and " ," not in told and "{" not in told


def test_helpers():
    assert (article("orange"), article("cat")) == ("an orange", "a cat")
    assert [level(x, ("a", "b", "c")) for x in (0.1, 0.5, 0.9)] == ["a", "b", "c"]
    assert nearest(23.5, TIMES, 24.0) == "night"
