"""Descriptions of change: their true scenes, and what they promise to planners."""

import random

import pytest

from laser_cli.storybook.changes import KINDS, sample_change
from laser_cli.storybook.scenes import COLOURS, PLACES, SIZES, TIMES, Scene

FIELDS = {
    "subject": ("subject",),
    "colour": ("hue", "saturation", "lightness"),
    "pattern": ("pattern",),
    "setting": ("setting",),
    "time": ("hour",),
    "weather": ("rain", "snowfall", "clouds", "snow"),
    "size": ("size",),
    "place": ("place",),
    "style": ("style",),
}
CHANGES = [sample_change(random.Random(seed)) for seed in range(600)]


def changed(a: Scene, b: Scene) -> set[str]:
    return {kind for kind, names in FIELDS.items() if any(getattr(a, n) != getattr(b, n) for n in names)}


def test_the_same_seed_gives_the_same_change():
    assert [sample_change(random.Random(i)) for i in range(30)] == CHANGES[:30]


def test_stages_change_what_they_say_and_nothing_else():
    for change in CHANGES:
        assert 1 <= len(change.stages) <= 3 and len(change.kinds) == len(change.stages)
        before = change.source
        for after, kinds in zip(change.stages, change.kinds, strict=True):
            assert changed(before, after) == set(kinds), change.description
            before = after


def test_what_changes_is_an_extreme_with_a_name():
    for change in CHANGES:
        for scene in change.stages:
            assert scene.hour in TIMES.values() and scene.size in SIZES.values() and scene.place in PLACES.values()
            assert (scene.hue, scene.saturation, scene.lightness) in COLOURS.values()
            assert all(w == 1.0 for mix in (scene.subject, scene.pattern, scene.setting, scene.style) for _, w in mix)
            assert not (scene.rain and scene.snowfall)


def test_every_kind_and_many_phrasings_occur():
    assert {kind for change in CHANGES for kinds in change.kinds for kind in kinds} == set(KINDS)
    assert {len(change.stages) for change in CHANGES} == {1, 2, 3}
    assert len({change.description for change in CHANGES}) > 0.95 * len(CHANGES)
    for words in (
        "turns into",
        "becomes",
        "night falls",
        "the sun sets",
        "starts to snow",
        "rain stops",
        "snow covers",
        "in winter",
    ):
        assert any(words in change.description for change in CHANGES), words
    for words in (
        "a snowy night",
        "grows",
        "shrinks",
        "to the left",
        "gets stripes",
        ", then ",
        ". Then ",
        "inally",
        " while ",
        "first",
    ):
        assert any(words in change.description for change in CHANGES), words


def test_some_descriptions_hold_the_source():
    share = sum(change.names_source for change in CHANGES) / len(CHANGES)
    assert share == pytest.approx(0.28, abs=0.1)
    for change in CHANGES:
        assert change.names_source == change.description.startswith(change.source_prompt)
        assert change.description == " ".join(change.description.split())
