"""Figures beside their targets."""

import math

import pytest

from laser_cli.measure.figures import Figure, as_json, as_text


@pytest.mark.parametrize(
    ("value", "better", "holds"),
    [(1.1, "lower", True), (1.2, "lower", False), (1.2, "higher", True), (1.1, "higher", False)],
)
def test_a_target_holds_or_not(value, better, holds):
    assert Figure("x", value, "", 1.15, better).holds is holds


def test_a_baseline_has_no_target():
    assert Figure("x", 1.0).holds is None
    assert "target" not in as_text([Figure("x", 1.0)])


def test_json_has_the_documented_fields():
    told = as_json("speed", [Figure("a", 1.0, "s", 2.0), Figure("b", 3.0, "s", 2.0)])
    assert told == {
        "bench": "speed",
        "figures": [
            {"name": "a", "value": 1.0, "unit": "s", "target": 2.0, "holds": True},
            {"name": "b", "value": 3.0, "unit": "s", "target": 2.0, "holds": False},
        ],
    }


def test_text_says_what_was_missed():
    assert "MISSED" in as_text([Figure("b", 3.0, "s", 2.0)])


def test_where_nothing_was_measured_no_target_is_missed():
    nothing = Figure("x", math.nan, "%", 90.0, "higher", of=0)
    assert nothing.holds is None
    assert "-" in as_text([nothing]).split() and as_text([nothing]).endswith("target >= 90  not measured")
    assert as_json("plan", [nothing])["figures"][0].items() >= {"value": None, "holds": None, "of": 0}.items()
