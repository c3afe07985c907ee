"""Which adapters a model is drawn with."""

import json

import pytest

from laser_cli.controls.knit.find import OWN, find_adapters, needed_adapters
from laser_cli.errors import NotFoundError


@pytest.fixture
def model(tmp_path):
    (tmp_path / "model" / "portraits").mkdir(parents=True)
    (tmp_path / "model" / "portraits" / "config.json").write_text(json.dumps({"faces": "puppets"}))
    return tmp_path / "model"


def test_a_models_own_are_found_beside_it(model):
    found = find_adapters(None, str(model))
    assert (found.name, found.path, found.puppets) == (OWN, model / "portraits", True)


def test_their_digest_is_that_of_their_files(model):
    before = find_adapters(None, str(model)).digest
    (model / "portraits" / "model.safetensors").write_bytes(b"weights")
    assert find_adapters(None, str(model)).digest != before


def test_those_that_are_asked_for_come_first(model, tmp_path):
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "config.json").write_text(json.dumps({"faces": "people"}))
    found = find_adapters(str(tmp_path / "other"), str(model))
    assert found.path == tmp_path / "other" and not found.puppets


def test_what_is_not_there_is_told(tmp_path):
    (tmp_path / "bare").mkdir()
    assert find_adapters(None, str(tmp_path / "bare")) is None
    with pytest.raises(NotFoundError, match="no portrait adapters"):
        needed_adapters(None, str(tmp_path / "bare"))
    with pytest.raises(NotFoundError, match="are no portrait adapters"):
        find_adapters(str(tmp_path / "nothing"), "storybook")
    with pytest.raises(NotFoundError, match="hellomeme:v9"):
        find_adapters("hellomeme:v9", "storybook")
