"""Descriptions of what becomes of a puppet."""

import random

import pytest

from laser_cli.storybook.face_changes import KINDS, sample_face_change
from laser_cli.storybook.face_words import face_caption

SOME = [sample_face_change(random.Random(i)) for i in range(300)]


def test_every_kind_of_change_happens():
    assert {kind for change in SOME for stage in change.kinds for kind in stage} == set(KINDS)


def test_every_stage_changes_the_puppet_and_its_caption():
    for change in SOME:
        before = change.source
        for after in change.stages:
            assert after != before
            assert face_caption(after) != face_caption(before), change.description
            before = after


@pytest.mark.parametrize("change", SOME[:40], ids=lambda c: c.description[:40])
def test_what_is_not_told_stays(change):
    attributes = {
        "expression": {"expression"},
        "turn": {"yaw", "pitch", "roll"},
        "hair": {"hair", "hair_colour"},
        "glasses": {"glasses"},
        "hat": {"hat", "hat_colour"},
        "background": {"background"},
    }
    free = set().union(*(attributes[kind] for stage in change.kinds for kind in stage))
    for name in set().union(*attributes.values()) | {"skin", "eyes"}:
        if name not in free:
            assert getattr(change.source, name) == getattr(change.stages[-1], name)


def test_the_same_seed_tells_the_same():
    assert sample_face_change(random.Random(5)) == sample_face_change(random.Random(5))
    assert len({change.description for change in SOME}) > 200
