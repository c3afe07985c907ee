"""A U-Net that draws driven portraits in the render loop: what drives each row travels in its conditioning."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace

import torch
from torch import Tensor

from laser_cli.controls.knit.drive import Drive
from laser_cli.controls.knit.insertion import Insertion, hooked, insert
from laser_cli.controls.knit.portrait import Portrait
from laser_cli.models.base import Hooks, NoiseLevel
from laser_cli.models.conditioning import Conditioning
from laser_cli.models.unet import UNetBackbone

PREFIX = "knit."
"""What the names of a drive's parts in `Conditioning.spatial` begin with."""
HALF = PREFIX + "half"
"""[n, 1]: 0 for the unconditional half, which sees no reference, 1 for the conditional one."""
PARTS = ("condition", "coefficients", "parts", "pdfgc")


@dataclass(frozen=True)
class Undriven(Conditioning):
    """What guidance leads away from: not driven, whatever drives the rows beside it."""

    def beside(self, other: Conditioning) -> Conditioning:
        """The row as often as `other` has rows, under its `spatial` but for the drive."""
        return replace(super().beside(other), spatial={**other.spatial, **self.expand(len(other)).spatial})


def driven(conditioning: Conditioning, drive: Drive) -> Conditioning:
    """The conditioning of n rows that are driven so."""
    return _with(conditioning, drive, 1.0)


def undriven(conditioning: Conditioning, drive: Drive, pdfgc: Tensor | None = None) -> Undriven:
    """The conditioning of one row that guidance leads away from: no drive of this one's kind, and no reference.

    `pdfgc` [548] is the unconditional vector that v1 and v2 need.
    """
    first = Drive(*(None if part is None else part[:1] for part in _parts(drive).values()))  # type: ignore[arg-type]
    rows = _with(conditioning, first.unconditional(pdfgc), 0.0)
    return Undriven(**{part.name: getattr(rows, part.name) for part in fields(rows)})


def _with(conditioning: Conditioning, drive: Drive, half: float) -> Conditioning:
    count = len(drive.condition)
    rows = conditioning if len(conditioning) == count else conditioning.expand(count)
    told = {PREFIX + name: part for name, part in _parts(drive).items() if part is not None}
    device = conditioning.prompt_embeds.device
    spatial = {name: x.to(device) for name, x in told.items()} | {HALF: torch.full((count, 1), half, device=device)}
    return replace(rows, spatial={**rows.spatial, **spatial})


def _parts(drive: Drive) -> dict[str, Tensor | None]:
    return {name: getattr(drive, name) for name in PARTS}


class KnitBackbone:
    """A U-Net whose rows read a portrait under their own drive (`driven`, `undriven`); made by `knitted`.

    Rows without a drive are the U-Net's alone. Calls from several threads at once are independent.
    """

    def __init__(self, unet: UNetBackbone, portrait: Portrait) -> None:
        self.inner, self.portrait = unet, portrait

    @property
    def nfe(self) -> int:
        """Function evaluations so far, counted in rows."""
        return self.inner.nfe

    @property
    def attentions(self) -> Sequence[str]:
        """Names of all attentions of the U-Net."""
        return self.inner.attentions

    @property
    def feature_maps(self) -> Sequence[str]:
        """Names of the feature maps that hooks can change."""
        return self.inner.feature_maps

    def predict(
        self, latents: Tensor, level: NoiseLevel, conditioning: Conditioning, hooks: Hooks | None = None
    ) -> tuple[Tensor, Tensor]:
        """The clean latents x0 and the noise eps, float32, each [b, c, h, w]."""
        if HALF not in conditioning.spatial:
            return self.inner.predict(latents, level, conditioning, hooks)
        insertion, others = self.inserted(conditioning)
        with insert(self.inner.unet, insertion):
            return self.inner.predict(latents, level, others, hooks)

    def inserted(self, conditioning: Conditioning) -> tuple[Insertion, Conditioning]:
        """What enters a pass of driven rows, and what else they are told."""
        told = {name: x for name, x in conditioning.spatial.items() if name.startswith(PREFIX)}
        others = {name: x for name, x in conditioning.spatial.items() if name not in told}
        half = told[HALF][:, 0].long()
        drive = Drive(*(told.get(PREFIX + name) for name in PARTS))  # type: ignore[arg-type]
        prepared = {point: x[half] for point, x in self.portrait.prepared.items()}
        insertion = Insertion(self._control(drive, half.bool()), self.portrait.nets.reference, prepared)
        return insertion, replace(conditioning, spatial=others)

    def _control(self, drive: Drive, conditional: Tensor) -> dict[str, Tensor]:
        """Control maps of all rows; the unconditional ones share a drive, which is computed once."""
        found: dict[str, Tensor] = {}
        for rows in (torch.nonzero(conditional)[:, 0], torch.nonzero(~conditional)[:, 0]):
            if not len(rows):
                continue
            wanted = rows if conditional[rows[0]] else rows[:1]
            picked = Drive(*(None if part is None else part[wanted] for part in _parts(drive).values()))  # type: ignore[arg-type]
            for point, x in self.portrait.nets.controls(picked).items():
                maps = found.setdefault(point, x.new_empty(len(conditional), *x.shape[1:]))
                maps[rows] = x
        return found


@contextmanager
def knitted(unet: UNetBackbone, portrait: Portrait) -> Iterator[KnitBackbone]:
    """The backbone for a render of the portrait; the U-Net is as before when the context ends."""
    with hooked(unet.unet):
        yield KnitBackbone(unet, portrait)
