"""Controls by name, this package's and others'."""

import os
import subprocess
import sys

import pytest

from laser_cli.controls import registry
from laser_cli.errors import NotFoundError


def test_every_signal_stands_for_controls_that_there_are():
    for name in ("texture", "motion", *registry.SIGNALS):
        assert registry.find_controls(registry.signal(name)) is not None
    assert registry.signal("texture") == {"texture": (1.0, 1.0)} and not registry.signal("hold")


def test_hybrid_lets_go_of_the_source():
    assert registry.signal("hybrid") == {"texture": (1.0, 0.0), "motion": (1.0, 0.0)}


def test_words_are_several_controls_and_local_is_one_more():
    assert registry.signal("words").keys() == {"words", "words.layout"}
    assert registry.signal("local").keys() - registry.signal("words").keys() == {"words.local"}
    assert set(registry.names()) >= {"texture", "motion", "hybrid", "hold", "words", "local"}
    assert "words.local" not in registry.names()


def test_an_unknown_control_is_an_error_that_lists_the_known():
    with pytest.raises(NotFoundError, match="posture") as raised:
        registry.find_controls(["posture"])
    assert "texture" in raised.value.hint


def test_a_control_that_another_package_brings_can_be_named_in_plans(tmp_path):
    (tmp_path / "poses-1.0.dist-info").mkdir()
    (tmp_path / "poses-1.0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: poses\nVersion: 1.0\n")
    (tmp_path / "poses-1.0.dist-info" / "entry_points.txt").write_text("[laser.controls]\nposture = poses:CONTROL\n")
    (tmp_path / "poses.py").write_text("from laser_cli.controls.base import Control\nCONTROL = Control('posture')\n")
    code = """
from laser_cli.plan.schema import Segment
segment = Segment(prompt="a cat", frames=2, control="posture")
import sys
assert segment.strength == 0.5 and "torch" not in sys.modules
from laser_cli.controls.registry import find_controls, signal
texture, posture = find_controls(["texture", *signal("posture"), "texture"])
print(texture.name, posture.name)
"""
    path = os.pathsep.join([str(tmp_path), *sys.path])
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env={**os.environ, "PYTHONPATH": path}
    )
    assert done.stdout == "texture posture\n", done.stderr
