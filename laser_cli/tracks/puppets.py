"""Faces of storybook's puppets, read by its attribute classifier instead of MediaPipe."""

from __future__ import annotations

import numpy as np

from laser_cli.storybook.vocabulary import BLENDSHAPES
from laser_cli.tracks.names import ANGLES
from laser_cli.tracks.video import Measure

COLUMNS = (*BLENDSHAPES, *ANGLES)
"""What the classifier reads of a puppet: it has no place."""


def puppet_reader() -> Measure:
    """From a frame [h, w, 3] uint8 to the values of `COLUMNS`, None where it shows no puppet."""
    import torch

    from laser_cli.storybook.classifier import load_classifier

    classifier = load_classifier()

    def measure(frame: np.ndarray) -> np.ndarray | None:
        picture = torch.from_numpy(np.array(frame)).permute(2, 0, 1)[None].float() / 255
        (reading,) = classifier.read(picture)
        if reading.shares["family"]["puppet"] < 0.5:
            return None
        shapes = [min(max(reading.numbers[name], 0.0), 1.0) for name in BLENDSHAPES]
        # a puppet looks up and tilts to the right with positive angles, a track down and to the left
        head = (-reading.numbers["pitch"], reading.numbers["yaw"], -reading.numbers["roll"])
        return np.array([*shapes, *head])

    return measure
