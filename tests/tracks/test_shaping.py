"""Gaps, rates, smoothing and retargeting: what happens to a track on its way to a portrait."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from laser_cli.errors import BadInputError
from laser_cli.tracks.capture import Capture, fill, runs, to_track
from laser_cli.tracks.retarget import resample, retarget, stretch
from laser_cli.tracks.schema import FaceTrack
from laser_cli.tracks.smooth import one_euro, smooth


def capture(values: list[float], fps: float = 10, column: str = "jawOpen") -> Capture:
    return Capture((column,), np.arange(len(values)) / fps, np.array(values, float)[:, None], "clip.mp4")


def of(values: np.ndarray, fps: float = 30, column: str = "jawOpen") -> FaceTrack:
    return FaceTrack.of(fps, (column,), np.asarray(values, float)[:, None])


NAN = math.nan


@pytest.mark.parametrize(
    ("filling", "filled"),
    [("linear", [0.2, 0.2, 0.4, 0.6, 0.8, 0.8]), ("hold", [0.2, 0.2, 0.2, 0.2, 0.8, 0.8])],
)
def test_gaps_are_filled_and_said(filling, filled):
    track, notes = to_track(capture([NAN, 0.2, NAN, NAN, 0.8, NAN]), filling=filling)
    assert track["jawOpen"] == pytest.approx(filled)
    assert len(notes) == 1 and notes[0].startswith("4 frames without a face (0, 2-3, 5) filled")


def test_no_frame_is_ever_dropped():
    track, _ = to_track(capture([0.1, NAN, NAN, 0.4] * 20))
    assert len(track.frames) == 80


def test_what_was_never_measured_is_not_a_column():
    both = Capture(("jawOpen", "yaw"), np.arange(2) / 10, np.array([[0.5, NAN], [0.6, NAN]]))
    filled, notes = fill(both)
    assert filled.columns == ("jawOpen",) and notes == []


def test_nothing_measured_at_all():
    with pytest.raises(BadInputError, match=r"nothing was measured in clip.mp4") as caught:
        to_track(capture([NAN, NAN]))
    assert "none of its 2 frames shows a face" in caught.value.render()


def test_uneven_times_become_even():
    uneven = Capture(("yaw",), np.array([0, 0.1, 0.2, 0.5, 0.6]), np.array([[0.0], [1], [2], [5], [6]]))
    track, _ = to_track(uneven)
    assert track.fps == 10 and track["yaw"].tolist() == pytest.approx([0, 1, 2, 3, 4, 5, 6])


@given(st.sets(st.integers(0, 60)))
def test_runs_in_words_count_every_frame(frames):
    said = runs(sorted(frames), most=100)
    parts = [part.split("-") for part in said.split(", ") if part]
    assert {n for part in parts for n in range(int(part[0]), int(part[-1]) + 1)} == frames


def test_many_runs_are_cut_short():
    assert runs(range(0, 20, 2)) == "0, 2, 4, 6, 8 and 5 more places"


@pytest.mark.parametrize("fps", [8, 12, 24, 29.97, 60])
def test_resampling_keeps_the_first_frame_and_the_time(fps):
    track = of(np.linspace(0, 1, 61))
    other = resample(track, fps)
    assert other.fps == fps and 0 <= track.duration - other.duration < 1 / fps
    assert other["jawOpen"] == pytest.approx(np.arange(len(other.frames)) / fps / 2, abs=1e-4)


def test_resampling_to_its_own_rate_changes_nothing(talking):
    assert resample(talking, 30).frames == talking.frames


def test_stretching_keeps_both_ends():
    track = of([0, 0.5, 1])
    assert stretch(track, 5)["jawOpen"].tolist() == [0, 0.25, 0.5, 0.75, 1]
    assert stretch(track, 1)["jawOpen"].tolist() == [0]
    with pytest.raises(BadInputError):
        stretch(track, 0)


def plain_one_euro(values, fps, min_cutoff, beta, d_cutoff=1.0):
    """Algorithm 1 of Casiez et al., CHI 2012, one number at a time."""

    def alpha(cutoff):
        tau, te = 1 / (2 * math.pi * cutoff), 1 / fps
        return 1 / (1 + tau / te)

    out, last, raw, dx = [], None, None, 0.0
    for x in values:
        if last is None:
            out.append(x)
        else:
            dx = alpha(d_cutoff) * (x - raw) * fps + (1 - alpha(d_cutoff)) * dx
            a = alpha(min_cutoff + beta * abs(dx))
            out.append(a * x + (1 - a) * last)
        last, raw = out[-1], x
    return out


def test_one_euro_is_the_published_filter():
    values = np.random.default_rng(0).normal(size=(200, 2)).cumsum(0)
    ours = one_euro(values, 30, 1.2, np.array([0.7, 0.0]))
    for i, beta in enumerate((0.7, 0.0)):
        assert ours[:, i] == pytest.approx(plain_one_euro(values[:, i], 30, 1.2, beta))


def test_smoothing_takes_jitter_and_leaves_a_blink():
    noise = np.random.default_rng(0).normal(0, 0.02, 120)
    still = smooth(of(np.clip(0.5 + noise, 0, 1)))["jawOpen"]
    assert np.abs(np.diff(still)).mean() < 0.4 * np.abs(np.diff(noise)).mean()
    blink = np.interp(np.arange(30) / 30, [0.3, 0.4, 0.5, 0.65], [0, 1, 1, 0])
    closed = smooth(of(blink, column="eyeBlinkLeft"))["eyeBlinkLeft"]
    assert closed.max() > 0.9, "whole"
    middle = lambda curve: (curve * np.arange(30)).sum() / curve.sum()  # noqa: E731
    assert middle(closed) == pytest.approx(middle(blink), abs=0.5), "and not late"


def test_smoothing_turns_with_the_head():
    turn = np.interp(np.arange(60) / 30, [0.5, 1.0], [0, 40])
    assert np.abs(smooth(of(turn, column="yaw"))["yaw"] - turn).max() < 2.5


def test_what_does_not_move_is_not_moved(talking):
    still = of(np.full(20, 0.3))
    assert smooth(still).frames == still.frames
    assert smooth(talking)["z"].tolist() == talking["z"].tolist()


def test_absolute_and_relative():
    track = FaceTrack.of(10, ("jawOpen", "yaw", "z"), np.array([[0.2, 10, -60.0], [0.6, 20, -50]]))
    assert retarget(track).frames == track.frames
    half = retarget(track, ratio=0.5)
    assert half["jawOpen"].tolist() == [0.1, 0.3] and half["yaw"].tolist() == [5, 10]
    assert half["z"].tolist() == [-60, -55], "a place has no rest value"
    moved = retarget(track, "relative", onto={"yaw": -5})
    assert moved["jawOpen"].tolist() == [0, 0.4] and moved["yaw"].tolist() == [-5, 5]
    assert retarget(track, "relative", neutral=1)["jawOpen"].tolist() == [0, 0], "shapes stay within 0..1"
    with pytest.raises(BadInputError, match="no frame 2"):
        retarget(track, "relative", neutral=2)


def test_a_relative_drive_begins_with_the_portrait(talking):
    onto = {"jawOpen": 0.1, "yaw": -12.0}
    first = retarget(talking, "relative", ratio=0.7, onto=onto)
    assert {name: first[name][0] for name in onto} == pytest.approx(onto)
