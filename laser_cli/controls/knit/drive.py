"""What drives a portrait, as the control nets take it: a pose map, and an expression by one of two routes."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from laser_cli.tracks.names import SHAPES

COEFFICIENTS = SHAPES[:-1]
"""The 51 blendshapes of the coefficient route, in the order of its columns.

The published code names neither the shapes nor their order: this is ARKit's alphabetical order without `tongueOut`,
which MediaPipe uses too. It is not verified on published weights.
"""
PARTS, PART_WIDTH = 3, 1024
"""CLIP embeddings (ViT-H/14) of the eyes and the mouth: image-left eye, image-right eye, mouth."""
PDFGC_WIDTH = 548
"""A PD-FGC vector: 6 of the eyes, 30 of emotion, 512 of the mouth."""


@dataclass(frozen=True)
class Drive:
    """The drive of n frames: `condition` [n, 3, H, W] in -1..1, and `coefficients` [n, 51] with `parts` [n, 3, 1024],
    or `pdfgc` [n, 548]; exactly one of the two routes."""

    condition: Tensor
    coefficients: Tensor | None = None
    parts: Tensor | None = None
    pdfgc: Tensor | None = None

    def __post_init__(self) -> None:
        arkit = self.coefficients is not None and self.parts is not None
        if (self.coefficients is None) != (self.parts is None) or arkit == (self.pdfgc is not None):
            raise ValueError("a drive has either coefficients and parts, or a PD-FGC vector")

    def to(self, where: torch.dtype | torch.device) -> Drive:
        """The same in a precision, or on a device."""
        return replace(self, **{name: x.to(where) for name, x in vars(self).items() if x is not None})

    def unconditional(self, pdfgc: Tensor | None = None) -> Drive:
        """The drive of the unconditional half: a map of -1, and zeros.

        v1 and v2 take as `pdfgc` [548] what their encoder says of an all -1 image instead.
        """
        empty = {
            name: torch.zeros_like(given)
            for name in ("coefficients", "parts", "pdfgc")
            if (given := getattr(self, name)) is not None
        }
        if pdfgc is not None and "pdfgc" in empty:
            empty["pdfgc"] = empty["pdfgc"] + pdfgc
        return replace(self, condition=torch.full_like(self.condition, -1.0), **empty)


def no_parts(frames: int) -> Tensor:
    """Face parts [frames, 3, 1024] where the eyes and the mouth are not known: zeros, as in the unconditional half."""
    return torch.zeros(frames, PARTS, PART_WIDTH)
