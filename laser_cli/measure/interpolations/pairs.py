"""Pairs of storybook items that differ in one named aspect: what interpolations are measured on."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace

from torch import Tensor

from laser_cli.storybook.crisp import crisp_puppet, crisp_scene
from laser_cli.storybook.puppets import Puppet
from laser_cli.storybook.scenes import Scene
from laser_cli.storybook.world import Item, blend_items, caption_of, draw

ASPECTS: dict[str, tuple[str, ...]] = {
    "subject": ("subject",),
    "colour": ("hue", "saturation", "lightness"),
    "setting": ("setting",),
    "time": ("hour",),
    "style": ("style",),
    "size": ("size",),
    "place": ("place",),
    "expression": ("expression",),
    "pose": ("yaw", "pitch", "roll"),
    "identity": ("skin", "hair", "hair_colour", "eyes", "glasses", "hat", "hat_colour", "background"),
}
"""What the two of a pair differ in, and the fields of an item that hold it."""
PORTRAIT = ("expression", "pose", "identity")
"""Aspects of puppets; the others are of scenes."""


@dataclass(frozen=True)
class Pair:
    """Two items that differ in one aspect only."""

    aspect: str
    a: Item
    b: Item

    @property
    def prompts(self) -> tuple[str, str]:
        """The captions of both."""
        return caption_of(self.a), caption_of(self.b)

    def truth(self, times: Sequence[float], size: int) -> Tensor:
        """The world's own in-betweens at these t, [n, 3, size, size]."""
        return draw([blend_items(self.a, self.b, t) for t in times], size)


def sample_pairs(count: int, seed: int = 0, aspects: Sequence[str] = tuple(ASPECTS)) -> list[Pair]:
    """So many pairs, aspect by aspect in turn; the same seed gives the same ones, however many."""
    rng = random.Random(seed)
    return [sample_pair(rng, aspects[i % len(aspects)]) for i in range(count)]


def sample_pair(rng: random.Random, aspect: str) -> Pair:
    """A pair at random: two crisp items until they differ in the aspect; all else the second has of the first."""
    a = crisp_puppet(rng) if aspect in PORTRAIT else crisp_scene(rng)
    while True:
        b = _with(a, crisp_puppet(rng) if isinstance(a, Puppet) else crisp_scene(rng), ASPECTS[aspect])
        if caption_of(a) != caption_of(b):
            return Pair(aspect, a, b)


def _with(item: Item, other: Item, names: tuple[str, ...]) -> Scene | Puppet:
    """An item with these fields of another."""
    return replace(item, **{name: getattr(other, name) for name in names})
