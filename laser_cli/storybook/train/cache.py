"""What the U-Net learns from, computed once and kept on disk; the oldest items are replaced a few at a time.

Every item is drawn, encoded by the VAE, told in a few captions that the text encoder reads, and seen by the attribute
classifier, whose last feature map the U-Net's own features are aligned with (REPA).
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path

import torch
from diffusers import AutoencoderKL
from torch import Tensor, nn
from transformers import CLIPTextModel, CLIPTokenizer

from laser_cli.storybook.classifier import AttributeClassifier
from laser_cli.storybook.look import Look
from laser_cli.storybook.train.common import drawn, mixed
from laser_cli.storybook.train.tokens import LENGTH
from laser_cli.storybook.twins import twin
from laser_cli.storybook.words import Voice
from laser_cli.storybook.world import Item, caption_of, items

CAPTIONS = 2
"""Captions kept of every item."""
PUPPETS = 0.4
"""The share of puppets."""
AT_ONCE = 64
"""Items that are made together, from a seed of their own."""
Rows = dict[str, Tensor]
"""Fields of some items: latents [n, c, h, w], masks [n, 1, h, w], maps [n, c, 8, 8], and of every caption states
[n, CAPTIONS, 77, d] and ids [n, CAPTIONS, 77]."""


@dataclass(frozen=True)
class Sources:
    """The frozen models that an item's rows come from."""

    vae: AutoencoderKL
    text: CLIPTextModel
    tokenizer: CLIPTokenizer
    classifier: AttributeClassifier
    look: Look
    device: str = "cpu"

    def fingerprint(self) -> str:
        """A digest of the weights that rows come from and the look: rows of one set are of no use to another."""
        digest = hashlib.sha256(json.dumps(asdict(self.look)).encode())
        models: tuple[nn.Module, ...] = (self.vae.encoder, self.vae.quant_conv, self.text, self.classifier)
        for tensor in (t for model in models for t in model.state_dict().values()):
            digest.update(tensor.detach().float().cpu().contiguous().numpy().tobytes())
        return digest.hexdigest()

    @torch.no_grad()
    def rows(self, new: Sequence[Item], rng: random.Random) -> Rows:
        """The rows of some items, in new words."""
        pictures, masks = drawn(new, self.look, self.device)
        with mixed(self.device):
            z = torch.cat([self.vae.encode(part * 2 - 1).latent_dist.mean for part in pictures.split(16)])
            maps = torch.cat([self.classifier.stages(part)[-1] for part in pictures.split(64)])
        voice = Voice(rng, omit=0.04)
        said = [
            caption_of(item) if rng.random() < 0.4 else caption_of(item, voice) for item in new for _ in range(CAPTIONS)
        ]
        ids, states = self.read(said)
        return {
            "latents": z.half() * self.vae.config.scaling_factor,
            "masks": (torch.nn.functional.interpolate(masks, z.shape[-2:], mode="area") * 255).round().byte(),
            "states": states.half().unflatten(0, (-1, CAPTIONS)),
            "ids": ids.short().unflatten(0, (-1, CAPTIONS)),
            "maps": maps.half(),
        }

    @torch.no_grad()
    def read(self, captions: list[str]) -> tuple[Tensor, Tensor]:
        """Token ids [n, 77] of captions and the text encoder's last states [n, 77, d]."""
        ids = tokens(self.tokenizer, captions).to(self.device)
        return ids, torch.cat([self.text(part).last_hidden_state.float() for part in ids.split(64)])


