"""What the U-Net learns from: a pool of latents of drawn pictures, some new ones at a time, and their captions."""

from __future__ import annotations

import random
from itertools import islice
from typing import NamedTuple

import torch
from diffusers import AutoencoderKL
from torch import Tensor
from transformers import CLIPTextModel, CLIPTokenizer

from laser_cli.storybook.train.common import mixed
from laser_cli.storybook.train.tokens import LENGTH
from laser_cli.storybook.twins import twin
from laser_cli.storybook.words import Voice
from laser_cli.storybook.world import Item, caption_of, draw_with_masks, items

PUPPETS = 0.75
"""The share of puppets among what it learns: their faces are the hardest to draw."""
TWINS = 0.7
"""The share of items that are the told one of two twins."""
USUAL = 0.125
"""Mean squared difference of latents whose twin looks another way; of one that frowns a sixth."""


class Captions:
    """What is told of a pool's items, in new words for every batch, as the text encoder reads it."""

    def __init__(self, text: CLIPTextModel, tokenizer: CLIPTokenizer, seed: int) -> None:
        self.text, self.tokenizer, self.items = text, tokenizer, list[Item]()
        self.rng, self.voice = random.Random(f"captions {seed}"), Voice(random.Random(seed), omit=0.04)

    def grow(self, new: list[Item]) -> None:
        self.items += new

    def states(self, rows: list[int], untold: list[bool]) -> Tensor:
        """Hidden states [n, 77, c] of these items' captions; of the ``untold`` the empty caption's."""
        return self.read(["" if none else self.say(self.items[i]) for i, none in zip(rows, untold, strict=True)])

    def say(self, item: Item) -> str:
        return caption_of(item) if self.rng.random() < 0.4 else caption_of(item, self.voice)

    def read(self, words: list[str]) -> Tensor:
        states: Tensor = self.text(tokens(self.tokenizer, words).to(self.text.device)).last_hidden_state
        return states


class KnownCaptions(Captions):
    """The same for a text encoder that learns no more: a few of every item, read once (a quarter less time a step)."""

    EACH = 4

    def __init__(self, text: CLIPTextModel, tokenizer: CLIPTokenizer, seed: int) -> None:
        super().__init__(text, tokenizer, seed)
        self.known: list[Tensor] = []
        self.empty = self.kept([""])[0]

    def grow(self, new: list[Item]) -> None:
        told = [self.say(item) for item in new for _ in range(self.EACH)]
        self.known += self.kept(told).unflatten(0, (-1, self.EACH))

    def states(self, rows: list[int], untold: list[bool]) -> Tensor:
        told = [
            self.empty if none else self.known[i][self.rng.randrange(self.EACH)]
            for i, none in zip(rows, untold, strict=True)
        ]
        return torch.stack(told).float().to(self.text.device)

    @torch.no_grad()
    def kept(self, words: list[str]) -> Tensor:
        return self.read(words).half().cpu()


class Batch(NamedTuple):
    """Some items of a pool: latents [n, c, h, w], subjects' masks and where twins differ [n, 1, h, w]."""

    rows: list[int]
    latents: Tensor
    others: Tensor
    """Latents of their twins."""
    masks: Tensor
    apart: Tensor
    """Squared difference to the twin, in units of its mean, at most 40."""
    faint: Tensor
    """How much less than usual the twins differ, 1 (as usual, or more) to 8, [n, 1, 1, 1]."""
    told: Tensor
    """Whether the caption tells what the twin has not, [n]."""


class Pool:
    """Latents, subject masks and captions of drawn pictures, each beside its twin; some new ones at a time."""

    def __init__(self, vae: AutoencoderKL, captions: Captions, seed: int, size: int, first: int) -> None:
        self.vae, self.captions, self.size, self.world = vae, captions, size, items(seed, PUPPETS)
        self.rng = random.Random(seed)
        self.latents: list[Tensor] = []
        self.masks: list[Tensor] = []
        for _ in range(first // 64):
            self.grow(64)

    @torch.no_grad()
    def grow(self, count: int) -> None:
        """Half of the new ones are of the world, in even rows, each with its told twin in the row behind it."""
        new = [both for item in islice(self.world, count // 2) for both in (item, twin(item, self.rng))]
        pictures, masks = draw_with_masks(new, self.size, self.vae.device)
        with mixed(self.vae.device):
            z = self.vae.encode(pictures * 2 - 1).latent_dist.mean * self.vae.config.scaling_factor
        self.latents += list(z.half())
        self.masks += list(torch.nn.functional.interpolate(masks, z.shape[-2:], mode="area").half())
        self.captions.grow(new)

    def batch(self, count: int) -> Batch:
        """Items at random."""
        pairs = [self.rng.randrange(len(self.latents) // 2) for _ in range(count)]
        rows = [2 * i + (self.rng.random() < TWINS) for i in pairs]
        latents, masks = (torch.stack([kept[i] for i in rows]).float() for kept in (self.latents, self.masks))
        others = torch.stack([self.latents[i ^ 1] for i in rows]).float()
        apart = (latents - others).square().mean(1, keepdim=True)
        mean = apart.mean((1, 2, 3), keepdim=True)
        apart, faint = (apart / mean.clamp_min(1e-4)).clamp_max(40.0), (USUAL / mean.clamp_min(1e-4)).clamp(1.0, 8.0)
        told = torch.tensor([i % 2 == 1 for i in rows], device=latents.device)
        return Batch(rows, latents, others, masks, apart, faint, told)


def tokens(tokenizer: CLIPTokenizer, words: list[str]) -> Tensor:
    return tokenizer(words, padding="max_length", max_length=LENGTH, truncation=True, return_tensors="pt").input_ids
