"""What the engine's tests share."""

import pytest

from tests.small import small_unet


@pytest.fixture(scope="session")
def tiny_unet():
    """A random U-Net of two levels that draws [n, 4, 8, 8] under hidden states of width 12."""
    return small_unet(12)
