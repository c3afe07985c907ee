"""A subject carried elsewhere."""

import pytest
import torch

from laser_cli.controls.aid import slerp
from laser_cli.controls.carry import EDGE, STAYING, Carried, Carry, along


def noise(seed, *shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def square(left, right, width=16):
    mask = torch.zeros(1, 1, 8, width)
    mask[..., 2:6, left:right] = 1
    return mask


def test_whole_pixels_are_moved_as_they_are():
    x = noise(0, 2, 4, 8, 16)
    assert torch.allclose(along(x, 3)[..., 3:], x[..., :-3], atol=1e-5)
    assert torch.allclose(along(x, -2)[..., :-2], x[..., 2:], atol=1e-5)
    assert torch.allclose(along(x, 0), x, atol=1e-5)


@pytest.mark.parametrize("shift", [0.25, 0.5, 3.7])
def test_noise_moved_by_parts_of_a_pixel_stays_white(shift):
    x = noise(1, 64, 4, 8, 32)
    moved = along(x, shift)[..., 5:]  # beyond the edge it is mirrored
    assert moved.std() == pytest.approx(1, abs=0.02)
    alike = (moved[..., 1:] * moved[..., :-1]).mean()  # by 0.5 if it were blurred
    assert alike == pytest.approx(0, abs=0.06)


def test_a_wave_is_moved_by_parts_of_a_pixel():
    at = torch.arange(16) + 0.5
    wave, moved = (torch.cos(torch.pi * 3 * (at - shift) / 16).expand(1, 1, 2, 16) for shift in (0, 1.3))
    assert torch.allclose(along(wave, 1.3), moved, atol=1e-5)


def test_the_subject_of_the_noise_moves_and_new_noise_is_where_it_was():
    mask, source, behind = square(2, 5), noise(3, 1, 4, 8, 16), noise(4, 1, 4, 8, 16)
    moved = Carry(mask, behind, fresh := noise(11, 1, 4, 8, 16)).noise(source, Carried(6))
    assert torch.allclose(moved[..., 2:6, 8:11], source[..., 2:6, 2:5], atol=1e-5)
    assert torch.equal(moved[..., 2:6, 2:5], behind[..., 2:6, 2:5])
    elsewhere = (mask + square(8, 11))[0, 0] == 0
    assert torch.equal(moved[..., elsewhere], source[..., elsewhere])
    shared = Carry(mask, behind, fresh).noise(source, Carried(6, fresh=0.8))
    assert torch.equal(shared, slerp(moved, fresh, 0.8)) and shared.std() == pytest.approx(1, abs=0.1)


@pytest.mark.parametrize("shift", [0, 12])
def test_a_subject_may_keep_its_noise_where_all_around_is_fresh(shift):
    def box(edge):
        mask = torch.zeros(1, 1, 16, 32)
        mask[..., 3 + edge : 14 - edge, 4 + edge + place : 15 - edge + place] = 1
        return mask

    place = 0
    source, behind, fresh = noise(12, 3, 1, 4, 16, 32)
    carry, place = Carry(box(0), behind, fresh), shift
    moved = carry.noise(source, Carried(shift))
    drawn = carry.noise(source, Carried(shift, fresh=0.8, own=1.0))
    inside, around = box(EDGE + 1), 1 - box(EDGE - 1)
    assert inside.any() and torch.allclose(drawn * inside, moved * inside, atol=1e-5)
    assert torch.allclose(drawn * around, slerp(moved, fresh, 0.8) * around, atol=1e-5)
    assert drawn.std() == pytest.approx(1, abs=0.1)
    half = carry.noise(source, Carried(shift, fresh=0.8, own=0.5))
    assert torch.allclose(half * inside, slerp(moved, fresh, 0.4) * inside, atol=1e-5)


def test_what_does_not_move_is_left_alone():
    source, latents, carry = (
        noise(5, 1, 4, 8, 16),
        noise(6, 1, 4, 8, 16),
        Carry(square(2, 5), *noise(7, 2, 1, 4, 8, 16)),
    )
    assert carry.noise(source, STAYING) is source
    assert carry.hold(latents, source, STAYING, 0.5) is latents


def test_a_subject_is_held_for_its_share_of_the_steps_and_what_is_around_always():
    source, latents, carry = (
        noise(8, 1, 4, 8, 16),
        noise(9, 1, 4, 8, 16),
        Carry(square(2, 5), *noise(10, 2, 1, 4, 8, 16)),
    )
    early, late = (carry.hold(latents, source, Carried(6, 0.4, around=True), done) for done in (0.4, 0.44))
    assert torch.allclose(early[..., 2:6, 8:11], source[..., 2:6, 2:5], atol=1e-5)
    assert torch.equal(late[..., 2:6, 8:11], latents[..., 2:6, 8:11])
    for made in (early, late):
        assert torch.equal(made[..., 2:6, 2:5], latents[..., 2:6, 2:5])  # what was behind it is drawn
        assert torch.equal(made[..., 13:], source[..., 13:]) and torch.equal(made[..., 0, :], source[..., 0, :])
    free = carry.hold(latents, source, Carried(6, 0.4), 0.9)
    assert torch.equal(free, latents)
