"""A sentence's few poses as a moving face."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from laser_cli.errors import BadInputError
from laser_cli.plan.schema import FacePoint, Plan, Segment
from laser_cli.tracks.inbetween import Pose, draw_track, lead_in, monotone_spline, with_blinks, with_holds
from laser_cli.tracks.planned import planned_track
from laser_cli.tracks.read import Reading, read_track
from laser_cli.tracks.schema import FaceTrack


@given(st.lists(st.tuples(st.floats(0.05, 2), st.floats(0, 1)), min_size=1, max_size=8))
def test_a_spline_meets_its_points_and_never_overshoots(knots):
    times = np.cumsum([step for step, _ in knots])
    values = np.array([value for _, value in knots])
    assert monotone_spline(times, values, times) == pytest.approx(values)
    fine = np.linspace(times[0] - 1, times[-1] + 1, 400)
    curve = monotone_spline(times, values, fine)
    for i in range(len(times) - 1):
        inside = curve[(fine >= times[i]) & (fine <= times[i + 1])]
        low, high = sorted(values[i : i + 2])
        assert (inside >= low - 1e-9).all() and (inside <= high + 1e-9).all()
    outside = curve[(fine < times[0]) | (fine > times[-1])]
    assert np.minimum(np.abs(outside - values[0]), np.abs(outside - values[-1])).max() < 1e-9


def test_a_spline_is_smooth():
    times, values = np.array([0.0, 0.4, 1.0, 1.3]), np.array([0.0, 0.2, 0.9, 1.0])
    speeds = np.diff(monotone_spline(times, values, np.linspace(0, 1.3, 1301))) * 1000
    assert np.abs(np.diff(speeds)).max() < 0.05
    assert abs(speeds[0]) < 0.05 and abs(speeds[-1]) < 0.05, "it starts and ends at rest"


def test_a_pose_is_held():
    poses = [Pose(0), Pose(1, {"mouthSmileLeft": 0.8}), Pose(2)]
    track = draw_track(poses, 20, 41, hold=0.4)
    smile = track["mouthSmileLeft"]
    held = np.flatnonzero(smile == 0.8)
    assert held[0] == 16 and held[-1] == 24
    assert smile[0] == smile[-1] == 0
    assert (np.diff(smile[:17]) >= 0).all() and (np.diff(smile[24:]) <= 0).all()


def test_an_even_pace_rests_only_where_a_value_turns():
    poses = [Pose(0), Pose(1, {"yaw": 10, "jawOpen": 1.0}), Pose(2, {"yaw": 20}), Pose(3, {"yaw": 20})]
    track = draw_track(poses, 20, 61, even=True)
    turned = np.concatenate([np.linspace(0, 20, 41), np.full(20, 20)])
    assert track["yaw"] == pytest.approx(turned), "one speed, no holds"
    speed = np.abs(np.diff(track["jawOpen"])) * 20
    assert speed[0] > 1 and speed[19:21].max() < 0.2 and track["jawOpen"].max() == 1, "it turns at rest"


def test_lids_are_quick():
    poses = [Pose(0), Pose(2, {"eyeBlinkLeft": 1.0, "mouthSmileLeft": 1.0}), Pose(4)]
    track = draw_track(poses, 40, 161, hold=0.2)
    for name, seconds in {"eyeBlinkLeft": 0.25, "mouthSmileLeft": 1.9}.items():
        moving = (track[name] > 0) & (track[name] < 1)
        assert moving.sum() / 40 == pytest.approx(2 * seconds, abs=0.15)
    assert track["eyeBlinkLeft"][80] == 1


@pytest.mark.parametrize(("before", "after"), [(0.0, 1.0), (1.0, 0.0)])
def test_eyes_fall_asleep_and_wake_slowly(before, after):
    track = draw_track([Pose(0, {"eyeBlinkLeft": before}), Pose(2, {"eyeBlinkLeft": after})], 40, 81)
    lids = track["eyeBlinkLeft"]
    assert lids[40] == pytest.approx(0.5) and np.ptp(lids[20:61]) == pytest.approx(0.6875)


def test_close_poses_leave_time_to_move():
    poses = [Pose(0), Pose(0.2, {"jawOpen": 1}), Pose(0.4), Pose(2)]
    held = with_holds(poses, 1.0)
    times = [pose.at for pose in held]
    assert times == sorted(times) and len(set(times)) == len(times)
    assert held[1].at == pytest.approx(0.15) and held[2].at == pytest.approx(0.25)


@pytest.mark.parametrize("poses", [[Pose(0, {"yaw": 5})], [Pose(0), Pose(1, {"yaw": 5})]])
def test_one_or_two_poses(poses):
    track = draw_track(poses, 10, 11)
    assert track["yaw"][-1] == 5 and len(track.frames) == 11


def still(seconds: float, fps: float = 24, **told) -> FaceTrack:
    frames = int(seconds * fps) + 1
    columns = told or {"yaw": np.zeros(frames)}
    return FaceTrack.of(fps, tuple(columns), np.stack(list(columns.values()), 1))


def test_blinks_come_where_nothing_is_said():
    track = with_blinks(still(12), seed=3)
    lids = track["eyeBlinkLeft"]
    starts = np.flatnonzero((lids[1:] > 0) & (lids[:-1] == 0))
    assert 2 <= len(starts) <= 6 and lids.max() == 1
    assert (np.diff(starts) >= 2 * 24).all()
    assert (lids == track["eyeBlinkRight"]).all()
    assert not lids[:9].any() and not lids[-9:].any()
    assert with_blinks(still(12), seed=3) == track and with_blinks(still(12), seed=4) != track


def test_blinks_leave_told_lids_alone():
    wink = np.interp(np.arange(12 * 24 + 1) / 24, [4, 4.3, 8, 8.3], [0, 1, 1, 0])
    track = with_blinks(still(12, eyeBlinkLeft=wink), seed=1)
    told = wink > 0.05
    assert (track["eyeBlinkLeft"][told] == np.round(wink[told], 5)).all()
    assert not track["eyeBlinkRight"][told].any(), "the other eye of a wink stays open"


def test_a_short_clip_has_no_blink():
    assert with_blinks(still(0.8)) == still(0.8)


def test_the_way_from_the_portrait(talking):
    track = lead_in(talking, {"jawOpen": 0.0, "yaw": -20.0, "roll": 4.0}, seconds=0.5)
    assert len(track.frames) == len(talking.frames) + 15
    assert track["yaw"][0] == -20 and track["roll"][0] == 4 and track["roll"][15] == 0
    assert (track["yaw"][15:] == talking["yaw"]).all() and (track["z"] == -60).all()
    assert np.abs(np.diff(track["yaw"][:16])).max() < 3


def plan(**changes) -> Plan:
    face = (
        FacePoint(at=0),
        FacePoint(at=50, expression={"mouthSmileLeft": 80}, yaw=20, pitch=10, roll=5),
        FacePoint(at=100),
    )
    segment = Segment(prompt="a woman, smiling", frames=25)
    return Plan(**({"source": "a woman", "segments": (segment,), "face": face} | changes))


def test_a_plan_as_a_track(tmp_path):
    track = planned_track(plan(), 12, blinks=False)
    assert len(track.frames) == 25 and track.fps == 12
    middle = {name: track[name][12] for name in ("mouthSmileLeft", "yaw", "pitch", "roll")}
    # a plan looks up and tilts to the right with positive angles, a track down and to the left
    assert middle == {"mouthSmileLeft": 0.8, "yaw": 20, "pitch": -10, "roll": -5}
    assert not any(track.frames[0]) and not any(track.frames[-1])
    smile = (FacePoint(at=0), FacePoint(at=100, expression={"mouthSmileLeft": 80}))
    assert planned_track(plan(face=smile), 12, blinks=False).columns == ("mouthSmileLeft",), (
        "the head is not told to move"
    )


def test_a_plan_that_eases_has_a_face_that_rests():
    turn = (FacePoint(at=0), FacePoint(at=100, yaw=24))
    paces = {}
    for easing in ("linear", "ease"):
        segment = Segment(prompt="a woman", frames=25, easing=easing)
        paces[easing] = np.diff(planned_track(plan(face=turn, segments=(segment,)), 12, blinks=False)["yaw"])
    assert paces["linear"] == pytest.approx(np.ones(24)) and paces["ease"][0] < 0.2 < 1.4 < paces["ease"][12]


@pytest.mark.parametrize("suffix", ["yaml", "json"])
def test_a_plan_file(tmp_path, suffix):
    from laser_cli.plan.files import write_plan

    path = tmp_path / f"plan.{suffix}"
    write_plan(plan(), path)
    track, notes = read_track(path, Reading(fps=24))
    assert track.fps == 24 and len(track.frames) == 25 and notes == []
    write_plan(plan(face=()), path)
    with pytest.raises(BadInputError, match="has no face track"):
        read_track(path)
