"""The bench of conditions: what it takes for an outline that is followed, and that it measures what it says."""

import random
from dataclasses import replace

import pytest
import torch

from laser_cli.measure import conditions
from laser_cli.measure.outlines import contrast, follows, in_place, outline_of
from laser_cli.models.control_net import ControlNet
from laser_cli.storybook.classifier import load_classifier
from laser_cli.storybook.crisp import crisp_scene
from laser_cli.storybook.scenes import pure
from laser_cli.storybook.world import draw


def test_true_pictures_follow_their_outlines_and_no_other_scenes():
    rng = random.Random(6)
    scenes = [replace(crisp_scene(rng), subject=pure(name)) for name in ("ball", "tree", "cat", "star", "car", "house")]
    pictures = draw(scenes)
    right = [follows(picture, scene) for picture, scene in zip(pictures, scenes, strict=True)]
    assert sum(right) >= 5
    for change in ({"place": scenes[0].place + (1 if scenes[0].place < 1 else -1)}, {"subject": pure("cup")}):
        others = [replace(scene, **change) for scene in scenes[:1]]
        assert not any(follows(picture, scene) for picture, scene in zip(pictures, others, strict=False))


def test_an_outline_elsewhere_is_not_in_place():
    line = outline_of([replace(crisp_scene(random.Random(1)), place=0.0)], 128).float()[0]
    assert in_place(line, line) and in_place(line.roll(3, -1), line)
    assert not in_place(line.roll(10, -1), line) and not in_place(line.roll(-9, -2), line)


def test_contrast_is_of_the_picture_alone_however_dark():
    picture = torch.zeros(3, 64, 64)
    picture[:, 20:40, 20:40] = 1.0
    bright, dark = contrast(picture), contrast(0.1 * picture + 0.2)
    assert torch.equal(bright > 0, dark > 0) and bright.max() == 1 and not bright[:, 28:32, 28:32].any()


@pytest.fixture(scope="module")
def net(storybook):
    from diffusers import ControlNetModel

    torch.manual_seed(0)
    made = ControlNetModel.from_unet(storybook.unet, conditioning_embedding_out_channels=(8, 16, 16, 16))
    torch.nn.init.normal_(made.controlnet_cond_embedding.conv_out.weight, std=0.1)
    for block in made.controlnet_down_blocks:
        torch.nn.init.normal_(block.weight, std=0.05)
    return ControlNet.of(made.requires_grad_(False).eval())


def test_it_tells_of_every_part_that_is_asked_for(storybook, net):
    figures = conditions.bench_conditions(storybook, net, load_classifier(), 2, 1, 1, steps=2, guidance=1.5)
    named = {figure.name: figure for figure in figures}
    assert named["outline followed, led by it"].target == 90 and named["outline followed, led by it"].of == 2
    assert "keyframes of a move in place and shape, by moved outlines" in named
    for way in conditions.WAYS:
        assert 0 < named[f"between outlines, {way}: smoothness"].value <= 1
    ways = {round(named[f"between outlines, {way}: distance to the true way"].value, 9) for way in conditions.WAYS}
    assert len(ways) == len(conditions.WAYS)  # four ways, four results


def test_blended_residuals_are_the_mean_of_both_nets(storybook, net):
    """Half way between two conditions, the net twice at half its weight each."""
    from laser_cli.models.control_net import hinted, residuals

    told = storybook.encode_prompts(["a red ball"])
    size = storybook.size
    hints = [net.hint(torch.rand(1, 3, size, size, generator=torch.Generator().manual_seed(i))) for i in (0, 1)]
    a, b = (conditions._under(told, hints, k, apart=True) for k in (0, 1))
    side = size // storybook.scale
    x, level = torch.randn(1, 8, side, side), storybook.schedule.levels(2)[0]
    with torch.no_grad():
        got = residuals([net, net], x, level, a.lerp(b, torch.tensor([0.25])), {})
        each = [residuals([net], x, level, hinted(told, {0: hint}), {}) for hint in hints]
    for half, one, other in zip([*got[0], got[1]], *([*down, mid] for down, mid in each), strict=True):
        assert torch.allclose(half, 0.75 * one + 0.25 * other, atol=1e-4)
