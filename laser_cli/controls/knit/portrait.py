"""A portrait ready to be drawn: what its U-Net passes read of the reference, and the control of each frame."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from laser_cli.controls.knit.drive import Drive
from laser_cli.controls.knit.insertion import Insertion, halves, insert
from laser_cli.controls.knit.load import Nets
from laser_cli.controls.knit.versions import PREFIX
from laser_cli.errors import BadInputError
from laser_cli.models.numerics import in_safe_precision


@dataclass(frozen=True)
class Portrait:
    """A reference as a version's nets read it: once a job, whatever the step and the frame.

    `prepared`: maps by insertion point, two rows each (unconditional, conditional). `pdfgc` [548]: the unconditional
    PD-FGC vector that v1 and v2 need.
    """

    nets: Nets
    prepared: Mapping[str, Tensor]
    pdfgc: Tensor | None = None

    def insertion(self, drive: Drive, *, guided: bool = True) -> Insertion:
        """What enters a pass of the driven frames: their unconditional rows and then their conditional ones, or the
        conditional ones alone."""
        control = controls(self.nets, drive, guided=guided, pdfgc=self.pdfgc)
        prepared = self.prepared if guided else {point: x[1:] for point, x in self.prepared.items()}
        return Insertion(control, self.nets.reference, prepared)


def read_reference(
    unet: Any, nets: Nets, latents: Tensor, prompt_embeds: Tensor, own: Drive | None = None, pdfgc: Tensor | None = None
) -> Portrait:
    """The portrait of a reference's clean latents [1, c, h, w]: one pass of the U-Net at timestep 0.

    `prompt_embeds` [2, n, d]: the negative prompt's and the prompt's. `own`: the reference's own pose and expression,
    which v5c needs. Raises BadInputError where it is missing.
    """
    if nets.version.reference_control and own is None:
        raise BadInputError(
            f"{nets.version.title} needs the portrait's own face",
            why="its reference pass runs under the portrait's head pose and expression",
            hint=f"give a face track of the portrait itself, or use {PREFIX}v5b",
        )
    control = controls(nets, own, pdfgc=pdfgc) if own is not None and nets.version.reference_control else {}
    features = read_picture(unet, latents, prompt_embeds, control)
    with torch.no_grad():
        return Portrait(nets, nets.prepare(features), pdfgc)


def read_picture(
    unet: Any, latents: Tensor, prompt_embeds: Tensor, control: Mapping[str, Tensor] | None = None
) -> dict[str, Tensor]:
    """The maps by insertion point that a U-Net makes of a picture's clean latents [1, c, h, w] at timestep 0.

    Two rows each: the unconditional half sees no picture at all. `prompt_embeds` as of `read_reference`.
    """
    features: dict[str, Tensor] = {}

    def call(rows: Tensor) -> Tensor:
        out: Tensor = unet(rows.to(unet.dtype), 0, encoder_hidden_states=prompt_embeds.to(unet.dtype)).sample
        return out

    with torch.no_grad(), insert(unet, Insertion(control=control or {}), features):
        in_safe_precision("the U-Net", unet, call, torch.cat([torch.zeros_like(latents), latents]))
    return features


@torch.no_grad()
def controls(nets: Nets, drive: Drive, *, guided: bool = True, pdfgc: Tensor | None = None) -> dict[str, Tensor]:
    """Control maps of n driven frames by insertion point: 2n rows, the unconditional ones first, or n conditional ones.

    Raises BadInputError for a PD-FGC drive of v1 or v2 without their unconditional vector.
    """
    driven = nets.controls(drive)
    if not guided:
        return driven
    if drive.pdfgc is not None and pdfgc is None and not nets.version.zero_pdfgc:
        raise BadInputError(
            f"{nets.version.title} needs an unconditional PD-FGC vector",
            why="in v1 and v2 it is what the PD-FGC encoder says of an all -1 image, not zero",
            hint="drive it with coefficients, or use a later version",
        )
    # the same for every frame: one row is computed
    empty = nets.controls(_first(drive).unconditional(pdfgc))
    count = len(drive.condition)
    return halves({point: x.expand(count, *x.shape[1:]) for point, x in empty.items()}, driven)


def _first(drive: Drive) -> Drive:
    parts = (None if part is None else part[:1] for part in (drive.coefficients, drive.parts, drive.pdfgc))
    return Drive(drive.condition[:1], *parts)


def predict(
    unet: Any, portrait: Portrait, drive: Drive, x: Tensor, timestep: int, prompt_embeds: Tensor, scale: float
) -> Tensor:
    """The U-Net's guided output for latents x [n, c, h, w] of n driven frames; above a scale of 1 in 2n rows."""
    with torch.no_grad():
        if scale <= 1:
            with insert(unet, portrait.insertion(drive, guided=False)):
                return unet(x, timestep, encoder_hidden_states=prompt_embeds[1:].expand(len(x), -1, -1)).sample
        states = prompt_embeds.repeat_interleave(len(x), 0)
        with insert(unet, portrait.insertion(drive)):
            out = unet(torch.cat([x, x]), timestep, encoder_hidden_states=states).sample
        unconditional, conditional = out.chunk(2)
        return unconditional + scale * (conditional - unconditional)
