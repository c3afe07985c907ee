"""A moment of a face track, as a model writes it in the full form."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from laser_cli.tracks import names

MOST_SHAPES = 6
"""The most shapes that a moment may name."""
# enums of the grammar only: a number between them is as good, and one beyond can be repaired
Level = Annotated[int, Field(json_schema_extra={"enum": list(range(0, 101, 5))})]
Degrees = Annotated[int, Field(json_schema_extra={"enum": list(range(-45, 46, 5))})]


class Shape(BaseModel):
    """A part of an expression: ARKit's name for it, and how much of it in percent."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: names.Shape
    value: Level


class Moment(BaseModel):
    """A face at a percentage of the time. Its shapes are a list: keys that may be missing would have a fixed order."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    at: Level
    expression: Annotated[tuple[Shape, ...], Field(max_length=MOST_SHAPES)]
    yaw: Degrees
    pitch: Degrees
    roll: Degrees
