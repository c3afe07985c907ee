"""Prompt-to-Prompt (arXiv 2208.01626): the source's attention maps say where the words of a prompt are.

A word that stays keeps its map (refine), one that takes another's place takes its map (replace), a new one has its own;
weights strengthen or weaken a word's map (reweight). Local blend keeps the source where no changed word looks.
"""

from __future__ import annotations

from collections.abc import Sequence
from difflib import SequenceMatcher

import torch
import torch.nn.functional as F
from torch import Tensor

from laser_cli.controls import pnp
from laser_cli.controls.base import QKV, Control, Words

REPLACED = "replace"
MOST_TOKENS = 32**2
"""Self-attentions at more places than this are left alone."""
BLENDED_AT = 16**2
"""Local blend reads the cross-attentions at the most places up to so many."""
COVERED = 0.3
"""The share of its largest value from which on a map covers a place."""


def align(source: Sequence[int], target: Sequence[int], room: int, weights: Sequence[float] = ()) -> Words:
    """The alignment of two prompts of words' tokens, each to be read between a begin and an end within ``room`` tokens.

    Runs of words that stay are found by longest matches (difflib); a run in the place of another takes its maps, each
    token its own where both are equally long, else all of them alike. Marks take the maps of marks.
    """
    source, target = source[: room - 2], target[: room - 2]
    mapper, changed, lost = torch.zeros(room, room), torch.zeros(room), torch.zeros(room)
    for kind, i1, i2, j1, j2 in SequenceMatcher(None, source, target, autojunk=False).get_opcodes():
        rows, columns = slice(1 + i1, 1 + i2), slice(1 + j1, 1 + j2)
        if kind != "equal":
            lost[rows], changed[columns] = 1, 1
        if i2 - i1 == j2 - j1:
            mapper[rows, columns] = torch.eye(i2 - i1)
        elif kind == REPLACED:
            mapper[rows, columns] = 1 / (j2 - j1)
    mapper[0, 0] = 1
    for k, mark in enumerate(range(1 + len(target), room)):
        mapper[min(1 + len(source) + k, room - 1), mark] = 1
    stress = torch.ones(room)
    stress[1 : 1 + min(len(weights), room - 2)] = torch.tensor(list(weights[: room - 2]))
    return Words(*(x[None] for x in (mapper, (mapper.sum(0) > 0).float(), stress, changed, lost)))


def side_by_side(chunks: Sequence[Words]) -> Words:
    """The alignment of a prompt that is read in chunks, chunk by chunk."""
    mapper = torch.block_diag(*(chunk.mapper[0] for chunk in chunks))[None]
    return Words(mapper, *(torch.cat([chunk[i] for chunk in chunks], dim=1) for i in range(1, 5)))


def maps(q: Tensor, k: Tensor) -> Tensor:
    """Attention maps [b, h, n, m] of queries [b, h, n, d] and keys [b, h, m, d]."""
    return torch.softmax(q @ k.mT * q.shape[-1] ** -0.5, dim=-1)


def mix(out: Tensor, own: QKV, source: QKV, strength: Tensor, words: Words) -> Tensor:
    """The output moved towards c (a M_source mapper + (1 - a) M) V by strength [b]; a is ``kept``, c the weights."""
    taken = maps(source.q, source.k) @ words.mapper[:, None].to(out)
    edited = torch.lerp(maps(own.q, own.k), taken, words.kept[:, None, None].to(out))
    read = edited * words.weights[:, None, None].to(out) @ own.v
    return torch.lerp(out, read, strength.to(out).view(-1, 1, 1, 1))


def inject(own: QKV, source: QKV, strength: Tensor) -> QKV:
    """Self-attention maps moved towards the source's, by its queries and keys; not at more than MOST_TOKENS places."""
    return own if own.q.shape[2] > MOST_TOKENS else pnp.inject(own, source, strength)


def cover(own: QKV, source: QKV, words: Words) -> Tensor | None:
    """What the changed words look at, and what in the source the lost ones did: [b, 2, n], means over the heads.

    None where there are more places than BLENDED_AT.
    """
    if own.q.shape[2] > BLENDED_AT:
        return None
    changed = (maps(own.q, own.k).mean(1) * words.changed[:, None].to(own.q)).sum(-1)
    lost = (maps(source.q, source.k).mean(1) * words.lost[:, None].to(own.q)).sum(-1)
    return torch.stack([changed, lost], dim=1)


def blend_mask(covers: Sequence[Tensor], size: tuple[int, int], least: float | None = None) -> Tensor:
    """Where a picture may differ from its source, [b, 1, h, w] in 0 and 1: one everywhere if no word changes.

    ``covers`` [b, 2, n] of several layers. Those of the most places count: averaged, the largest of 3 x 3 places, at
    the latents' size, and more than ``least`` (COVERED) of the largest.
    """
    places = max(c.shape[-1] for c in covers)
    told = torch.stack([c for c in covers if c.shape[-1] == places]).mean(0)
    height = round((places * size[0] / size[1]) ** 0.5)
    told = F.max_pool2d(told.unflatten(-1, (height, places // height)), 3, stride=1, padding=1)
    told = F.interpolate(told, size, mode="bilinear")
    most = told.amax((2, 3), keepdim=True)
    covered = ((told > (COVERED if least is None else least) * most) & (most > 0)).any(1, keepdim=True)
    return (covered | ~(most > 0).any(1, keepdim=True)).to(told)


def cross_attentions(names: Sequence[str]) -> list[str]:
    """The attentions of a U-Net to the text."""
    return [name for name in names if name.endswith(".attn2")]


def self_attentions(names: Sequence[str]) -> list[str]:
    """Those of a U-Net to itself."""
    return [name for name in names if name.endswith(".attn1")]


CONTROL = Control("words", attentions=cross_attentions, attention_steps=(0.0, 0.8), mix_words=mix, prompted_only=True)
"""In the first 0.8 of the steps, as published, and on the prompted rows alone."""
LAYOUT = Control(
    "words.layout", attentions=self_attentions, attention_steps=(0.0, 0.4), inject=inject, prompted_only=True
)
"""Self-attention maps in the first 0.4 of the steps."""
LOCAL = Control("words.local", attentions=cross_attentions, attention_steps=(0.2, 1.0), cover=cover)
"""Local blend, from 0.2 of the steps on. It reads the maps of each step alone, where the published code averages those
of all before: so a render that is gone on with comes to the same pictures."""
