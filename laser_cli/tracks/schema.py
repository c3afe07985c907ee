"""The face track: a table of frames by columns, at a frame rate."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, StrictStr, model_validator
from pydantic_core import PydanticCustomError

from laser_cli.tracks.names import ANGLES, COLUMNS, SHAPES, Column

MAX_FRAMES = 200_000
MAX_FPS = 1_000.0
DECIMALS = 5
"""Of every value: finer than any capture measures, and short in files."""


NOTICED, DEGREES = 0.1, 30.0
"""What goes and comes back by less does not count; for an angle, by less than that share of so many degrees."""


class FaceTrack(BaseModel):
    """What a face does: `frames` rows of one number for each of `columns`, `fps` rows a second.

    Columns that are not there are not known: blendshapes count as 0, and the head stays as the portrait holds it.
    Values are rounded to five decimals.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    version: Literal[1] = 1
    fps: Annotated[float, Field(gt=0, le=MAX_FPS)]
    source: StrictStr = ""
    columns: Annotated[tuple[Column, ...], Field(min_length=1)]
    frames: Annotated[tuple[tuple[float, ...], ...], Field(min_length=1, max_length=MAX_FRAMES)]

    @model_validator(mode="after")
    def _fits(self) -> FaceTrack:
        if len(set(self.columns)) < len(self.columns):
            twice = next(name for name in self.columns if self.columns.count(name) > 1)
            raise PydanticCustomError("column_twice", "the column {name} is there twice", {"name": twice})
        for number, given in enumerate(self.frames):
            if len(given) != len(self.columns):
                told: dict[str, object] = {"number": number, "count": len(given), "columns": len(self.columns)}
                raise PydanticCustomError("row_length", "frame {number} has {count} values for {columns} columns", told)
        values = np.array(self.frames)
        for low, high, names, unit in ((0, 1, SHAPES, ""), (-180, 180, ANGLES, " degrees")):
            here = [i for i, name in enumerate(self.columns) if name in names]
            outside = np.argwhere((values[:, here] < low) | (values[:, here] > high))
            if len(outside):
                row, column = int(outside[0][0]), here[outside[0][1]]
                told = {
                    "number": row,
                    "name": self.columns[column],
                    "value": self.frames[row][column],
                    "range": f"{low}..{high}{unit}",
                }
                raise PydanticCustomError("out_of_range", "frame {number}, {name}: {value} is not in {range}", told)
        return self

    @classmethod
    def of(cls, fps: float, columns: Sequence[str], values: np.ndarray, source: str = "") -> FaceTrack:
        """A track from values [frames, columns], rounded, its columns in the standard order."""
        order = sorted(range(len(columns)), key=lambda i: COLUMNS.index(columns[i]))
        # adding zero turns -0.0 into 0.0
        rows = (np.round(values[:, order], DECIMALS) + 0.0).tolist()
        names = tuple(columns[i] for i in order)
        return cls(fps=fps, source=source, columns=names, frames=tuple(map(tuple, rows)))  # type: ignore[arg-type]

    @property
    def turns(self) -> bool:
        """Whether anything of the face goes and comes back: a blink, a wink, a nod, words."""
        scale = [NOTICED * (1.0 if name in SHAPES else DEGREES) for name in self.columns]
        range_ = np.ptp(self.values, axis=0) - np.abs(self.values[-1] - self.values[0])
        return bool((range_ > scale).any())

    @property
    def values(self) -> np.ndarray:
        """The numbers [frames, columns], as float64."""
        return np.array(self.frames, float).reshape(len(self.frames), len(self.columns))

    @property
    def duration(self) -> float:
        """Seconds from the first frame to the last."""
        return (len(self.frames) - 1) / self.fps

    def __getitem__(self, name: str) -> np.ndarray:
        """One column [frames]; zeros for one that is not there."""
        if name not in COLUMNS:
            raise KeyError(name)
        if name not in self.columns:
            return np.zeros(len(self.frames))
        return self.values[:, self.columns.index(name)]

    def with_values(self, values: np.ndarray, *, fps: float | None = None) -> FaceTrack:
        """The track with other values [frames, columns], and another rate where one is given."""
        return FaceTrack.of(fps or self.fps, self.columns, values, self.source)
