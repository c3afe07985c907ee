"""Which pictures go through the backbone together.

At a step the frames read what the keyframes computed at that step. In a round the frames are at one step and the
keyframes one ahead, so that no call of the round waits for another. Keyframes and frames never share a call: how many
rows are in a call shows in the last bits of what comes out, and a render that goes on from a checkpoint, where the
keyframes' calls are made without the frames', has to come to the same pictures.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from typing import Literal

from laser_cli.engine.spec import RenderSpec


@dataclass(frozen=True)
class Call:
    """Keyframes or frames, by index, that are evaluated together at a step."""

    kind: Literal["keyframes", "frames"]
    step: int
    members: tuple[int, ...]

    def cut(self, size: int) -> list[Call]:
        """The same pictures in calls of at most ``size``."""
        starts = range(0, len(self.members), size)
        return [Call(self.kind, self.step, self.members[i : i + size]) for i in starts]


@dataclass(frozen=True)
class Rounds:
    """The calls of a render, round by round; those of a round are independent, in whatever order they run.

    ``size``: pictures in a call of keyframes, at most; ``read``: whether keyframes read the source, so that it has to
    be evaluated with them or before them.
    """

    spec: RenderSpec
    steps: int
    guided: bool
    read: bool
    size: int
    workers: int = 1

    def rows(self, kind: str, index: int) -> int:
        """Rows of a picture: one if guidance is off, or would lead nowhere."""
        keyframe = self.spec.keyframes[index] if kind == "keyframes" else None
        plain = keyframe is not None and (keyframe.conditioning is self.spec.base or not keyframe.guided)
        return 2 if self.guided and not plain else 1

    def anchors(self) -> list[tuple[int, tuple[int, ...]]]:
        """(steps ahead of the frames, keyframes) of each call of keyframes, the source's first."""
        order = sorted(range(len(self.spec.keyframes)), key=lambda k: k != self.spec.source)
        chunks = [tuple(order[i : i + self.size]) for i in range(0, len(order), self.size)]
        return [(2 if self.read and len(chunks) > 1 and i == 0 else 1, chunk) for i, chunk in enumerate(chunks)]

    def first(self, begin: int) -> int:
        """The first round of a render that goes on from step ``begin``: so many before it there are keyframes only."""
        return begin - max(ahead for ahead, _ in self.anchors())

    def calls(self, step: int, begin: int, size: int) -> list[Call]:
        """The calls of the round in which the frames are at ``step``, at most ``size`` of them in each."""
        ahead = [(step + lead, members) for lead, members in self.anchors()]
        calls = [Call("keyframes", at, members) for at, members in ahead if begin <= at < self.steps]
        live = [j for j, frame in enumerate(self.spec.frames) if begin <= step and frame.start_step <= step]
        load = sum(self.rows("keyframes", k) for call in calls for k in call.members) // (1 + self.guided)
        return [*calls, *(Call("frames", step, part) for part in shares(live, size, self.workers, load))]

    def groups(self, call: Call) -> list[tuple[int, ...]]:
        """The runs of a call's pictures that are answered alike: the source alone, others by segment and rows."""

        def kind(index: int) -> tuple[int, int, int]:
            if call.kind == "frames":
                return self.spec.frames[index].segment, 0, 0
            return -1, self.rows(call.kind, index), index == self.spec.source

        return [tuple(run) for _, run in groupby(call.members, kind)]


def shares(members: Sequence[int], size: int, workers: int, load: int = 0) -> list[tuple[int, ...]]:
    """The members in order, in parts of at most ``size``, as many for each worker.

    The last part is smaller by ``load``, what the worker that takes it has done before.
    """
    if not members:
        return []
    count = min(len(members), workers * -(-len(members) // (size * workers)))
    load = load if workers > 1 and count > 1 else 0
    even = (len(members) + load) / count
    if even > size:
        even, load = len(members) / count, 0
    cuts = [min(len(members), round(even * i)) for i in range(count)] + [len(members)]
    return [tuple(members[a:b]) for a, b in pairwise(cuts) if b > a]
