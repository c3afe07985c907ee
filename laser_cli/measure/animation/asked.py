"""What `laser bench animate` is asked for: checked before anything heavy is loaded."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from laser_cli.errors import UsageError

Half = Literal["development", "report"]
"""Methods are tuned on the development half; what is told of them is measured on the other."""
OURS = "laser"
TRUE = ("dissolve to the true end", "the truth")
"""Methods that are told how it ends."""
NAMES = (
    OURS,
    "LASER as published",
    "texture alone",
    "motion alone",
    "hybrid alone",
    "words alone",
    "AID alone",
    "text interpolation",
    "Plug-and-Play, dissolve",
    "MasaCtrl, dissolve",
    "same seed, dissolve",
    "SDEdit 0.5, dissolve",
    "SDEdit 0.7, dissolve",
    *TRUE,
    "no change",
)
"""The methods of ``methods.METHODS``."""
KINDS = (
    "colour",
    "pattern",
    "weather",
    "season",
    "hour",
    "style",
    "subject",
    "size",
    "place",
    "expression",
    "two stages",
    "three stages",
)
"""The kinds of edits (``edits.SAMPLERS``)."""


STAGES = {"two stages": 2, "three stages": 3}
"""The kinds that are stories."""


@dataclass(frozen=True)
class Amount:
    """How much is measured: so many edits of a half, and of each animation's ``frames`` every so many only.

    What is drawn are the very pictures that they are among all frames, for a fraction of the cost.
    """

    items: int = 200
    frames: int = 25
    every: int = 4
    half: Half = "report"
    seed: int = 1

    @property
    def shown(self) -> tuple[int, ...]:
        """The numbers of the frames that are drawn."""
        return tuple(range(0, self.frames, self.every))

    def check(self, kinds: Sequence[str] = ()) -> None:
        """UsageError unless the last frame and one between are drawn too, and those where stages of stories end."""
        frames, parts = self.frames - 1, math.lcm(*(STAGES.get(kind, 1) for kind in kinds))
        least = self.every * max(2, parts)
        fitting = max(least, frames // (self.every * parts) * self.every * parts) + 1
        hint = f"--frames {fitting} --every {self.every}"
        if frames % self.every or frames < 2 * self.every:
            what = f"every {self.every} of {self.frames} frames leaves out the last one, or all between"
            raise UsageError(what, why="the first and the last are measured too", hint=hint)
        if frames // self.every % parts:
            what = f"every {self.every} of {self.frames} frames leaves out where the stages of stories end"
            raise UsageError(what, why="what a stage asks for is read there", hint=hint)


def check_methods(names: Sequence[str]) -> tuple[str, ...]:
    """Those methods, or all if none is named, in the table's order. UsageError for one that there is not.

    The true course is always among them, as the others are measured by it.
    """
    for name in names:
        if name not in NAMES:
            raise UsageError(f"unknown method {name!r}", hint=", ".join(NAMES))
    return tuple(name for name in NAMES if not names or name in names or name == TRUE[1])


def check_kinds(names: Sequence[str]) -> tuple[str, ...]:
    """Those kinds of edits, or all if none is named, in the table's order. UsageError for one that there is not."""
    for name in names:
        if name not in KINDS:
            raise UsageError(f"unknown kind of edits {name!r}", hint=", ".join(KINDS))
    return tuple(name for name in KINDS if not names or name in names)
