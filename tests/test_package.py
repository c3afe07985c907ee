import re
from pathlib import Path

import pytest

import laser_cli
from laser_cli import presets_dir
from laser_cli.errors import NotFoundError


def test_source_version_is_that_of_the_project_file():
    project = (Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8")
    assert re.search(r'^version = "(.+)"$', project, re.MULTILINE)[1] == laser_cli._SOURCE_VERSION
    assert re.fullmatch(r"\d+\.\d+\.\d+.*", laser_cli.__version__)


@pytest.mark.parametrize("place", ["laser_cli/presets", "presets"])
def test_presets_are_found_in_a_wheel_and_in_a_checkout(tmp_path, monkeypatch, place):
    (tmp_path / "laser_cli").mkdir()
    monkeypatch.setattr(presets_dir, "__file__", str(tmp_path / "laser_cli" / "presets_dir.py"))
    with pytest.raises(NotFoundError):
        presets_dir.presets_folder()
    (tmp_path / place).mkdir()
    assert presets_dir.presets_folder() == (tmp_path / place).resolve()