class Cache:
    """Rows of many items in files of a fixed capacity, each read in place; on a GPU a copy of them stays in its memory.

    A folder written by other models begins anew (``discarded`` says how many items that cost); one of another capacity
    keeps what fits. ``source(serial)`` makes the next AT_ONCE items' rows; a serial that a kill cuts off is used again.
    """

    def __init__(
        self, folder: Path, capacity: int, made_with: str, source: Callable[[int], Rows], device: str = "cpu"
    ) -> None:
        self.folder, self.capacity = folder, max(1, capacity // AT_ONCE) * AT_ONCE
        self.made_with, self.source, self.device = made_with, source, device
        self.serial, self.count, self.oldest, self.discarded = 0, 0, 0, 0
        self.files: Rows = {}
        self.resident: Rows = {}
        folder.mkdir(parents=True, exist_ok=True)
        state = json.loads(self._state.read_text()) if self._state.is_file() else {}
        if state.get("made_with") == made_with:
            self.serial, self.count = state["serial"], min(state["count"], self.capacity)
            self.oldest = state["oldest"] if self.count == self.capacity > state["oldest"] else 0
            self._open(state["kinds"])
        else:
            self.discarded = state.get("count", 0)

    @property
    def _state(self) -> Path:
        return self.folder / "cache.json"

    def __len__(self) -> int:
        """Items that are there."""
        return self.count

    def grow(self) -> None:
        """Add AT_ONCE items; once the capacity is reached, in place of the oldest."""
        rows = self.source(self.serial)
        if not self.files:
            for name in rows:
                (self.folder / f"{name}.bin").unlink(missing_ok=True)
            self._open({name: (str(t.dtype).removeprefix("torch."), list(t.shape[1:])) for name, t in rows.items()})
        at = self.count if self.count < self.capacity else self.oldest
        for name, values in rows.items():
            self.files[name][at : at + AT_ONCE] = values.cpu()
            if self.resident is not self.files:
                self.resident[name][at : at + AT_ONCE] = values
        self.serial, self.count = self.serial + 1, max(self.count, at + AT_ONCE)
        self.oldest = (at + AT_ONCE) % self.capacity
        self._write()

    def take(self, rows: Tensor, *names: str) -> Rows:
        """Some fields of some items, on the device, as stored."""
        at = rows.to(self.device)
        return {name: self.resident[name][at] for name in names}

    def _open(self, kinds: Mapping[str, tuple[str, list[int]]]) -> None:
        self.kinds = kinds
        for name, (dtype, shape) in kinds.items():
            size, kind = self.capacity * math.prod(shape), getattr(torch, dtype)
            kept = torch.from_file(str(self.folder / f"{name}.bin"), shared=True, size=size, dtype=kind)
            self.files[name] = kept.view(self.capacity, *shape)
        if torch.device(self.device).type == "cpu":
            self.resident = self.files
        else:
            self.resident = {name: torch.empty_like(t, device=self.device) for name, t in self.files.items()}
            for name, kept in self.files.items():
                self.resident[name][: len(self)] = kept[: len(self)].to(self.device)

    def _write(self) -> None:
        state = {
            "made_with": self.made_with,
            "serial": self.serial,
            "count": self.count,
            "oldest": self.oldest,
            "kinds": self.kinds,
        }
        part = self._state.with_suffix(".part")
        part.write_text(json.dumps(state))
        os.replace(part, self._state)


def stream(sources: Sources, seed: int, twins: bool = False) -> Callable[[int], Rows]:
    """Makes the rows of the serial-th AT_ONCE items; with ``twins`` odd rows are the told twins of the even ones."""

    def rows(serial: int) -> Rows:
        rng = random.Random(f"{seed} {serial}")
        world = items(seed * 2**32 + serial, PUPPETS, sources.look)
        if twins:
            new = [both for item in islice(world, AT_ONCE // 2) for both in (item, twin(item, rng))]
        else:
            new = list(islice(world, AT_ONCE))
        return sources.rows(new, rng)

    return rows


def tokens(tokenizer: CLIPTokenizer, words: Sequence[str]) -> Tensor:
    """Token ids, [n, 77]."""
    padded: Mapping[str, Tensor] = tokenizer(
        list(words), padding="max_length", max_length=LENGTH, truncation=True, return_tensors="pt"
    )
    return padded["input_ids"]
