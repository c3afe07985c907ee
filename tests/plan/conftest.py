"""Planners in tests keep nothing in the user's cache."""

import pytest


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("LASER_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))
