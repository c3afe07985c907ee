"""Numbers that go wrong end the run with a name, or go on in a precision that holds them."""

import logging

import pytest
import torch

from laser_cli.models.load import load_model
from laser_cli.models.numerics import NumericError, check_finite, decode_in, decoding_dtype, in_safe_precision
from tests.models import tiny


@pytest.fixture
def model(sd_folder):
    return load_model(str(sd_folder), "cpu", "float32")


def level(model):
    return model.schedule.levels(4)[1]


def test_nan_in_a_u_nets_weight_is_named(model):
    model.unet.conv_out.bias.data[0] = float("nan")
    with pytest.raises(NumericError, match="the U-Net hold NaN") as error:
        model.backbone.predict(torch.zeros(1, 4, 8, 8), level(model), model.encode_prompts([""]))
    assert "conv_out.bias" in error.value.why and "verify" in error.value.hint


def test_nan_in_a_text_encoder_is_named(model):
    next(model.text_encoder.parameters()).data[:] = float("nan")
    with pytest.raises(NumericError, match="embeddings of the prompts hold NaN"):
        model.encode_prompts(["a ball"])


def test_nan_in_a_vae_is_named(model):
    model.vae.decoder.conv_in.weight.data[0] = float("nan")
    with pytest.raises(NumericError) as error:
        model.decode(torch.zeros(1, 4, 8, 8))
    assert "decoder.conv_in.weight" in error.value.why
    model.vae.encoder.conv_in.weight.data[0] = float("nan")
    with pytest.raises(NumericError):
        model.encode_picture(torch.zeros(1, 3, 16, 16))


def test_latents_that_are_not_finite_are_not_decoded(model):
    with pytest.raises(NumericError, match="the latents hold infinity"):
        model.decode(torch.full((1, 4, 8, 8), float("inf")))


def test_overflow_in_half_precision_is_drawn_again_in_a_wider_one(caplog):
    network = torch.nn.Linear(4, 4).half()
    network.dtype = torch.float16
    network.weight.data[:] = 60_000

    def call(x):
        return network(x.to(network.weight.dtype))

    with caplog.at_level(logging.WARNING, logger="laser_cli"):
        out = in_safe_precision("the U-Net", network, call, torch.full((1, 4), 10.0))
    assert torch.isfinite(out).all() and network.weight.dtype == torch.float32
    assert "the U-Net overflows in float16; going on in float32" in caplog.text


def test_a_vae_that_overflows_where_it_decodes_goes_on_wider_as_a_whole(sd_folder, caplog):
    model = load_model(str(sd_folder), "cpu", "float32")
    decode_in(model.vae, torch.float16)
    model.vae.decoder.conv_out.weight.data[:] = 60_000
    with caplog.at_level(logging.WARNING, logger="laser_cli"):
        picture = model.decode(torch.ones(1, 4, 8, 8))
    assert torch.isfinite(picture).all() and decoding_dtype(model.vae) == model.vae.dtype == torch.float32
    assert "the VAE overflows in float16; going on in float32" in caplog.text


def test_weights_beyond_float16_are_loaded_wider(tmp_path, caplog):
    from diffusers import UNet2DConditionModel

    folder = tiny.sd(tmp_path / "m")
    net = UNet2DConditionModel.from_pretrained(folder / "unet")
    net.conv_in.bias.data[0] = 1e6
    net.save_pretrained(folder / "unet")
    with caplog.at_level(logging.WARNING, logger="laser_cli"):
        model = load_model(str(folder), "cpu", "float16")
    assert model.dtype in (torch.float32, torch.bfloat16) and "beyond float16" in caplog.text
    assert float(model.unet.conv_in.bias.float().max()) > 9e5


def test_finite_numbers_pass():
    check_finite("these", torch.ones(2), torch.nn.Linear(2, 2))
