"""What can be read from a picture, and the network that reads it."""

import math
import random
from dataclasses import replace

import pytest
import torch

from laser_cli.errors import NotFoundError
from laser_cli.storybook.classifier import (
    FOLDER,
    OUTPUTS,
    AttributeClassifier,
    load_classifier,
    loss,
    reading,
    save_classifier,
    targets,
)
from laser_cli.storybook.crisp import crisp_puppet, crisp_scene
from laser_cli.storybook.face_words import face_caption
from laser_cli.storybook.puppets import Puppet
from laser_cli.storybook.scenes import Scene, pure, sample
from laser_cli.storybook.traits import NAMES, READ, judge, judge_told, truth
from laser_cli.storybook.words import caption
from laser_cli.storybook.world import blend_items, draw, items

SHIPPED = pytest.mark.skipif(not (FOLDER / "config.json").exists(), reason="no attribute classifier is shipped yet")


def a_few(count, seed=0):
    stream = items(seed, 0.5)
    return [next(stream) for _ in range(count)]


@pytest.mark.parametrize("item", a_few(40), ids=lambda item: type(item).__name__)
def test_the_truth_is_always_right(item):
    assert all(judge(truth(item), item).values())


@pytest.mark.parametrize("seed", range(20))
def test_the_truth_of_crisp_items_is_as_told(seed):
    for item in (crisp_scene(random.Random(seed)), crisp_puppet(random.Random(seed))):
        verdict = judge_told(truth(item), item)
        assert all(verdict.values()), verdict


def test_another_scene_is_wrong_in_what_differs():
    scene = Scene()
    for name, other in {
        "subject": replace(scene, subject=pure("car")),
        "setting": replace(scene, setting=pure("sea")),
        "time": replace(scene, hour=0.0),
        "colour": scene.with_colour("blue"),
        "pattern": replace(scene, pattern=pure("dotted")),
        "weather": replace(scene, rain=1.0),
        "style": replace(scene, style=pure("sketch")),
        "size": replace(scene, size=1.0),
        "place": replace(scene, place=-1.0),
    }.items():
        verdict = judge(truth(other), scene)
        assert [n for n, right in verdict.items() if not right] == [name]


def test_every_attribute_is_judged_somewhere():
    seen = {name for item in a_few(60) for name in judge(truth(item), item)}
    assert seen == {name for family in READ.values() for name in family}


def test_the_colour_of_shut_eyes_is_not_asked_for():
    assert "eyes" not in judge(truth(p := Puppet(expression=(("eyeBlinkLeft", 1.0), ("eyeBlinkRight", 1.0)))), p)
    assert "hair colour" not in judge(truth(p := Puppet(hair=pure("bald"))), p)


def test_white_read_as_brighter_than_white_is_white():
    true = truth(scene := Scene().with_colour("white"))

    def read(*rgb):
        names = ("colour red", "colour green", "colour blue")
        return replace(true, numbers={**true.numbers, **dict(zip(names, rgb, strict=True))})

    assert math.dist((1.2, 1.1, 1.2), true.rgb) > 0.15  # too far, were it a colour
    assert read(1.2, 1.1, 1.2).rgb == (1.0, 1.0, 1.0) and judge(read(1.2, 1.1, 1.2), scene)["colour"]
    assert read(1.2, 1.1, -0.1).rgb == (1.0, 1.0, 0.0) and not judge(read(1.2, 1.1, -0.1), scene)["colour"]


def test_targets_read_back_as_the_truth():
    for item in a_few(10):
        (row,), (weight,) = targets([item])
        shares = row[: sum(map(len, NAMES.values()))].clamp_min(1e-9).log()
        back, true = reading(torch.cat([shares, row[len(shares) :]])), truth(item)
        assert all(math.isclose(back.numbers[n], v, abs_tol=1e-4) for n, v in true.numbers.items())
        assert all(back.name(n) == true.name(n) for n in true.shares)
        assert 0 < weight.sum() < OUTPUTS


def test_the_loss_is_least_at_the_truth():
    some = a_few(6)
    target, weight = targets(some)
    names = sum(map(len, NAMES.values()))
    perfect = torch.cat([target[:, :names].clamp_min(1e-9).log(), target[:, names:]], 1)
    assert loss(perfect, target, weight) < loss(torch.zeros_like(perfect), target, weight)


def test_a_classifier_survives_its_file_and_measures_distance(tmp_path):
    torch.manual_seed(0)
    classifier = AttributeClassifier().eval()
    save_classifier(classifier, tmp_path)
    again = load_classifier(tmp_path)
    pictures = draw(a_few(4), 128)
    with torch.no_grad():
        assert torch.allclose(classifier(pictures), again(pictures), atol=0.02)
    assert torch.allclose(classifier.distance(pictures, pictures), torch.zeros(4))
    assert (classifier.distance(pictures, pictures.flip(0)) > 0).all()
    assert classifier.embedding(pictures).shape == (4, 192)
    assert classifier.read(draw(a_few(1), 256))[0].shares["family"]


def test_a_classifier_that_is_not_there_is_an_error_that_says_what_to_do(tmp_path):
    with pytest.raises(NotFoundError) as error:
        load_classifier(tmp_path)
    assert "train classifier" in (error.value.hint or "")


@SHIPPED
def test_the_shipped_classifier_reads_what_is_drawn():
    classifier = load_classifier()
    scenes = [crisp_scene(random.Random(i)) for i in range(40)]
    puppets = [crisp_puppet(random.Random(i)) for i in range(40)]
    verdicts = [
        judge(r, item) for item, r in zip(scenes + puppets, classifier.read(draw(scenes + puppets)), strict=True)
    ]
    for name in ("subject", "setting", "time", "hair", "hat", "pose"):
        right = [v[name] for v in verdicts if name in v]
        assert sum(right) >= 0.8 * len(right), name


@SHIPPED
def test_the_shipped_classifier_finds_nearer_what_is_nearer():
    classifier, closer = load_classifier(), 0
    for seed in range(20):
        a, b = sample(random.Random(seed)), sample(random.Random(100 + seed))
        near, far, start = draw([blend_items(a, b, 0.2), b, a])
        closer += int(classifier.distance(near[None], start[None]) < classifier.distance(far[None], start[None]))
    assert closer >= 19


def test_a_scene_and_a_puppet_have_no_in_between():
    with pytest.raises(ValueError, match="no in-between"):
        blend_items(Scene(), Puppet(), 0.5)


def test_both_families_are_told():
    assert caption(Scene()).startswith("a red ball") and face_caption(Puppet()).startswith("a portrait")
