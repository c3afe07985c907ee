"""What the engine's tests share."""

import pytest

from laser_cli.models.unet import UNetBackbone
from tests.small import small_unet


@pytest.fixture(scope="session")
def tiny():
    """A random U-Net of two levels that draws [n, 4, 8, 8] under embeddings of width 12."""
    return UNetBackbone(small_unet(12), "epsilon", 2)
