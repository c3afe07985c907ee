"""The face track of an answer, repaired where that is safe."""

from __future__ import annotations

from collections.abc import Sequence

from laser_cli.plan.llm.moment import Moment
from laser_cli.plan.schema import TURN, FacePoint


def face_track(moments: Sequence[Moment]) -> tuple[tuple[FacePoint, ...], tuple[str, ...]]:
    """The points in the order of time, one a moment, values within their ranges; and what had to be repaired.

    A face that never does anything has no track.
    """
    points = [_point(moment) for moment in moments]
    if not any(point.expression or point.yaw or point.pitch or point.roll for point in points):
        return (), ()
    notes = []
    if any(_out_of_range(moment) for moment in moments):
        notes.append("values of the face track were out of range: they go to its ends")
    last = {point.at: point for point in points}
    if list(last) != sorted(last) or len(last) < len(points):
        notes.append("the face track is put in the order of time")
    return tuple(last[at] for at in sorted(last)), tuple(notes)


def _point(moment: Moment) -> FacePoint:
    expression = {shape.name: _within(shape.value, 0, 100) for shape in moment.expression}
    yaw, pitch, roll = (float(_within(angle, -TURN, TURN)) for angle in (moment.yaw, moment.pitch, moment.roll))
    shown = {name: value for name, value in expression.items() if value}
    return FacePoint(at=float(_within(moment.at, 0, 100)), expression=shown, yaw=yaw, pitch=pitch, roll=roll)


def _out_of_range(moment: Moment) -> bool:
    percents = (moment.at, *(shape.value for shape in moment.expression))
    angles = (moment.yaw, moment.pitch, moment.roll)
    return any(not 0 <= value <= 100 for value in percents) or any(abs(angle) > TURN for angle in angles)


def _within(value: int, least: int, most: int) -> int:
    return max(least, min(most, value))
