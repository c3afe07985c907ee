"""The whole world, scenes and puppets: sampled, drawn, told and blended by one set of functions."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from laser_cli.storybook import draw as scene_drawing
from laser_cli.storybook.face_words import face_caption
from laser_cli.storybook.faces import draw_puppets
from laser_cli.storybook.look import SHIPPED, Look
from laser_cli.storybook.puppets import Puppet, blend_puppets, sample_puppet
from laser_cli.storybook.scenes import Scene, blend, sample
from laser_cli.storybook.words import Voice, caption

Item = Scene | Puppet
PUPPETS = 0.3
"""The share of puppets in a stream of items."""


def items(seed: int, puppets: float = PUPPETS, look: Look = SHIPPED) -> Iterator[Item]:
    """An endless stream of pictures to draw; the same seed gives the same stream."""
    rng = random.Random(seed)
    while True:
        item = sample_puppet(rng) if rng.random() < puppets else sample(rng)
        if isinstance(item, Puppet) or look.small == 1 or item.size > 0.25 or rng.random() < look.small:
            yield item


def caption_of(item: Item, voice: Voice | None = None, unsaid: frozenset[str] = frozenset()) -> str:
    """One sentence about an item; without a voice always the same one. Attributes `unsaid` are never told."""
    return face_caption(item, voice, unsaid) if isinstance(item, Puppet) else caption(item, voice, unsaid)


def blend_items(a: Item, b: Item, t: float) -> Item:
    """The true in-between of two scenes or two puppets; ValueError for one of each, which have none."""
    if isinstance(a, Puppet) and isinstance(b, Puppet):
        return blend_puppets(a, b, t)
    if isinstance(a, Scene) and isinstance(b, Scene):
        return blend(a, b, t)
    raise ValueError("a scene and a puppet have no in-between")


def draw_with_masks(
    pictures: Sequence[Item], size: int | None = None, device: torch.device | str = "cpu", look: Look = SHIPPED
) -> tuple[Tensor, Tensor]:
    """Pictures and where they matter most (subjects, faces), [n, 3, size, size] and [n, 1, size, size], in 0..1."""
    size = size or look.size
    drawn = torch.empty(len(pictures), 3, size, size, device=device)
    masks = torch.empty(len(pictures), 1, size, size, device=device)
    scenes = [(i, item) for i, item in enumerate(pictures) if isinstance(item, Scene)]
    puppets = [(i, item) for i, item in enumerate(pictures) if isinstance(item, Puppet)]
    if scenes:
        rows = [i for i, _ in scenes]
        drawn[rows], masks[rows] = scene_drawing.draw_with_masks([s for _, s in scenes], size, device, look)
    if puppets:
        rows = [i for i, _ in puppets]
        drawn[rows], masks[rows] = draw_puppets([p for _, p in puppets], size, device, look)
    return drawn, masks


def draw(
    pictures: Sequence[Item], size: int | None = None, device: torch.device | str = "cpu", look: Look = SHIPPED
) -> Tensor:
    """Pictures of the items, float32 [n, 3, size, size] in 0..1; of the look's size unless one is given."""
    return draw_with_masks(pictures, size, device, look)[0]
