"""Faces that portrait adapters learn from: puppets of one identity in several states, kept on disk as latents."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import Tensor

from laser_cli.models.model import Model
from laser_cli.storybook.driving import motion_of
from laser_cli.storybook.face_words import face_caption
from laser_cli.storybook.look import Look
from laser_cli.storybook.puppets import Puppet, sample_puppet
from laser_cli.storybook.train.common import drawn
from laser_cli.storybook.words import Voice

STATES = 4
"""Pictures of every identity."""
AT_ONCE = 16
"""Identities that are made together, from a seed of their own."""
MOST = 250
"""Chunks of AT_ONCE identities that are kept."""


class Faces(NamedTuple):
    """Identities [i] in STATES states: latents [i, s, c, h, w], masks of the features [i, s, 1, h, w] in 0..1,
    `angles` [i, s, 3] in radians and `coefficients` [i, s, 51], and the states of two captions [i, 2, 77, d]: of the
    looks alone, and of the looks in one of the states."""

    latents: Tensor
    masks: Tensor
    angles: Tensor
    coefficients: Tensor
    captions: Tensor


def identities(rng: random.Random, count: int) -> list[list[Puppet]]:
    """So many puppets, each in STATES poses and expressions."""

    def states() -> list[Puppet]:
        looks, faces = sample_puppet(rng), [sample_puppet(rng) for _ in range(STATES)]
        return [replace(looks, yaw=f.yaw, pitch=f.pitch, roll=f.roll, expression=f.expression) for f in faces]

    return [states() for _ in range(count)]


@torch.no_grad()
def make_faces(model: Model, look: Look, seed: int, count: int) -> Faces:
    """Faces of a seed, drawn and encoded."""
    rng = random.Random(seed)
    puppets = identities(rng, count)
    every = [puppet for states in puppets for puppet in states]
    pictures, masks = drawn(every, look)
    latents = torch.cat([model.encode_picture(part) for part in pictures.split(16)])
    # the drawing's masks are 0.5 on heads and up to 1 on features
    features = F.interpolate((2 * masks - 1).clamp_min(0), latents.shape[-2:], mode="area")
    motion = motion_of(every)
    voice = Voice(rng, omit=0.04)
    said = []
    for states in puppets:
        bare = replace(states[0], yaw=0.0, pitch=0.0, roll=0.0, expression=())
        said += [face_caption(bare, voice, frozenset({"expression"})), face_caption(rng.choice(states), voice)]
    captions = model.encode_prompts(said).prompt_embeds

    def by_identity(x: Tensor, each: int = STATES) -> Tensor:
        return x.cpu().unflatten(0, (count, each))

    return Faces(
        by_identity(latents).half(),
        by_identity(features).half(),
        by_identity(torch.from_numpy(motion.pose.angles).float()),
        by_identity(torch.from_numpy(motion.coefficients).float()),
        by_identity(captions, 2).half(),
    )


class FaceCache:
    """Chunks of faces, each in a file of `folder`, made anew from their seeds where files are missing."""

    def __init__(self, folder: Path, model: Model, look: Look, seed: int) -> None:
        self.folder, self.model, self.look, self.seed = folder, model, look, seed
        folder.mkdir(parents=True, exist_ok=True)
        self.chunks: list[Faces] = []
        while (file := self._file(len(self.chunks))).is_file():
            self.chunks.append(Faces(**load_file(file)))

    def _file(self, number: int) -> Path:
        return self.folder / f"{self.seed}-{number:04d}.safetensors"

    def __len__(self) -> int:
        return len(self.chunks) * AT_ONCE

    def grow(self) -> None:
        """Make one more chunk."""
        number = len(self.chunks)
        made = make_faces(self.model, self.look, self.seed * 1_000_003 + number, AT_ONCE)
        part = self._file(number).with_suffix(".part")
        save_file({name: x.contiguous() for name, x in made._asdict().items()}, part)
        part.replace(self._file(number))
        self.chunks.append(made)

    def take(self, rows: Sequence[int]) -> Faces:
        """Some identities, in float32."""
        found = [[x[row % AT_ONCE] for x in self.chunks[row // AT_ONCE]] for row in rows]
        return Faces(*(torch.stack(parts).float() for parts in zip(*found, strict=True)))
