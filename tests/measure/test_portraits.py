"""Reenactments and what is measured of them."""

import pytest
import torch

from laser_cli.controls.knit.own import AdapterSettings, base_probe, new_adapters, save_adapters
from laser_cli.measure.pictures import ssim
from laser_cli.measure.portraits.bench import bench_portraits, flickers
from laser_cli.measure.portraits.items import AT_ONCE, CLIP, drawn, read_motion, sample_reenactments
from laser_cli.measure.portraits.rows import ATTENTION, COPIED, KNITTING, WORDS
from laser_cli.storybook.classifier import load_classifier
from laser_cli.storybook.driving import PLACE, motion_of
from laser_cli.storybook.look import SHIPPED
from laser_cli.storybook.puppets import Puppet


def test_structural_similarity():
    a = torch.rand(3, 32, 32, generator=torch.Generator().manual_seed(0))
    assert ssim(a, a) == pytest.approx(1)
    assert ssim(a, a.flip(2)) < 0.3 < ssim(a, 0.9 * a + 0.05)
    # flat pictures differ in their means alone: (2 m n + c) / (m^2 + n^2 + c)
    flat = ssim(torch.full((3, 16, 16), 0.5), torch.full((3, 16, 16), 0.7))
    assert flat == pytest.approx((2 * 0.35 + 1e-4) / (0.25 + 0.49 + 1e-4))


def test_reenactments_are_as_many_as_asked_and_the_same_every_time():
    items = sample_reenactments(10)
    for kind in ("self", "cross"):
        sizes = [len(item.targets) for item in items if item.kind == kind]
        assert sum(sizes) == 10 and max(sizes) == AT_ONCE
    assert items == sample_reenactments(10) and items != sample_reenactments(10, seed=1)
    for item in items:
        looks = {(p.hair, p.skin, p.eyes, p.hat) for p in (item.reference, *item.targets)}
        assert len(looks) == 1
        assert (item.drivers == item.targets) == (item.kind != "cross")
        assert [d.expression for d in item.drivers] == [t.expression for t in item.targets]
    assert [len(item.targets) for item in items if item.kind == "clip"] == [CLIP - 1]


def test_a_drive_is_read_from_pictures():
    puppets = [Puppet(yaw=25, expression=(("jawOpen", 0.9),)), Puppet(roll=-15)]
    read, true = read_motion(load_classifier(), drawn(puppets, SHIPPED)), motion_of(puppets)
    assert abs(read.pose.angles - true.pose.angles).max() < 0.1
    assert abs(read.coefficients - true.coefficients).mean() < 0.02


def test_flicker_counts_what_the_truth_does_not_do():
    true = torch.rand(4, 3, 8, 8)
    assert flickers(true, true) == 0 and flickers(true + 0.1, true) == pytest.approx(0, abs=1e-4)
    flashing = true + torch.tensor([0.0, 0.1, 0.0, 0.1]).view(-1, 1, 1, 1)
    assert flickers(flashing, true) == pytest.approx(25.5, rel=1e-3)


def test_every_row_is_measured(storybook, tmp_path):
    unet = storybook.unet
    blocks = tuple(unet.config.block_out_channels)
    settings = AdapterSettings(blocks=blocks, base=base_probe(unet), pixels=storybook.scale, place=PLACE)
    save_adapters(tmp_path, settings, *new_adapters(settings))
    figures, pictures = bench_portraits(storybook, load_classifier(), 1, 1, str(tmp_path))
    assert pictures.shape[:2] == (3, 6)
    told = {figure.name: figure for figure in figures}
    for kind in ("self", "cross"):
        for row in (COPIED, WORDS, ATTENTION, KNITTING, "true renders"):
            assert told[f"{kind}, {row}: SSIM"].of == 1
    assert told["self, true renders: SSIM"].value == 1 and told["flicker, " + KNITTING].value > 0
    assert told["evaluations a frame, " + COPIED].value == 0
    # one guided step a frame, the references' own faces among them, and three rows for each of the three references:
    # two read it, one inverts it
    knitting = told["evaluations a frame, " + KNITTING]
    assert knitting.value == pytest.approx((2 * 12 + 9) / 12) and knitting.target == 27
    barred = {f.name.split(": ")[1].split(",")[0] for f in figures if f.target is not None and ": " in f.name}
    assert barred == {"expression error", "pose error", "identity kept"}
