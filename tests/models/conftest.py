"""What the tests of models share."""

import shutil

import pytest

from tests.models import tiny


@pytest.fixture(scope="session")
def sd_folder(tmp_path_factory):
    """A tiny SD 1.x checkpoint; do not change it."""
    return tiny.sd(tmp_path_factory.mktemp("sd"))


@pytest.fixture(scope="session")
def sdxl_folder(tmp_path_factory):
    """A tiny SDXL checkpoint; do not change it."""
    return tiny.sdxl(tmp_path_factory.mktemp("sdxl"))


@pytest.fixture
def sd_copy(sd_folder, tmp_path):
    """A tiny SD 1.x checkpoint to spoil."""
    return shutil.copytree(sd_folder, tmp_path / "model")


@pytest.fixture
def sdxl_copy(sdxl_folder, tmp_path):
    """A tiny SDXL checkpoint to spoil."""
    return shutil.copytree(sdxl_folder, tmp_path / "model")
