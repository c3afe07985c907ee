"""From a reading back to words."""

import random

import pytest
import torch

from laser_cli.storybook.classifier import FOLDER, load_classifier
from laser_cli.storybook.crisp import crisp_puppet, crisp_scene
from laser_cli.storybook.describe import describe, item_of
from laser_cli.storybook.puppets import Puppet
from laser_cli.storybook.scenes import Scene
from laser_cli.storybook.traits import NAMES, NUMBERS, Reading, truth
from laser_cli.storybook.world import caption_of, draw


def whole(item):
    """The truth with the other family's attributes at nothing, as a classifier's reading has them."""
    true = truth(item)
    shares = {name: true.shares.get(name, dict.fromkeys(NAMES[name], 1 / len(NAMES[name]))) for name in NAMES}
    return Reading(shares, dict.fromkeys(NUMBERS, 0.0) | dict(true.numbers))


@pytest.mark.parametrize("seed", range(25))
def test_the_truth_is_told_as_the_item_is(seed):
    for item in (crisp_scene(random.Random(seed)), crisp_puppet(random.Random(seed))):
        assert caption_of(item_of(whole(item))) == caption_of(item)


def test_a_doubtful_reading_is_still_an_item():
    even = {name: dict.fromkeys(names, 1 / len(names)) for name, names in NAMES.items()}
    for family, kind in (("scene", Scene), ("puppet", Puppet)):
        read = Reading(
            even | {"family": {"scene": float(family == "scene"), "puppet": float(family == "puppet")}},
            dict.fromkeys(NUMBERS, 3.0),
        )
        assert isinstance(item_of(read), kind) and caption_of(item_of(read))


@pytest.mark.skipif(not (FOLDER / "config.json").exists(), reason="no attribute classifier is shipped yet")
def test_the_shipped_classifier_tells_the_subject_of_a_picture():
    classifier, right = load_classifier(), 0
    for seed in range(20):
        scene = crisp_scene(random.Random(seed))
        item = item_of(classifier.read(draw([scene]))[0])
        right += isinstance(item, Scene) and item.subject[0][0] == scene.subject[0][0]
    assert right >= 15
    assert describe(classifier, torch.rand(3, 64, 64))
