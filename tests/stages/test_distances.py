"""Distances between pictures: 0 for equal ones, the same either way, and clear errors for what is not there."""

import sys
from types import SimpleNamespace

import pytest
import torch
from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

from laser_cli.errors import NotFoundError
from laser_cli.stages.distances import by_classifier, by_clip, by_features, by_lpips, find_distance, rms
from laser_cli.storybook.classifier import AttributeClassifier
from laser_cli.storybook.scenes import Scene
from laser_cli.storybook.world import draw

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def clip_folder(tmp_path_factory):
    """A random CLIP, as a user would have one."""
    torch.manual_seed(0)
    config = CLIPVisionConfig(
        hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2, image_size=16, patch_size=8
    )
    folder = tmp_path_factory.mktemp("clip")
    CLIPVisionModelWithProjection(config).save_pretrained(folder)
    return folder


class Lpips(torch.nn.Module):
    """Stands in for the package's network: pictures in -1..1, a squared difference [n, 1, 1, 1]."""

    def __init__(self, net, verbose):
        super().__init__()
        assert net == "alex" and not verbose

    def forward(self, a, b):
        assert min(a.min(), b.min()) < 0
        return (a - b).square().mean((1, 2, 3), keepdim=True)


@pytest.fixture(params=["pixels", "features", "critic", "lpips", "clip"])
def distance(request, storybook, clip_folder, monkeypatch):
    if request.param == "critic":
        torch.manual_seed(0)
        return by_classifier(AttributeClassifier().eval())
    if request.param == "lpips":
        monkeypatch.setitem(sys.modules, "lpips", SimpleNamespace(LPIPS=Lpips))
    return find_distance(f"clip:{clip_folder}" if request.param == "clip" else request.param, storybook)


def test_equal_pictures_are_not_apart_and_others_are_as_far_either_way(distance):
    red, other, blue = draw([Scene(), Scene(hour=13.0), Scene(hour=0.0).with_colour("blue")], 64)
    assert distance(red, red) == distance(red, red.clone()) == 0
    assert distance(red, blue) == pytest.approx(distance(blue, red), rel=1e-5)
    assert 0 < distance(red, other) < distance(red, blue)


def test_features_take_pictures_of_any_size_and_leave_the_model_as_it_was(storybook):
    nfe, blocks = storybook.nfe, storybook.vae.encoder.down_blocks
    distance = by_features(storybook)
    for size in ((40, 72), (16, 300)):
        a, b = torch.rand(3, *size), torch.rand(3, *size)
        assert distance(a, a) == 0 and distance(a, b) > 0
    assert storybook.nfe == nfe and not any(block._forward_hooks for block in blocks)


def test_lpips_that_is_not_installed_is_told(monkeypatch):
    monkeypatch.setitem(sys.modules, "lpips", None)
    with pytest.raises(NotFoundError) as raised:
        by_lpips(CPU)
    assert "pip install lpips" in raised.value.hint


def test_a_folder_without_a_clip_is_told(tmp_path, clip_folder):
    with pytest.raises(NotFoundError, match="no CLIP can be loaded"):
        by_clip(str(tmp_path / "nothing"), CPU)
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    with pytest.raises(NotFoundError) as raised:
        by_clip(str(tmp_path), CPU)
    assert "bert" in raised.value.why


def test_pixels_need_no_model():
    assert find_distance("pixels", None) is rms


def test_the_eye_sees_a_change_more_than_a_shift():
    picture = torch.zeros(3, 32, 32)
    picture[:, 10:20, 10:20] = 1
    assert rms(picture, picture) == 0
    assert rms(picture, picture.roll(1, -1)) < rms(picture, 1 - picture)
    assert rms(torch.zeros(3, 2, 2), torch.ones(3, 2, 2)) == pytest.approx(1)
