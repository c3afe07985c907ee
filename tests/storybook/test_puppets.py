"""Puppets: their sampler, their drawing, their words."""

import random
from dataclasses import replace

import pytest
import torch

from laser_cli.storybook.face_words import face_caption
from laser_cli.storybook.faces import draw_puppets
from laser_cli.storybook.look import FIRST, SECOND
from laser_cli.storybook.puppets import (
    BACKGROUNDS,
    BLENDSHAPES,
    EXPRESSIONS,
    EYE_COLOURS,
    HAIR_COLOURS,
    HAIRS,
    HATS,
    Puppet,
    blend_puppets,
    sample_puppet,
    wearing,
)
from laser_cli.storybook.scenes import pure
from laser_cli.storybook.words import Voice

PLAIN = Puppet()
LOOKS = pytest.mark.parametrize("look", [FIRST, SECOND], ids=["first", "second"])


def drawn(*puppets, size=96, look=FIRST):
    return draw_puppets(puppets, size, look=look)[0]


def distance(a, b):
    return float((a - b).abs().mean())


def test_a_puppet_looks_the_same_in_any_batch():
    puppets = [sample_puppet(random.Random(i)) for i in range(5)]
    alone = torch.cat([drawn(p, size=48) for p in puppets])
    assert torch.allclose(drawn(*puppets, size=48), alone, atol=1e-5)


def test_pictures_and_masks_lie_in_0_to_1_and_are_finite():
    for x in draw_puppets([sample_puppet(random.Random(i)) for i in range(30)], 48):
        assert torch.isfinite(x).all() and x.min() >= 0 and x.max() <= 1


def test_drawing_does_not_depend_on_the_resolution():
    small, large = drawn(PLAIN, size=64), drawn(PLAIN, size=256)
    assert distance(torch.nn.functional.avg_pool2d(large, 4), small) < 0.02


@LOOKS
@pytest.mark.parametrize("shape", BLENDSHAPES)
def test_every_blendshape_shows(shape, look):
    assert distance(*drawn(PLAIN, replace(PLAIN, expression=((shape, 1.0),)), look=look)) > 4e-4


@LOOKS
@pytest.mark.parametrize(
    "change",
    [
        {"skin": 1.0},
        {"glasses": 1.0},
        *({"hair": pure(n)} for n in HAIRS if n != "short"),
        *({"hair_colour": pure(n)} for n in HAIR_COLOURS if n != "brown"),
        *({"eyes": pure(n)} for n in EYE_COLOURS if n != "brown"),
        *({"hat": pure(n)} for n in HATS),
        *({"background": pure(n)} for n in BACKGROUNDS if n != "blue"),
    ],
    ids=str,
)
def test_every_attribute_shows(change, look):
    assert distance(*drawn(PLAIN, replace(PLAIN, **change), look=look)) > 1e-3


def _iris(puppet):
    """Mean x and y of what the eyes' colour changes."""
    blue, brown = drawn(replace(puppet, eyes=pure("blue")), replace(puppet, eyes=pure("brown")), size=128)
    where = (blue - brown).abs().sum(0)
    axis = torch.arange(128) / 64 - 1
    return float((where.sum(0) * axis).sum() / where.sum()), float((where.sum(1) * axis).sum() / where.sum())


def test_the_features_follow_the_head_and_the_gaze():
    x, y = _iris(PLAIN)
    assert abs(x) < 0.02
    assert _iris(replace(PLAIN, yaw=25.0))[0] > x + 0.1
    assert _iris(replace(PLAIN, yaw=-25.0))[0] < x - 0.1
    assert _iris(replace(PLAIN, pitch=20.0))[1] < y - 0.05
    assert _iris(replace(PLAIN, expression=wearing(EXPRESSIONS["look left"])))[0] < x - 0.03
    assert _iris(replace(PLAIN, expression=wearing(EXPRESSIONS["look down"])))[1] > y + 0.02


