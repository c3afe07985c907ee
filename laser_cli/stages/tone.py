"""The tones of a portrait: a colour that the model draws otherwise than the picture has it is put right everywhere."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

GRID = 17
"""Colours that the table holds along red, green and blue; those between are interpolated."""
NEAR = 0.08
"""Colours so far apart, of 0..1, learn from each other (the kernel's standard deviation)."""
RARE = 1e-3
"""A colour of a smaller share of the picture is hardly changed, and one that it does not show not at all."""
LOOKED_AT, AROUND = 48, 3
"""Both pictures are compared in so many places along each side; what has moved within so many of them is no tone."""
SMOOTH = 64
"""Pixels along the shorter side that the change is looked up in: edges stay as sharp as they are."""


@dataclass(frozen=True)
class Tones:
    """By how much each colour is to change: a table [1, 3, GRID, GRID, GRID] over blue, green and red."""

    table: Tensor

    @classmethod
    def between(cls, drawn: Tensor, picture: Tensor, share: float = 1.0) -> Tones:
        """What turns the colours of a drawn picture into those of the picture it should be, [3, h, w] in 0..1 each.

        A place lacks what makes it the most similar colour around it in the picture; a colour's change is `share` of
        the mean of what its places lack (Nadaraya-Watson regression).
        """
        small, wanted = (F.interpolate(x[None].float(), (LOOKED_AT, LOOKED_AT), mode="area") for x in (drawn, picture))
        colours = small[0].flatten(1).T
        lacks = _around(wanted) - colours[:, None]
        least = lacks.square().sum(-1).argmin(1)
        lacks = lacks[torch.arange(len(lacks), device=least.device), least]
        axis = torch.linspace(0, 1, GRID, device=colours.device)
        blue, green, red = torch.meshgrid(axis, axis, axis, indexing="ij")
        asked = torch.stack([red, green, blue], -1).flatten(0, 2)
        near = (-torch.cdist(asked, colours).square() / (2 * NEAR**2)).exp()
        changes = share * near @ lacks / (near.sum(1, keepdim=True) + RARE * len(colours))
        return cls(changes.T.reshape(1, 3, GRID, GRID, GRID))

    def put_right(self, drawn: Tensor) -> Tensor:
        """A picture [3, h, w] in 0..1 in its right tones."""
        height, width = drawn.shape[-2:]
        share = min(1.0, SMOOTH / min(height, width))
        coarse = F.interpolate(drawn[None].float(), (round(height * share), round(width * share)), mode="area")
        places = (2 * coarse - 1).permute(0, 2, 3, 1)[:, None]
        change = F.grid_sample(self.table, places, mode="bilinear", align_corners=True)[:, :, 0]
        change = F.interpolate(change, (height, width), mode="bilinear", align_corners=False)[0]
        return (drawn + change.to(drawn)).clamp(0, 1)


def _around(picture: Tensor) -> Tensor:
    """The colours around each place of a picture [1, 3, h, w], its own among them, [h w, AROUND^2, 3]."""
    padded = F.pad(picture, (AROUND // 2,) * 4, mode="replicate")
    return F.unfold(padded, AROUND)[0].unflatten(0, (3, -1)).permute(2, 1, 0)
