"""Names of the libraries that are not public but used: a new version that lacks one is noticed here."""

import torch
from diffusers import UNet2DConditionModel
from diffusers.models.attention_processor import Attention

from laser_cli.controls import aid
from laser_cli.models.attention import KNOWN
from tests.small import small_unet


def test_the_librarys_private_names_are_there():
    assert hasattr(UNet2DConditionModel, "_convert_ip_adapter_image_proj_to_diffusers"), "models.adapter"
    assert hasattr(torch.ops.aten, aid.WEIGHED), "controls.aid: falls back to the slower fused outer"
    for unit in ("avx512_bf16", "amx_tile"):
        assert hasattr(torch.cpu, f"_is_{unit}_supported"), "models.load: falls back to float32"


def test_attentions_have_what_their_processor_reads():
    """models.attention repeats the library's processor, of which these are no public interface."""
    attention = next(module for module in small_unet(12).modules() if isinstance(module, Attention))
    wanted = ("to_q", "to_k", "to_v", "to_out", "heads", "norm_q", "norm_k", "spatial_norm", "group_norm", "norm_cross")
    wanted += ("prepare_attention_mask", "residual_connection", "rescale_output_factor")
    assert [name for name in wanted if not hasattr(attention, name)] == []
    assert type(attention.processor).__name__ in KNOWN
