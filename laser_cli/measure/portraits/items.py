"""Reenactments: a reference puppet, what drives it, and the true pictures of what it should become."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from laser_cli.controls.knit.driven import FaceMotion
from laser_cli.storybook.classifier import AttributeClassifier
from laser_cli.storybook.driving import motion_of
from laser_cli.storybook.look import Look
from laser_cli.storybook.puppets import BLENDSHAPES, Puppet, blend_puppets, sample_puppet, wearing
from laser_cli.storybook.train.common import HELD_OUT
from laser_cli.storybook.traits import Reading
from laser_cli.storybook.world import draw

Kind = Literal["self", "cross", "clip"]
AT_ONCE = 4
"""Reenactments of one reference."""
CLIP = 8
"""Frames of a clip, on which flicker is measured."""


@dataclass(frozen=True)
class Reenactment:
    """A `reference` puppet, what it should become, and the puppets that drive it there: itself or another."""

    kind: Kind
    reference: Puppet
    targets: tuple[Puppet, ...]
    drivers: tuple[Puppet, ...]


def sample_reenactments(count: int, seed: int = HELD_OUT) -> list[Reenactment]:
    """`count` self- and `count` cross-reenactments, AT_ONCE of one reference, and some clips."""
    rng, made = random.Random(seed), list[Reenactment]()
    groups = [min(AT_ONCE, count - first) for first in range(0, count, AT_ONCE)]
    for kind in ("self", "cross"):
        for size in groups:
            reference, other = sample_puppet(rng), sample_puppet(rng)
            states = [sample_puppet(rng) for _ in range(size)]
            targets = tuple(with_face(reference, state) for state in states)
            drivers = targets if kind == "self" else tuple(with_face(other, state) for state in states)
            made.append(Reenactment(kind, reference, targets, drivers))
    for _ in range(max(1, count // 50)):
        reference = sample_puppet(rng)
        end = with_face(reference, sample_puppet(rng))
        way = tuple(blend_puppets(reference, end, i / (CLIP - 1)) for i in range(1, CLIP))
        made.append(Reenactment("clip", reference, way, way))
    return made


def with_face(looks: Puppet, face: Puppet) -> Puppet:
    """The one puppet with the other's pose and expression."""
    return replace(looks, yaw=face.yaw, pitch=face.pitch, roll=face.roll, expression=face.expression)


def drawn(puppets: Sequence[Puppet], look: Look) -> Tensor:
    """Pictures [n, 3, h, w] in 0..1."""
    return torch.cat([draw(puppets[i : i + 16], look=look) for i in range(0, len(puppets), 16)])


def read_motion(classifier: AttributeClassifier, pictures: Tensor) -> FaceMotion:
    """What drives frames, as the classifier reads it from pictures of puppets, as it would from a video."""
    return motion_of([_face(reading) for reading in classifier.read(pictures)])


def _face(reading: Reading) -> Puppet:
    shown = {name: float(np.clip(reading.numbers[name], 0, 1)) for name in BLENDSHAPES}
    yaw, pitch, roll = (reading.numbers[name] for name in ("yaw", "pitch", "roll"))
    return Puppet(yaw=yaw, pitch=pitch, roll=roll, expression=wearing(shown))
