"""The drawing of scenes."""

import random
from dataclasses import replace

import pytest
import torch

from laser_cli.storybook.draw import draw, draw_with_masks
from laser_cli.storybook.scenes import SETTINGS, STYLES, Scene, blend, pure, sample
from laser_cli.storybook.shapes import SUBJECTS

DAY = Scene()


def distance(a, b):
    return float((a - b).abs().mean())


def test_a_scene_looks_the_same_in_any_batch():
    scenes = [sample(random.Random(i)) for i in range(6)]
    together = draw(scenes, 64)
    alone = torch.cat([draw([s], 64) for s in scenes])
    assert torch.allclose(together, alone, atol=1e-5)


def test_pictures_lie_in_0_to_1_and_are_finite():
    pictures, masks = draw_with_masks([sample(random.Random(i)) for i in range(40)], 48)
    for x in (pictures, masks):
        assert torch.isfinite(x).all() and x.min() >= 0 and x.max() <= 1


def test_drawing_does_not_depend_on_the_resolution():
    small, large = draw([DAY], 64), draw([DAY], 256)
    assert distance(torch.nn.functional.avg_pool2d(large, 4), small) < 0.02


@pytest.mark.parametrize("subject", SUBJECTS)
def test_every_subject_is_there_in_its_colour(subject):
    scene = replace(DAY, subject=pure(subject), size=1.0)
    red, mask = draw_with_masks([scene.with_colour("red")])
    blue = draw([scene.with_colour("blue")])
    assert 0.04 < float(mask.mean()) < 0.5
    changed = (red - blue).abs().amax(1, keepdim=True) > 0.05
    assert float(changed.float().mean()) > 0.03
    assert not bool((changed & (mask == 0)).any()), "colour spills over the subject"


def test_subjects_differ_from_each_other():
    pictures = draw([replace(DAY, subject=pure(s), size=1.0) for s in SUBJECTS], 64)
    for i in range(len(pictures)):
        for j in range(i):
            assert distance(pictures[i], pictures[j]) > 0.01, (i, j)


@pytest.mark.parametrize(
    "change",
    [
        *({"setting": pure(s)} for s in SETTINGS if s != "meadow"),
        *({"style": pure(s)} for s in STYLES),
        {"hour": 0.0},
        {"hour": 18.8},
        {"snow": 1.0},
        {"rain": 1.0},
        {"snowfall": 1.0},
        {"clouds": 1.0},
        {"size": 0.0},
        {"place": -1.0},
        {"pattern": (("striped", 1.0),)},
        {"pattern": (("dotted", 1.0),)},
        {"pattern": (("checkered", 1.0),)},
    ],
    ids=str,
)
def test_every_attribute_shows(change):
    assert distance(draw([DAY]), draw([replace(DAY, **change)])) > 0.008


def test_the_way_between_two_scenes_has_no_jump():
    a = replace(DAY, subject=pure("ball")).with_colour("red")
    b = replace(Scene(subject=pure("cube"), setting=pure("city"), hour=19.5, snow=1.0, place=1.0)).with_colour("blue")
    path = draw([blend(a, b, t / 40) for t in range(41)], 64)
    steps = [distance(path[i], path[i + 1]) for i in range(40)]
    assert max(steps) < 4 * sorted(steps)[20]
