"""One step of learning: noisy latents, the loss, and copies of the model that share a step's batch between cores."""

from __future__ import annotations

import copy
import math
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import torch
import torch.nn.functional as F
from diffusers import UNet2DConditionModel
from torch import Tensor, nn
from transformers import CLIPTextModel

from laser_cli.storybook.train.cache import CAPTIONS, Cache
from laser_cli.storybook.train.common import mixed

CHANGE = 2.0
"""How much what sets a picture apart from its twin counts in the loss, all in all: like two whole pictures."""
SWAPPED, LEAST = 0.9, 350
"""The share of told twins whose noisy latents are the other's, and the timestep from which on they may be.

There the noise still shows what the caption contradicts, so that it is the words that must be heeded.
"""
CERTAIN = 800
"""The timestep up to which small changes of a twin count as much as large ones."""
USUAL = 0.125
"""Mean squared difference of latents whose twin looks another way; of one that frowns a sixth."""
TOLD = 0.7
"""The share of items that are the told one of two twins."""
MAPS = 8
"""Side of the classifier's last feature map."""
ALIGNED = 0.5
"""Weight of the alignment with the classifier's features (REPA, Yu et al. 2025)."""


class Batch(NamedTuple):
    """Some cached items: latents [n, c, h, w] and their subjects' masks [n, 1, h, w] in 0..1.

    ``others`` are the twins' latents; ``told`` [n] says whether the caption tells what the other has not.
    """

    rows: Tensor
    latents: Tensor
    masks: Tensor
    others: Tensor
    told: Tensor

    def apart(self) -> tuple[Tensor, Tensor]:
        """Where twins differ, in units of the mean, at most 40, [n, 1, h, w]; how much less than usual, 1 to 8."""
        apart = (self.latents - self.others).square().mean(1, keepdim=True)
        mean = apart.mean((1, 2, 3), keepdim=True).clamp_min(1e-4)
        return (apart / mean).clamp_max(40.0), (USUAL / mean).clamp(1.0, 8.0)


class Task(NamedTuple):
    """What the U-Net is shown and asked; the first dimension of every tensor is the batch's."""

    noisy: Tensor
    t: Tensor
    v: Tensor
    weight: Tensor
    """How much each place counts in the loss, [n, 1, h, w]."""
    words: Tensor
    """The captions' states [n, 77, d], or their token ids [n, 77] for a text encoder that learns."""
    maps: Tensor
    """The classifier's feature maps, standardised by channel, [n, c, s, s]."""

    def parts(self, count: int) -> list[Task]:
        """The task in equal parts."""
        split = [t.tensor_split(count) for t in self]
        return [Task(*part) for part in zip(*split, strict=True)]


