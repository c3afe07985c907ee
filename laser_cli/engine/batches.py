"""Which pictures go through the backbone together: rounds of independent rows, cut into calls.

At step s the frames read what the keyframes computed at s, and the keyframes what the source did. So in one round the
frames are at step s, the keyframes one step ahead of them, and the source two: no row waits for another one, the rows
can be cut anywhere, and the few rows of the keyframes never make a call of their own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from typing import Literal

from laser_cli.engine.spec import RenderSpec


@dataclass(frozen=True)
class Item:
    """A picture at a step: a keyframe or a frame by its index; ``rows``: 2 if it is guided."""

    kind: Literal["keyframe", "frame"]
    index: int
    step: int
    rows: int


@dataclass(frozen=True)
class Plan:
    """How far ahead of the frames each keyframe is, and what is guided."""

    spec: RenderSpec
    steps: int
    guided: bool

    @property
    def lead(self) -> list[int]:
        """Steps that each keyframe is ahead: two for a source that others read, else one."""
        read = any(strength for k in self.spec.keyframes for strength in k.strengths.values())
        return [2 if read and k == self.spec.source else 1 for k in range(len(self.spec.keyframes))]

    def rows(self, keyframe: int) -> int:
        """Rows of a keyframe: one where guidance would lead nowhere."""
        return 2 if self.guided and self.spec.keyframes[keyframe].conditioning is not self.spec.base else 1

    def rounds(self, begin: int = 0) -> Iterator[tuple[int, list[Item]]]:
        """(the frames' step, what is computed together), from step ``begin`` on; there are no frames before it."""
        lead = self.lead
        for step in range(begin - max(lead), self.steps):
            ahead = [(k, step + lead[k]) for k in sorted(range(len(lead)), key=lambda k: -lead[k])]
            items = [Item("keyframe", k, at, self.rows(k)) for k, at in ahead if begin <= at < self.steps]
            if step >= begin:
                live = [j for j, frame in enumerate(self.spec.frames) if frame.start_step <= step]
                items += [Item("frame", j, step, 1 + self.guided) for j in live]
            yield step, items


def calls(items: Sequence[Item], size: int, workers: int) -> list[list[Item]]:
    """The items in order, cut into calls of at most ``size``, of nearly equal rows, at least one for each worker."""
    count = min(len(items), workers * -(-len(items) // (size * workers)))
    total, told, done = sum(item.rows for item in items), [[] for _ in range(count)], 0  # type: ignore[var-annotated]
    for item in items:
        told[min(count - 1, (2 * done + item.rows) * count // (2 * total))].append(item)
        done += item.rows
    if any(len(call) > size for call in told):  # uneven rows: by number instead
        cuts = [len(items) * i // count for i in range(count + 1)]
        told = [list(items[a:b]) for a, b in pairwise(cuts)]
    return [call for call in told if call]


def groups(call: Sequence[Item], spec: RenderSpec) -> list[list[Item]]:
    """The runs of a call that are answered alike: of one kind, step, segment and number of rows."""

    def key(item: Item) -> tuple[str, int, int, int]:
        return item.kind, item.step, item.rows, spec.frames[item.index].segment if item.kind == "frame" else -1

    return [list(run) for _, run in groupby(call, key)]
