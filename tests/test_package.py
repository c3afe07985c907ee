import re
import subprocess
import sys
import zipfile
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


@pytest.mark.slow
def test_the_wheel_holds_presets_and_the_manual(tmp_path):
    pytest.importorskip("hatchling")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(command, cwd=Path(__file__).parents[1], check=True, capture_output=True, timeout=900)
    (wheel,) = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    manual = {name.rpartition("/")[2] for name in names if "/data/share/man/man1/" in name}
    assert {"laser.1", "laser-animate.1", "laser-models-show.1"} < manual
    assert "laser_cli/presets/draft.yaml" in names