def test_left_and_right_are_the_puppets_own():
    open_, shut = drawn(PLAIN, replace(PLAIN, expression=(("eyeBlinkLeft", 1.0),)))
    changed = (open_ - shut).abs().sum(0)
    assert changed[:, 48:].sum() > 50 * changed[:, :48].sum()


def test_a_puppet_is_mirrored_when_its_state_is():
    one = replace(PLAIN, yaw=20.0, roll=10.0, expression=(("mouthSmileLeft", 1.0), ("eyeBlinkLeft", 1.0)))
    other = replace(PLAIN, yaw=-20.0, roll=-10.0, expression=(("mouthSmileRight", 1.0), ("eyeBlinkRight", 1.0)))
    a, b = drawn(one, other)
    # The light falls from one side and eyes glint on one side; all else is the mirror image.
    assert distance(a, b.flip(-1)) < 0.02
    assert distance(a, b) > 0.03


@LOOKS
def test_the_way_between_two_puppets_has_no_jump(look):
    a = replace(PLAIN, yaw=-30.0, expression=wearing(EXPRESSIONS["smiling"]))
    b = replace(
        PLAIN, yaw=30.0, hair=pure("curly"), skin=1.0, expression=wearing(EXPRESSIONS["surprised"]), glasses=1.0
    )
    path = drawn(*(blend_puppets(a, b, t / 40) for t in range(41)), size=64, look=look)
    steps = [distance(path[i], path[i + 1]) for i in range(40)]
    assert max(steps) < 4 * sorted(steps)[20]


def test_a_blend_ends_at_its_ends():
    a, b = (sample_puppet(random.Random(i)) for i in (1, 2))
    for t, end in ((0.0, a), (1.0, b)):
        assert distance(drawn(blend_puppets(a, b, t), size=48), drawn(end, size=48)) < 1e-5


def test_captions_name_what_is_there():
    puppet = replace(
        PLAIN, hair=pure("long"), hat=pure("cap"), glasses=1.0, yaw=30.0, expression=wearing(EXPRESSIONS["angry"])
    )
    words = face_caption(puppet)
    for said in (
        "long brown hair",
        "red cap",
        "glasses",
        "angry",
        "turned to the right",
        "blue background",
        "light skin",
    ):
        assert said in words
    assert "neutral" in face_caption(PLAIN)


@pytest.mark.parametrize("name", EXPRESSIONS)
def test_every_expression_is_told_by_itself(name):
    said = face_caption(replace(PLAIN, expression=wearing(EXPRESSIONS[name])))
    others = [face_caption(replace(PLAIN, expression=wearing(e))) for n, e in EXPRESSIONS.items() if n != name]
    assert said not in others and "neutral" not in said


def test_captions_vary_with_the_voice_but_not_without():
    puppet = sample_puppet(random.Random(4))
    assert face_caption(puppet) == face_caption(puppet)
    assert len({face_caption(puppet, Voice(random.Random(i))) for i in range(20)}) > 5


def test_shut_lids_are_one_line_without_dots():
    shut = replace(PLAIN, expression=wearing(EXPRESSIONS["asleep"]), skin=0.0)
    dark = drawn(shut, size=512)[0].mean(0)[225:270, 160:228] < 0.4
    assert dark.any(0).all()  # the line goes on from side to side
    assert (dark[1:] != dark[:-1]).sum(0).max() <= 2  # and every column crosses it once


@pytest.mark.parametrize("worn", [*({"hat": pure(name)} for name in HATS), *({"hair": pure(name)} for name in HAIRS)])
def test_hair_and_hats_of_the_second_look_leave_raised_brows_free(worn):
    def brows(**extra):
        """How much of the picture the brows' colour changes, without hair."""
        faces = [
            replace(PLAIN, expression=wearing(EXPRESSIONS["surprised"]), hair_colour=pure(colour), **extra)
            for colour in ("black", "blonde")
        ]
        a, b = drawn(*faces, look=SECOND)
        return float((a - b).abs().sum(0)[28:48, 24:72].sum())

    free = brows(hair=pure("bald"))
    assert brows(**{"hair": pure("bald")} | worn) > 0.85 * free
