"""What is made of a model's answer on the way to a plan."""

from __future__ import annotations

from dataclasses import dataclass

from laser_cli.plan.easing import Easing
from laser_cli.plan.schema import Control, FacePoint


@dataclass(frozen=True)
class DraftKeyframe:
    """A keyframe of an answer: `strength` 0..1, and its length as a `share` beside the others'."""

    prompt: str
    control: Control = "texture"
    strength: float = 0.8
    share: int = 1
    easing: Easing = "linear"


@dataclass(frozen=True)
class Draft:
    """Source, keyframes and face track of an answer; what was repaired (for people), what is wrong (for the model).

    ``idle``: how many keyframes showed nothing new, and were left out.
    """

    source: str
    keyframes: tuple[DraftKeyframe, ...]
    face: tuple[FacePoint, ...] = ()
    repairs: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    idle: int = 0


class Unreadable(Exception):
    """An answer that does not have its form; the text is a problem to tell the model."""
