"""Which distance even spacing measures by, and what is told of one that is not there."""

import pytest

from laser_cli.errors import NotFoundError, UsageError
from laser_cli.jobs import distance
from laser_cli.jobs.distance import choose_distance


@pytest.fixture(params=[True, False])
def critic(request, tmp_path, monkeypatch):
    """Weights with or without an attribute classifier."""
    monkeypatch.setattr(distance, "WEIGHTS", tmp_path)
    if request.param:
        (tmp_path / "critic").mkdir()
        (tmp_path / "critic" / "config.json").write_text("{}")
    return request.param


def test_auto_is_the_critic_for_storybook_where_there_is_one(critic):
    assert choose_distance("auto", "storybook") == ("critic" if critic else "pixels")
    assert choose_distance("auto", "owner/name") == "pixels"


def test_the_critic_may_be_asked_for_where_there_is_one(critic):
    if critic:
        assert choose_distance("critic", "owner/name") == "critic"
        return
    with pytest.raises(NotFoundError, match="classifier is not installed"):
        choose_distance("critic", "storybook")


def test_others_go_by_their_names():
    assert choose_distance("pixels", "storybook") == "pixels"
    assert choose_distance("clip:some/folder", "storybook") == "clip:some/folder"
    for wrong in ("clip", "clip:", "eye"):
        with pytest.raises(UsageError):
            choose_distance(wrong, "storybook")


def test_lpips_must_be_installed(monkeypatch):
    monkeypatch.setattr(distance, "find_spec", lambda name: None)
    with pytest.raises(NotFoundError) as raised:
        choose_distance("lpips", "storybook")
    assert "pip install lpips" in raised.value.hint
    monkeypatch.setattr(distance, "find_spec", lambda name: object())
    assert choose_distance("lpips", "storybook") == "lpips"
