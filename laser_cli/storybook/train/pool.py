"""What the U-Net learns from: a pool of latents of drawn pictures, some new ones at a time, and their captions."""

from __future__ import annotations

import random
from itertools import islice

import torch
from diffusers import AutoencoderKL
from torch import Tensor
from transformers import CLIPTextModel, CLIPTokenizer

from laser_cli.storybook.train.common import mixed
from laser_cli.storybook.train.tokens import LENGTH
from laser_cli.storybook.words import Voice
from laser_cli.storybook.world import Item, caption_of, draw_with_masks, items

PUPPETS = 0.5
"""The share of puppets among what it learns: their faces are the hardest to draw."""


class Captions:
    """What is told of a pool's items, in new words for every batch, as the text encoder reads it."""

    def __init__(self, text: CLIPTextModel, tokenizer: CLIPTokenizer, seed: int) -> None:
        self.text, self.tokenizer, self.items = text, tokenizer, list[Item]()
        self.rng, self.voice = random.Random(f"captions {seed}"), Voice(random.Random(seed), omit=0.04)

    def grow(self, new: list[Item]) -> None:
        self.items += new

    def states(self, rows: list[int], drop: float) -> Tensor:
        """Hidden states [n, 77, c] of these items' captions; a share ``drop`` of them is empty."""
        return self.read(["" if self.rng.random() < drop else self.say(self.items[i]) for i in rows])

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

    def states(self, rows: list[int], drop: float) -> Tensor:
        told = [self.empty if self.rng.random() < drop else self.known[i][self.rng.randrange(self.EACH)] for i in rows]
        return torch.stack(told).float().to(self.text.device)

    @torch.no_grad()
    def kept(self, words: list[str]) -> Tensor:
        return self.read(words).half().cpu()


class Pool:
    """Latents, subject masks and captions of drawn pictures; a few new ones come with every batch."""

    def __init__(self, vae: AutoencoderKL, captions: Captions, seed: int, size: int, first: int) -> None:
        self.vae, self.captions, self.size, self.world = vae, captions, size, items(seed, PUPPETS)
        self.rng = random.Random(seed)
        self.latents: list[Tensor] = []
        self.masks: list[Tensor] = []
        for _ in range(first // 64):
            self.grow(64)

    @torch.no_grad()
    def grow(self, count: int) -> None:
        new = list(islice(self.world, count))
        pictures, masks = draw_with_masks(new, self.size, self.vae.device)
        with mixed(self.vae.device):
            z = self.vae.encode(pictures * 2 - 1).latent_dist.mean * self.vae.config.scaling_factor
        self.latents += list(z.half())
        self.masks += list(torch.nn.functional.interpolate(masks, z.shape[-2:], mode="area").half())
        self.captions.grow(new)

    def batch(self, count: int) -> tuple[list[int], Tensor, Tensor]:
        """The numbers of some items, their latents and masks."""
        rows = [self.rng.randrange(len(self.latents)) for _ in range(count)]
        latents, masks = (torch.stack([kept[i] for i in rows]).float() for kept in (self.latents, self.masks))
        return rows, latents, masks


def tokens(tokenizer: CLIPTokenizer, words: list[str]) -> Tensor:
    return tokenizer(words, padding="max_length", max_length=LENGTH, truncation=True, return_tensors="pt").input_ids
