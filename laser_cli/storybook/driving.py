"""What drives a puppet: its state as head poses and coefficients, its face as a track, and the face that words tell."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from laser_cli.controls.knit.drive import COEFFICIENTS
from laser_cli.controls.knit.driven import FaceMotion
from laser_cli.controls.knit.pose import HeadPose
from laser_cli.storybook.puppets import Puppet

PLACE = (0.0, 0.0, -2.1)
"""Where a puppet's head is, as a `HeadPose` counts: all puppets stand in one place, their heads as large."""


def motion_of(puppets: Sequence[Puppet]) -> FaceMotion:
    """The states of puppets, one a frame.

    A puppet looks up and tilts to the right with positive angles, a pose down and to the left.
    """
    angles = np.radians([[-p.pitch, p.yaw, -p.roll] for p in puppets])
    coefficients = np.array([[p.value(name) for name in COEFFICIENTS] for p in puppets])
    return FaceMotion(HeadPose(angles, np.tile(PLACE, (len(puppets), 1))), coefficients)
