"""The plan's contract, and how frames are shared."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from laser_cli.errors import BadInputError
from laser_cli.plan.easing import ease
from laser_cli.plan.intermediate import with_intermediate_keyframes
from laser_cli.plan.schema import FacePoint, Plan, Segment, share_frames, with_easing, with_frames

EASINGS = ("linear", "ease", "ease-in", "ease-out")


def plan(*frames: int) -> Plan:
    return Plan(source="a cat", segments=[Segment(prompt=f"a dog {i}", frames=n) for i, n in enumerate(frames)])


@pytest.mark.parametrize("name", EASINGS)
@given(a=st.floats(0, 1), b=st.floats(0, 1))
def test_easings_rise_from_0_to_1(name, a, b):
    assert (ease(name, 0), ease(name, 1)) == (0, 1)
    low, high = sorted((a, b))
    assert 0 <= ease(name, low) <= ease(name, high) + 1e-12 <= 1 + 2e-12


def test_ease_is_the_smoothstep():
    assert ease("ease", 0.25) == pytest.approx(3 * 0.25**2 - 2 * 0.25**3)
    with pytest.raises(ValueError, match="bounce"):
        ease("bounce", 0.5)


def test_neighbours_share_a_keyframe():
    made = plan(9, 16)
    assert made.total_frames == 24
    assert made.prompts == ("a cat", "a dog 0", "a dog 1")
    assert (made.planner.name, made.segments[0].control, made.segments[0].easing) == ("hand", "texture", "linear")


@pytest.mark.parametrize(
    "change",
    [
        {"segments": []},
        {"segments": [{"prompt": "x", "frames": 2}] * 65},
        {"source": ""},
        {"source": "x" * 10_001},
        {"version": 2},
        {"speed": 3},
        {"segments": [{"prompt": "x", "frames": 1}]},
        {"segments": [{"prompt": "x", "frames": True}]},
        {"segments": [{"prompt": "x", "frames": 4, "strength": 1.5}]},
        {"segments": [{"prompt": "x", "frames": 4, "strength": float("nan")}]},
        {"segments": [{"prompt": "x", "frames": 4, "control": "paint"}]},
        {"segments": [{"prompt": 3, "frames": 4}]},
    ],
)
def test_what_is_no_plan(change):
    with pytest.raises(ValidationError):
        Plan.model_validate({"source": "a cat", "segments": [{"prompt": "a dog", "frames": 4}], **change})


def test_plans_are_frozen():
    with pytest.raises(ValidationError):
        plan(3).source = "a dog"


@given(st.integers(0, 3000), st.lists(st.integers(2, 5000), min_size=1, max_size=64))
def test_frames_are_shared_exactly(more, lengths):
    total = len(lengths) + 1 + more
    made = with_frames(plan(*lengths), total)
    assert made.total_frames == total
    assert min(s.frames for s in made.segments) >= 2


def test_frames_follow_the_present_lengths():
    assert [s.frames for s in with_frames(plan(5, 13), 25).segments] == [7, 19]
    assert [s.frames for s in with_frames(plan(5, 13), 17).segments] == [5, 13]
    assert share_frames(24, [1, 1, 1]) == [9, 9, 8]
    assert share_frames(4, [1, 1000, 1]) == [2, 2, 2]


def test_too_few_frames():
    with pytest.raises(BadInputError) as caught:
        with_frames(plan(5, 5, 5), 3)
    assert "at least 4" in caught.value.hint


def test_with_easing():
    assert {s.easing for s in with_easing(plan(5, 5), "linear").segments} == {"linear"}
    with pytest.raises(BadInputError):
        with_easing(plan(5), "bounce")


FACE = (
    FacePoint(at=0),
    FacePoint(at=37.5, expression={"mouthSmileLeft": 80, "mouthSmileRight": 80}, yaw=-20),
    FacePoint(at=100, expression={"jawOpen": 0}, pitch=12.5, roll=4),
)


def test_a_face_track_stays_through_other_frames_easings_and_waypoints():
    night = Segment(prompt="a portrait of a woman at night", frames=9)
    made = Plan(source="a portrait of a woman at noon", segments=[night], face=FACE)
    for changed in (with_frames(made, 50), with_easing(made, "linear"), with_intermediate_keyframes(made)):
        assert changed.face == FACE and Plan.model_validate(changed.model_dump(mode="json")) == changed
    assert len(with_intermediate_keyframes(made).segments) > 1


def test_what_is_at_rest_goes_without_saying():
    assert "face" not in plan(3).model_dump(mode="json")
    made = plan(3).model_copy(update={"face": FACE}).model_dump(mode="json")
    assert made["face"][0] == {"at": 0} and made["face"][2]["pitch"] == 12.5
    assert made["face"][1] == {"at": 37.5, "expression": {"mouthSmileLeft": 80, "mouthSmileRight": 80}, "yaw": -20}
    assert list(made)[-2:] == ["face", "planner"]


@pytest.mark.parametrize(
    "face",
    [
        [{"at": 101}],
        [{"at": -1}],
        [{}],
        [{"at": 50}, {"at": 50}],
        [{"at": 50}, {"at": 20}],
        [{"at": 0, "yaw": 91}],
        [{"at": 0, "roll": "left"}],
        [{"at": 0, "expression": {"mouthSmile": 10}}],
        [{"at": 0, "expression": {"jawOpen": 101}}],
        [{"at": 0, "expression": {"jawOpen": 0.5}}],
        [{"at": i / 20} for i in range(1001)],
        None,
    ],
)
def test_what_is_no_face_track(face):
    with pytest.raises(ValidationError):
        Plan.model_validate({"source": "a cat", "segments": [{"prompt": "a dog", "frames": 4}], "face": face})
