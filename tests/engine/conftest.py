"""What the engine's tests share."""

import pytest
import torch
from diffusers import UNet2DConditionModel


@pytest.fixture(scope="session")
def tiny_unet():
    """A random U-Net of two levels that draws [n, 4, 8, 8] under hidden states of width 12."""
    torch.manual_seed(0)
    return UNet2DConditionModel(
        sample_size=8,
        block_out_channels=(16, 32),
        layers_per_block=1,
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
        cross_attention_dim=12,
        attention_head_dim=2,
        norm_num_groups=8,
    ).eval()
