"""Teaches the U-Net's text encoder to tell expressions apart, which a picture's few changed pixels hardly ever do.

Left to the U-Net's loss alone, the words that change little of a picture («angry», «sad», «pouting», «expressionless»)
keep states more alike than one word has in two captions, and the U-Net cannot hear which of them was said.
"""

from __future__ import annotations

import random
from copy import deepcopy
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from laser_cli.storybook.face_words import EXPRESSION_WORDS, NEUTRAL_WORDS, face_caption
from laser_cli.storybook.puppets import sample_puppet
from laser_cli.storybook.train.cache import tokens
from laser_cli.storybook.train.common import log
from laser_cli.storybook.train.unet import words
from laser_cli.storybook.words import Voice
from laser_cli.storybook.world import caption_of, items

PHRASES = [*EXPRESSION_WORDS.values(), NEUTRAL_WORDS]
"""Ways to say each expression."""
TEMPERATURE = 0.2
KEPT = 0.05
"""The share of the anchor that holds a phrase's own state: it may move, all others should stay."""


def train(folder: Path, steps: int = 200, seed: int = 0, batch: int = 51, start: Path | None = None) -> Path:
    """Trains ``folder``'s text encoder in place, at first that of the pipeline ``start``; returns its folder.

    Supervised contrast (Khosla et al. 2020, eq. 2) of the last states of phrases, by expression; every other state is
    held where the U-Net knows it. The U-Net's cache of states is computed anew afterwards.
    """
    torch.manual_seed(seed)
    tokenizer, text = words(folder, start)
    before = deepcopy(text).requires_grad_(False).eval()
    optimizer = torch.optim.AdamW(text.parameters(), lr=5e-4, weight_decay=0.0)
    decay = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.0, steps)
    rng, voice = random.Random(seed), Voice(random.Random(seed))
    world = items(seed, puppets=0.3)
    for step in range(1, steps + 1):
        kinds = [i % len(PHRASES) for i in range(batch)]
        said = [saying(rng, voice, rng.choice(PHRASES[kind])) for kind in kinds]
        others = [caption_of(next(world), voice) for _ in range(batch // 3)]
        ids = tokens(tokenizer, [phrase for phrase, _ in said] + others)
        last = torch.tensor([len(tokenizer(begin).input_ids) - 2 for _, begin in said])
        states, old = text(ids).last_hidden_state, before(ids).last_hidden_state
        rows = torch.arange(batch)
        apart = contrast(states[rows, last], torch.tensor(kinds))
        moved = (states - old).square().mean(2)
        hold = torch.ones_like(moved).index_put((rows, last), torch.tensor(KEPT))
        kept = (moved * hold).mean()
        (apart + 10 * kept).backward()
        optimizer.step()
        decay.step()
        optimizer.zero_grad(set_to_none=True)
        if step % 25 == 0 or step == steps:
            log(folder / "text.log", step=step, contrast=apart.item(), moved=kept.item())
    text.save_pretrained(folder / "text_encoder")
    return folder / "text_encoder"


def saying(rng: random.Random, voice: Voice, phrase: str) -> tuple[str, str]:
    """A caption of some puppet with this phrase for its expression, and the caption's start up to the phrase."""
    parts = face_caption(sample_puppet(rng), voice, frozenset({"expression"})).split(", ")
    place = rng.randint(max(1, len(parts) - 3), len(parts))
    start = ", ".join([*parts[:place], phrase])
    return ", ".join([start, *parts[place:]]), start


def contrast(states: Tensor, kinds: Tensor) -> Tensor:
    """How badly states [n, c] of equal kinds [n] lie together and others apart."""
    z = F.normalize(states, dim=1)
    itself = torch.eye(len(z), dtype=torch.bool)
    alike = (kinds[:, None] == kinds[None]) & ~itself
    likely = (z @ z.T / TEMPERATURE).masked_fill(itself, -1e9).log_softmax(1)
    return -(likely * alike).sum(1).div(alike.sum(1).clamp_min(1)).mean()
