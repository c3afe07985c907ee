"""A track brought onto a portrait's own face, so that the first frame is the portrait as it is."""

from __future__ import annotations

import numpy as np

from laser_cli.tracks.inbetween import lead_in
from laser_cli.tracks.names import ANGLES, SHAPES
from laser_cli.tracks.retarget import retarget
from laser_cli.tracks.schema import FaceTrack

LEAD = 0.5
"""Seconds of the way from the portrait's own face to a track that begins elsewhere."""
SAME_SHAPE, SAME_ANGLE = 0.15, 3.0
"""Blendshapes and degrees up to which a track begins as the portrait is: 0.12 was read of a puppet at rest."""


def onto_face(track: FaceTrack, own: FaceTrack, *, relative: bool) -> tuple[FaceTrack, int]:
    """The track as the face `own` (its first frame) makes it, and how many frames lead there.

    relative: its changes since its first frame, on the portrait's own values. Else the track as it is, after the way
    there from the portrait's face, if it begins elsewhere.
    """
    if relative:
        values = {name: float(own[name][0]) for name in (*SHAPES, *ANGLES)}
        moved = retarget(track, "relative", onto=values)
        kept = [name for name in SHAPES if values[name] and name not in track.columns]
        if not kept:
            return moved, 0
        rest = np.tile([values[name] for name in kept], (len(track.frames), 1))
        columns = (*moved.columns, *kept)
        return FaceTrack.of(track.fps, columns, np.hstack([moved.values, np.clip(rest, 0, 1)]), track.source), 0
    # what the track does not know of the head stays as the portrait holds it
    start = {name: float(own[name][0]) for name in (*SHAPES, *(angle for angle in ANGLES if angle in track.columns))}
    apart = {name: abs(value - float(track[name][0])) for name, value in start.items()}
    if all(value <= (SAME_ANGLE if name in ANGLES else SAME_SHAPE) for name, value in apart.items()):
        return track, 0
    known = {name: value for name, value in start.items() if value or name in track.columns}
    lead = max(1, round(LEAD * track.fps))
    return lead_in(track, known, LEAD), lead