def sample_batch(cache: Cache, count: int, rng: torch.Generator, twins: bool) -> Batch:
    """Items at random; of twins the told one in TOLD of the cases."""
    if not twins:
        rows = torch.randint(len(cache), (count,), generator=rng, device=rng.device)
        told = torch.zeros(count, dtype=torch.bool, device=rng.device)
    else:
        told = torch.rand(count, generator=rng, device=rng.device) < TOLD
        rows = 2 * torch.randint(len(cache) // 2, (count,), generator=rng, device=rng.device) + told
    kept = cache.take(rows, "latents", "masks")
    latents = kept["latents"].float()
    others = cache.take(rows ^ 1, "latents")["latents"].float() if twins else latents
    return Batch(rows, latents, kept["masks"].float() / 255, others, told)


class Noised(NamedTuple):
    """Noisy latents with their timesteps, whose captions stay untold, the v to find and the weight of every place."""

    noisy: Tensor
    t: Tensor
    untold: Tensor
    v: Tensor
    weight: Tensor


def noised(items: Batch, alphas: Tensor, rng: torch.Generator, focus: float, twins: bool) -> Noised:
    """Latents in noise, [n, c, h, w]; v leads to the told picture even where it is the twin that is in the noise.

    Subjects count 1 + ``focus`` times as much as what is around them.
    """
    count = len(items.rows)

    def chance() -> Tensor:
        return torch.rand(count, generator=rng, device=rng.device)

    # Half of the samples in much noise, where shapes and expressions are decided, half anywhere.
    shaped = torch.sigmoid(torch.randn(count, generator=rng, device=rng.device) * 0.9 + 0.8)
    t = (torch.where(chance() < 0.5, chance(), shaped) * 999.99).long()
    untold = chance() < 0.1
    weight = 1 + focus * items.masks.square()
    shown = items.latents
    if twins:
        swapped = items.told & ~untold & (t >= LEAST) & (chance() < SWAPPED)
        shown = torch.where(swapped.view(-1, 1, 1, 1), items.others, shown)
        apart, faint = items.apart()
        # Where the noise still shows how a head is turned, what a twin asks for is certain, be it ever so small.
        weight = weight + CHANGE * apart * torch.where((swapped & (t < CERTAIN)).view(-1, 1, 1, 1), faint, 1.0)
    abar = alphas[t].view(-1, 1, 1, 1)
    eps = torch.randn(shown.shape, generator=rng, device=rng.device)
    noisy = abar.sqrt() * shown + (1 - abar).sqrt() * eps
    v = (abar.sqrt() * noisy - items.latents) / (1 - abar).sqrt()
    return Noised(noisy, t, untold, v, weight)


class Learner(nn.Module):
    """A U-Net, the head that aligns its features with the classifier's, and maybe a text encoder that learns too."""

    def __init__(self, unet: UNet2DConditionModel, features: int, text: CLIPTextModel | None = None) -> None:
        super().__init__()
        self.unet, self.text = unet, text
        finer = round(math.log2(unet.config.sample_size / MAPS))
        level = max(0, len(unet.up_blocks) - 2 - max(0, finer))  # the block on the way up that ends at MAPS x MAPS
        channels = unet.up_blocks[level].resnets[-1].out_channels
        self.head = nn.Sequential(nn.Conv2d(channels, 2 * features, 1), nn.SiLU(), nn.Conv2d(2 * features, features, 1))
        self.seen: Tensor | None = None
        unet.up_blocks[level].register_forward_hook(self._keep)

    def _keep(self, module: nn.Module, args: tuple[Tensor, ...], out: Tensor) -> None:
        self.seen = out

    def forward(self, task: Task, align: float = ALIGNED) -> Tensor:
        """The loss of a task: weighted v-MSE plus ``align`` times the distance of the features' directions."""
        with mixed(task.noisy.device):
            words = self.text(task.words.long()).last_hidden_state if self.text is not None else task.words
            v = self.unet(task.noisy, task.t, words).sample
            told = self.head(self.seen).float()
        self.seen, maps = None, task.maps
        if told.shape[-2:] != maps.shape[-2:]:
            maps = F.interpolate(maps, told.shape[-2:], mode="bilinear", antialias=True)
        loss = ((v.float() - task.v).square() * task.weight).mean()
        return loss + align * (1 - F.cosine_similarity(told, maps, dim=1)).mean()


class Replicas:
    """Copies of a learner that share its weights; each takes a part of every batch on a thread of its own."""

    def __init__(self, learner: Learner, count: int) -> None:
        self.learner = learner
        self.copies = [copy.deepcopy(learner) for _ in range(count - 1)]
        for twin in self.copies:
            for shared, weight in zip(twin.parameters(), learner.parameters(), strict=True):
                shared.data = weight.data
        self.pool = ThreadPoolExecutor(count, initializer=torch.set_num_threads, initargs=(1,)) if count > 1 else None

    def backward(self, task: Task, align: float = ALIGNED) -> float:
        """The gradient of the batch's mean loss in the learner's parameters; returns that loss."""
        if self.pool is None:
            loss: Tensor = self.learner(task, align)
            loss.backward()
            return loss.item()
        learners = [self.learner, *self.copies]
        parts = task.parts(len(learners))

        def one(learner: Learner, part: Task) -> float:
            loss: Tensor = learner(part, align) * (len(part.t) / len(task.t))
            loss.backward()
            return loss.item()

        total = sum(self.pool.map(one, learners, parts))
        for twin in self.copies:
            for shared, weight in zip(twin.parameters(), self.learner.parameters(), strict=True):
                if shared.grad is not None:
                    weight.grad = shared.grad if weight.grad is None else weight.grad.add_(shared.grad)
                    shared.grad = None
        return total


def captions(cache: Cache, rows: Tensor, untold: Tensor, empty: Tensor, rng: torch.Generator, field: str) -> Tensor:
    """One caption of each item, as ``states`` [n, 77, d] or ``ids`` [n, 77]; of untold ones the ``empty`` caption's."""
    kept = cache.take(rows, field)[field]
    which = torch.randint(CAPTIONS, (len(rows),), generator=rng, device=rng.device)
    said = kept[torch.arange(len(rows), device=kept.device), which]
    said = said.float() if field == "states" else said.long()
    return torch.where(untold.view(-1, *[1] * (said.dim() - 1)), empty.to(said), said)
