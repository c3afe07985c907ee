"""Edits and stories with a known truth: a true picture, a sentence, and the true item after every stage."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor

from laser_cli.measure.animation.asked import KINDS, Half
from laser_cli.measure.pictures import WINDOW
from laser_cli.storybook.changes import Change, sample_change
from laser_cli.storybook.face_changes import sample_face_change
from laser_cli.storybook.look import Look
from laser_cli.storybook.puppets import Puppet
from laser_cli.storybook.scenes import Scene
from laser_cli.storybook.world import Item, blend_items, draw

AnyChange = Change[Scene] | Change[Puppet]

FIELDS: dict[str, tuple[str, ...]] = {
    "subject": ("subject",),
    "setting": ("setting",),
    "time": ("hour",),
    "colour": ("hue", "saturation", "lightness"),
    "pattern": ("pattern",),
    "weather": ("rain", "snowfall", "snow", "clouds"),
    "style": ("style",),
    "size": ("size",),
    "place": ("place",),
    "skin": ("skin",),
    "hair": ("hair",),
    "hair colour": ("hair_colour",),
    "eyes": ("eyes",),
    "glasses": ("glasses",),
    "hat": ("hat",),
    "hat colour": ("hat_colour",),
    "background": ("background",),
    "face": ("expression",),
    "pose": ("yaw", "pitch", "roll"),
}
"""The fields of an item that hold each attribute of ``traits.READ``."""
SAME, MARGIN = 1 / 64, WINDOW // 2
"""A pixel stands still if no true in-between differs more; so many pixels around those that move are left out, which
is what a window of SSIM reaches."""
LEAST = 0.05
"""A picture of which less stands still has no structure that could be kept."""


@dataclass(frozen=True)
class Edit:
    """A picture with its prompt, a sentence, and the true items: ``stages`` begins with the picture's own."""

    kind: str
    number: int
    prompt: str
    sentence: str
    stages: tuple[Item, ...]

    @property
    def name(self) -> str:
        """A file name."""
        return f"{self.kind.replace(' ', '-')}-{self.number:03}"

    def truth(self, times: Sequence[float], look: Look) -> Tensor:
        """The world's own pictures at these t in 0..1 of the whole course, [n, 3, size, size]."""
        last = len(self.stages) - 1
        shown = []
        for t in times:
            k = min(last - 1, int(t * last))
            shown.append(blend_items(self.stages[k], self.stages[k + 1], t * last - k))
        return draw(shown, look=look)

    @cached_property
    def asked(self) -> tuple[frozenset[str], ...]:
        """The attributes that each stage changes."""
        return tuple(changed(a, b) for a, b in pairwise(self.stages))

    @property
    def kept(self) -> frozenset[str]:
        """The attributes that no stage changes."""
        shown = FIELDS.keys() - frozenset().union(*self.asked)
        return frozenset(name for name in shown if hasattr(self.stages[0], FIELDS[name][0]))


def changed(a: Item, b: Item) -> frozenset[str]:
    """The attributes in which two items of one family differ."""
    return frozenset(
        name
        for name, fields in FIELDS.items()
        if all(hasattr(a, field) for field in fields) and any(getattr(a, f) != getattr(b, f) for f in fields)
    )


def still(truth: Tensor) -> Tensor | None:
    """Where the true course [n, 3, h, w] stands still from begin to end, [h, w] in bool; None if hardly anywhere."""
    moves = (truth - truth[:1]).abs().amax((0, 1)) > SAME
    grown = F.max_pool2d(moves[None, None].float(), 2 * MARGIN + 1, stride=1, padding=MARGIN)[0, 0] > 0
    return ~grown if float((~grown).float().mean()) >= LEAST else None


def _is(*kinds: str) -> Callable[[AnyChange], bool]:
    """Whether a change is of these kinds and nothing else, in one stage."""
    return lambda change: change.kinds == (kinds,)


def _of_snow(change: AnyChange, wanted: bool) -> bool:
    """Whether a change of weather is that of a season: snow on the ground comes or goes."""
    end, source = change.stages[-1], change.source
    return change.kinds == (("weather",),) and (end.snow != source.snow) is wanted  # type: ignore[union-attr]


def _stages(count: int) -> Callable[[AnyChange], bool]:
    """Whether a story has so many stages, each of which changes what none before it did."""

    def wanted(change: AnyChange) -> bool:
        steps = (change.source, *change.stages)
        told = [name for a, b in pairwise(steps) for name in changed(a, b)]
        return len(change.stages) == count and len(set(told)) == len(told) and all(len(k) == 1 for k in change.kinds)

    return wanted


Sampler = Callable[[random.Random], AnyChange]
SAMPLERS: dict[str, tuple[tuple[Sampler, ...], Callable[[AnyChange], bool]]] = {
    "colour": ((sample_change,), _is("colour")),
    "pattern": ((sample_change,), _is("pattern")),
    "weather": ((sample_change,), lambda change: _of_snow(change, wanted=False)),
    "season": ((sample_change,), lambda change: _of_snow(change, wanted=True)),
    "hour": ((sample_change,), _is("time")),
    "style": ((sample_change,), _is("style")),
    "subject": ((sample_change,), _is("subject")),
    "size": ((sample_change,), _is("size")),
    "place": ((sample_change,), _is("place")),
    "expression": ((sample_face_change,), _is("expression")),
    "two stages": ((sample_change, sample_face_change), _stages(2)),
    "three stages": ((sample_change, sample_face_change), _stages(3)),
}
"""What samples each kind, in turns, and what is taken of that."""


def sample_edits(count: int, half: Half = "report", seed: int = 1, kinds: Sequence[str] = KINDS) -> list[Edit]:
    """So many edits of a half, kind by kind in turn; the same seed gives the same ones, however many."""
    return [_sample(kinds[i % len(kinds)], i // len(kinds), half, seed) for i in range(count)]


def _sample(kind: str, number: int, half: Half, seed: int) -> Edit:
    """The edit of that number: changes at random until one is of the kind."""
    samplers, wanted = SAMPLERS[kind]
    rng = random.Random(f"animation {half} {seed} {kind} {number}")
    while True:
        change = samplers[number % len(samplers)](rng)
        if wanted(change):
            return Edit(kind, number, change.source_prompt, change.description, (change.source, *change.stages))


def times_of(shown: Sequence[int], frames: int) -> list[float]:
    """When these frames are of an animation of so many, in 0..1."""
    return [index / (frames - 1) for index in shown]


def joined(ends: Sequence[Tensor], places: Sequence[int], shown: Sequence[int]) -> Tensor:
    """A cross-dissolve [n, 3, h, w] through pictures [3, h, w] that stand at these places, at the frames shown."""
    pictures = []
    for index in shown:
        k = max(i for i, place in enumerate(places[:-1]) if place <= index)
        pictures.append(torch.lerp(ends[k], ends[k + 1], (index - places[k]) / (places[k + 1] - places[k])))
    return torch.stack(pictures)
