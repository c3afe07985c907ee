"""The published classes' inputs and outputs, and a small U-Net of SD 1.5's layout with the fixtures' weights."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

FOLDER = Path(__file__).parents[2] / "fixtures" / "hellomeme"
TOLERANCE = 1e-4


class Fixture(NamedTuple):
    """Weights, inputs and outputs by name."""

    weights: dict[str, Tensor]
    inputs: dict[str, Tensor]
    outputs: dict[str, Tensor]


def read(name: str) -> Fixture:
    tensors = {key: tensor.float() for key, tensor in load_file(FOLDER / f"{name}.safetensors").items()}
    parts = ({k.removeprefix(p): v for k, v in tensors.items() if k.startswith(p)} for p in ("w.", "in.", "out."))
    return Fixture(*parts)


def filled(module: nn.Module, weights: dict[str, Tensor]) -> nn.Module:
    """The module with a fixture's weights, which leave out the position tables and nothing else."""
    result = module.load_state_dict(weights, strict=False)
    assert not result.unexpected_keys
    assert all(key.endswith(".pe") for key in result.missing_keys)
    return module.eval().requires_grad_(False)


def rows(x: Tensor) -> Tensor:
    """[b, c, frames, h, w] as rows [(b frames), c, h, w]."""
    return x.transpose(1, 2).flatten(0, 1)


def close(ours: Tensor, theirs: Tensor) -> None:
    assert ours.shape == theirs.shape
    assert (ours - theirs).abs().max() <= TOLERANCE


@pytest.fixture(scope="session")
def fixture() -> Callable[[str], Fixture]:
    return read


@pytest.fixture(scope="session")
def base() -> Fixture:
    return read("unet_base")


@pytest.fixture(scope="session")
def unet(base):
    """SD 1.5's layout, narrow."""
    from diffusers import UNet2DConditionModel

    down, up = ("CrossAttnDownBlock2D",) * 3, ("CrossAttnUpBlock2D",) * 3
    small = UNet2DConditionModel(
        sample_size=16,
        block_out_channels=(16, 16, 32, 32),
        layers_per_block=1,
        norm_num_groups=8,
        cross_attention_dim=24,
        attention_head_dim=4,
        down_block_types=(*down, "DownBlock2D"),
        up_block_types=("UpBlock2D", *up),
    )
    return filled(small, base.weights)


@pytest.fixture(autouse=True)
def no_gradients():
    with torch.no_grad():
        yield
