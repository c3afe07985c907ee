"""The face of a plan as a track."""

from __future__ import annotations

from collections.abc import Sequence

from laser_cli.errors import BadInputError
from laser_cli.plan.schema import FacePoint, Plan
from laser_cli.tracks.inbetween import HOLD, Pose, draw_track, with_blinks
from laser_cli.tracks.schema import FaceTrack

PERCENT = 100


def planned_track(
    plan: Plan, fps: float, *, hold: float = HOLD, blinks: bool = True, seed: int = 0, source: str = ""
) -> FaceTrack:
    """The plan's face in its `total_frames` at `fps`, at an even pace where all segments' is.

    Raises BadInputError for a plan without one.
    """
    if not plan.face:
        raise BadInputError(
            f"{source or 'the plan'} has no face track",
            why="nobody wrote one: the rules plan prompts alone",
            hint="plan it with a language model (--planner), or write `face:` by hand",
        )
    frames = plan.total_frames
    even = all(segment.easing == "linear" for segment in plan.segments)
    track = draw_track(poses_of(plan.face, (frames - 1) / fps), fps, frames, hold=hold, even=even, source=source)
    return with_blinks(track, seed) if blinks else track


def poses_of(points: Sequence[FacePoint], duration: float) -> list[Pose]:
    """Face points as poses of an animation of `duration` seconds.

    A plan counts percent, looks up with a positive pitch and tilts to the viewer's right with a positive roll; a track
    counts 0..1, and both angles the other way.
    """
    poses = []
    for point in points:
        shapes: dict[str, float] = {name: level / PERCENT for name, level in point.expression.items()}
        angles = {"pitch": -point.pitch, "yaw": point.yaw, "roll": -point.roll}
        poses.append(Pose(point.at / 100 * duration, {**shapes, **angles}))
    return poses
