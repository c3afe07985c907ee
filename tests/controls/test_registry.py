"""Controls by name, this package's and others'."""

from importlib.metadata import EntryPoint

import pytest

from laser_cli.controls import registry
from laser_cli.controls.base import Control
from laser_cli.errors import NotFoundError

BROUGHT = Control("posture")


def test_every_signal_stands_for_controls_that_there_are():
    for name in ("texture", "motion", *registry.SIGNALS):
        assert registry.find_controls(registry.signal(name)) is not None
    assert registry.signal("texture") == {"texture": (1.0, 1.0)} and not registry.signal("hold")


def test_hybrid_lets_go_of_the_source():
    assert registry.signal("hybrid") == {"texture": (1.0, 0.0), "motion": (1.0, 0.0)}


def test_an_unknown_control_is_an_error_that_lists_the_known():
    with pytest.raises(NotFoundError, match="posture") as raised:
        registry.find_controls(["posture"])
    assert "texture" in raised.value.hint


def test_other_packages_bring_controls(monkeypatch):
    point = EntryPoint("posture", "tests.controls.test_registry:BROUGHT", registry.GROUP)
    monkeypatch.setattr(registry, "entry_points", lambda group: [point] if group == registry.GROUP else [])
    texture, posture = registry.find_controls(["texture", "posture", "texture"])
    assert texture.name == "texture" and posture.name == "posture"
