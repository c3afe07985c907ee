"""The plot of a track shows every column that moves."""

import numpy as np
import pytest

from laser_cli.tracks.names import COLUMNS
from laser_cli.tracks.plot import plot_track
from laser_cli.tracks.schema import FaceTrack


def test_a_panel_for_each_part_that_is_there(talking):
    assert plot_track(talking).size == (1000, 720)
    assert plot_track(FaceTrack.of(30, ("jawOpen",), np.zeros((2, 1)))).size == (1000, 240)


def test_a_curve_lies_where_its_values_are():
    pictures = [
        np.array(
            plot_track(FaceTrack.of(10, ("jawOpen",), np.full((20, 1), value))).crop((60, 0, 790, 240)).convert("HSV")
        )
        for value in (0.25, 0.75)
    ]
    heights = [np.argwhere(p[..., 1] > 120)[:, 0].mean() for p in pictures]
    assert heights[0] == pytest.approx(210 - 0.25 * 180, abs=2) and heights[1] == pytest.approx(210 - 0.75 * 180, abs=2)


@pytest.mark.parametrize("frames", [1, 2, 400])
def test_any_length_and_all_columns(frames):
    values = np.linspace(0, 1, frames)[:, None] * np.ones(len(COLUMNS))
    picture = plot_track(FaceTrack.of(30, COLUMNS, values))
    assert np.array(picture).min() < 100
