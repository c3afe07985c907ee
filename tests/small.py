"""A U-Net small enough for any test."""

import torch
from diffusers import UNet2DConditionModel


def small_unet(width: int) -> UNet2DConditionModel:
    """A random one of two levels that draws [n, 4, 8, 8] under hidden states of this width; seeds torch."""
    torch.manual_seed(0)
    return UNet2DConditionModel(
        sample_size=8,
        block_out_channels=(16, 32),
        layers_per_block=1,
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
        cross_attention_dim=width,
        attention_head_dim=2,
        norm_num_groups=8,
    ).eval()
