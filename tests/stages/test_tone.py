"""The tones of a portrait: by colour, not by place."""

import pytest
import torch

from laser_cli.measure.pictures import psnr
from laser_cli.stages import tone
from laser_cli.stages.tone import Tones
from laser_cli.storybook.look import SHIPPED
from laser_cli.storybook.puppets import Puppet
from laser_cli.storybook.world import draw


@pytest.fixture(scope="module")
def faces():
    looks = {"hair_colour": (("red", 1.0),), "background": (("blue", 1.0),)}
    return draw([Puppet(**looks), Puppet(**looks, yaw=25, expression=(("jawOpen", 0.8),))], look=SHIPPED)


def off(picture):
    """Too much contrast, and too warm."""
    return (1.1 * picture - 0.05 + torch.tensor([0.04, 0.0, -0.04]).view(3, 1, 1)).clamp(0, 1)


def test_right_tones_stay(faces):
    assert psnr(Tones.between(faces[0], faces[0]).put_right(faces[1]), faces[1]) > 60


def test_tones_are_put_right_in_other_pictures_too(faces):
    tones = Tones.between(off(faces[0]), faces[0])
    for face in faces:
        assert psnr(tones.put_right(off(face)), face) > psnr(off(face), face) + 6


def test_colours_that_the_picture_does_not_show_are_left_alone(faces):
    green = torch.tensor([0.1, 0.9, 0.1]).view(3, 1, 1).expand(3, 32, 32)
    assert torch.allclose(Tones.between(off(faces[0]), faces[0]).put_right(green), green, atol=1e-3)


def test_what_has_moved_is_no_tone(faces):
    moved = faces[0].roll(6, -1)
    by_colour = Tones.between(moved, faces[0]).put_right(moved)
    assert float((by_colour - moved).abs().max()) < 0.03 < 0.3 < float((faces[0] - moved).abs().max())


def test_a_colours_change_is_the_mean_of_what_its_places_lack():
    """Beside the formula, one colour and one place at a time."""
    size = tone.LOOKED_AT
    drawn, picture = torch.rand(2, 3, size, size, generator=torch.Generator().manual_seed(0))
    red, green, blue = colour = torch.tensor([12, 9, 3])
    total, weights = torch.zeros(3), torch.tensor(tone.RARE * size * size)
    for y in range(size):
        for x in range(size):
            around = picture[:, max(0, y - 1) : y + 2, max(0, x - 1) : x + 2].flatten(1).T - drawn[:, y, x]
            lack = around[around.square().sum(1).argmin()]
            apart = (drawn[:, y, x] - colour / (tone.GRID - 1)).square().sum()
            weight = (-apart / (2 * tone.NEAR**2)).exp()
            total, weights = total + weight * lack, weights + weight
    table = Tones.between(drawn, picture).table
    assert torch.allclose(table[0, :, blue, green, red], total / weights, atol=1e-5)


@pytest.mark.parametrize("size", [(24, 40), (300, 200), (64, 64)])
def test_pictures_of_any_size(faces, size):
    picture = torch.rand(3, *size)
    assert Tones.between(faces[0], off(faces[0])).put_right(picture).shape == picture.shape
