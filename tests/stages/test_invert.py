"""Inversions and the files that keep them."""

import dataclasses

import pytest
import torch

from laser_cli.errors import BadInputError
from laser_cli.measure.pictures import psnr
from laser_cli.stages.invert import invert_picture, load_inversion, regenerate, save_inversion

SOURCE = "a red ball in a meadow at noon"


@pytest.fixture(scope="module")
def inversion(storybook, red_ball):
    return invert_picture(storybook, red_ball, SOURCE, 25, input_sha256="abc")


def test_the_trajectory_runs_from_the_picture_to_noise(storybook, inversion):
    latents = inversion.trajectory.latents
    assert latents.shape == (
        26,
        storybook.vae.config.latent_channels,
        storybook.size // storybook.scale,
        storybook.size // storybook.scale,
    )
    assert 0.6 < float(latents[-1].std()) < 1.3


def test_drawing_it_again_comes_close_to_the_round_trip(storybook, inversion):
    trip = storybook.decode(inversion.trajectory.latents[:1])
    assert psnr(regenerate(storybook, inversion), trip) > 20


def test_a_file_brings_everything_back(storybook, inversion, tmp_path):
    save_inversion(inversion, tmp_path / "x.safetensors")
    back = load_inversion(tmp_path / "x.safetensors", storybook)
    assert torch.equal(back.trajectory.latents, inversion.trajectory.latents)
    embeds = [i.trajectory.conditioning.prompt_embeds for i in (back, inversion)]
    assert torch.equal(*embeds)
    for field in ("prompt", "method", "model", "revision", "input_sha256", "schedule"):
        assert getattr(back, field) == getattr(inversion, field)
    assert back.trajectory.pinned


def test_a_file_of_the_last_release_is_still_read(storybook, inversion, tmp_path):
    from safetensors import safe_open
    from safetensors.torch import save_file

    save_inversion(inversion, tmp_path / "new.safetensors")
    with safe_open(tmp_path / "new.safetensors", "pt") as file:
        about = file.metadata() | {"format": "laser-inversion-1"}
        old = {"latents": file.get_tensor("latents"), "states": file.get_tensor("prompt_embeds")}
    save_file(old, tmp_path / "old.safetensors", about)
    back = load_inversion(tmp_path / "old.safetensors", storybook).trajectory
    assert torch.equal(back.latents, inversion.trajectory.latents)
    assert torch.equal(back.conditioning.prompt_embeds, inversion.trajectory.conditioning.prompt_embeds)


@pytest.mark.parametrize(
    ("change", "says"), [({"revision": "abc"}, "another model"), ({"schedule": "{}"}, "another noise schedule")]
)
def test_another_models_inversion_is_refused(storybook, inversion, tmp_path, change, says):
    save_inversion(dataclasses.replace(inversion, **change), tmp_path / "x.safetensors")
    with pytest.raises(BadInputError, match=says):
        load_inversion(tmp_path / "x.safetensors", storybook)


def test_damaged_and_foreign_files_are_refused(storybook, inversion, tmp_path):
    from safetensors.torch import save_file

    save_inversion(inversion, tmp_path / "x.safetensors")
    (tmp_path / "cut.safetensors").write_bytes((tmp_path / "x.safetensors").read_bytes()[:-100])
    (tmp_path / "text.safetensors").write_text("hello")
    save_file({"a": torch.zeros(2)}, tmp_path / "other.safetensors")
    save_file({"latents": torch.zeros(2, 1), "states": torch.zeros(1)}, tmp_path / "half.safetensors", {"format": "x"})
    for name in ("cut", "text", "other", "half", "missing"):
        with pytest.raises(BadInputError):
            load_inversion(tmp_path / f"{name}.safetensors", storybook)


def test_plain_ddim_is_not_pinned(storybook, red_ball, tmp_path):
    inversion = invert_picture(storybook, red_ball, SOURCE, 2, "ddim")
    save_inversion(inversion, tmp_path / "x.safetensors")
    assert not load_inversion(tmp_path / "x.safetensors", storybook).trajectory.pinned
