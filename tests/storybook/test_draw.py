"""The drawing of scenes."""

import random
from dataclasses import replace

import pytest
import torch

from laser_cli.storybook.draw import draw, draw_with_masks
from laser_cli.storybook.look import FIRST, SECOND, SHIPPED
from laser_cli.storybook.scenes import SETTINGS, STYLES, Scene, blend, pure, sample
from laser_cli.storybook.shapes import SUBJECTS
from laser_cli.storybook.world import items

DAY = Scene()
LOOKS = pytest.mark.parametrize("look", [FIRST, SECOND], ids=["first", "second"])


def distance(a, b):
    return float((a - b).abs().mean())


@LOOKS
def test_a_scene_looks_the_same_in_any_batch(look):
    scenes = [sample(random.Random(i)) for i in range(12)]
    together = draw(scenes, 64, look=look)
    alone = torch.cat([draw([s], 64, look=look) for s in scenes])
    assert torch.allclose(together, alone, atol=1e-5)


@LOOKS
def test_pictures_lie_in_0_to_1_and_are_finite(look):
    pictures, masks = draw_with_masks([sample(random.Random(i)) for i in range(40)], 48, look=look)
    for x in (pictures, masks):
        assert torch.isfinite(x).all() and x.min() >= 0 and x.max() <= 1


@LOOKS
def test_drawing_does_not_depend_on_the_resolution(look):
    small, large = draw([DAY], 64, look=look), draw([DAY], 256, look=look)
    assert distance(torch.nn.functional.avg_pool2d(large, 4), small) < 0.02


@LOOKS
@pytest.mark.parametrize("subject", SUBJECTS)
def test_every_subject_is_there_in_its_colour(subject, look):
    scene = replace(DAY, subject=pure(subject), size=1.0)
    red, mask = draw_with_masks([scene.with_colour("red")], 128, look=look)
    blue = draw([scene.with_colour("blue")], 128, look=look)
    assert 0.04 < float(mask.mean()) < 0.5
    changed = (red - blue).abs().amax(1, keepdim=True) > 0.05
    assert float(changed.float().mean()) > 0.03
    assert not bool((changed & (mask == 0)).any()), "colour spills over the subject"


def test_subjects_differ_from_each_other():
    pictures = draw([replace(DAY, subject=pure(s), size=1.0) for s in SUBJECTS], 64)
    for i in range(len(pictures)):
        for j in range(i):
            assert distance(pictures[i], pictures[j]) > 0.01, (i, j)


@LOOKS
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
def test_every_attribute_shows(change, look):
    assert distance(draw([DAY], 96, look=look), draw([replace(DAY, **change)], 96, look=look)) > 0.008


@LOOKS
def test_the_way_between_two_scenes_has_no_jump(look):
    a = replace(DAY, subject=pure("ball")).with_colour("red")
    b = replace(Scene(subject=pure("cube"), setting=pure("city"), hour=19.5, snow=1.0, place=1.0)).with_colour("blue")
    path = draw([blend(a, b, t / 40) for t in range(41)], 64, look=look)
    steps = [distance(path[i], path[i + 1]) for i in range(40)]
    assert max(steps) < 4 * sorted(steps)[20]


def test_pictures_have_the_size_of_their_look_unless_another_is_asked_for():
    assert draw([DAY]).shape[-1] == SHIPPED.size
    assert draw([DAY], look=FIRST).shape[-1] == 128 and draw([DAY], look=SECOND).shape[-1] == 256
    assert draw([DAY], 64, look=SECOND).shape[-1] == 64


@pytest.mark.parametrize("subject", SUBJECTS)
@pytest.mark.parametrize("size", [0.0, 0.5, 1.0])
def test_subjects_of_the_second_look_fill_a_third_to_two_thirds_of_the_height_and_are_not_cut(subject, size):
    scenes = [replace(DAY, subject=pure(subject), size=size, place=place) for place in (-1.0, 0.0, 1.0)]
    masks = draw_with_masks(scenes, 64, look=SECOND)[1][:, 0] > 0.5
    height = masks[1].any(1).sum() / 64
    assert 0.18 < height < 0.72 and height > 0.5 * (0.34 + 0.32 * size)
    widths = [mask.any(0).sum() for mask in masks]
    assert max(widths) - min(widths) <= 3


def test_the_second_look_has_fewer_small_subjects():
    def small(look):
        stream = items(0, 0.0, look)
        return sum(next(stream).size < 0.25 for _ in range(400))

    assert small(SECOND) < 0.75 * small(FIRST)


def test_a_pattern_of_the_second_look_has_soft_edges():
    board = replace(DAY, subject=pure("ball"), pattern=(("checkered", 1.0),), size=1.0).with_colour("black")
    boards = [replace(board, place=i / 100) for i in range(8)]  # edges between pixels and on them

    def between(look):
        """Pixels of neither field's colour, on the middle of the ball."""
        middle = draw(boards, 128, look=look).mean(1)[:, 66:96, 52:76]
        return float(((middle > 0.3) & (middle < 0.65)).float().mean())

    assert between(SECOND) > 2 * between(FIRST)
