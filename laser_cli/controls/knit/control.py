"""Control nets of v1 to v3: from a pose map and expression tokens to the maps that are added inside the U-Net."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from diffusers.models.embeddings import TimestepEmbedding
from torch import Tensor, nn

from laser_cli.controls.knit.cross import SKCross
from laser_cli.controls.knit.drive import PART_WIDTH, Drive
from laser_cli.controls.knit.embeddings import embed_numbers

ARKIT_SCALE, PDFGC_SCALE = 500.0, 20.0
"""What coefficients and PD-FGC vectors are multiplied by before their sinusoids."""


class ControlNet(nn.Module):
    """The common part: `conv_in`, knitting blocks, and the embedders of the routes that a version has.

    `channels` are `conv_in`'s and then each block's; `shrink` is the factor from pixels to `conv_in`.
    """

    def __init__(
        self, channels: Sequence[int], context: int, *, shrink: int, arkit: bool, pdfgc: bool, max_tokens: int = 1024
    ) -> None:
        super().__init__()
        self.shrink, self.context = shrink, context
        self.conv_in = nn.Conv2d(3, channels[0], 3, padding=1, bias=False)
        if arkit:
            self.exp_proj = TimestepEmbedding(context, context)
            self.face_proj = TimestepEmbedding(PART_WIDTH, context)
        if pdfgc:
            self.emo_proj = TimestepEmbedding(context, context)
        pairs = pairwise(channels)
        self.blocks_down = nn.ModuleList(SKCross(before, after, context, max_tokens) for before, after in pairs)

    def tokens(self, drive: Drive) -> Tensor:
        """The tokens of an expression: [n, 54, context] of coefficients and parts, [n, 548, context] of PD-FGC."""
        dtype = self.conv_in.weight.dtype
        if drive.pdfgc is not None:
            return self.emo_proj(embed_numbers(PDFGC_SCALE * drive.pdfgc.float(), self.context).to(dtype))
        assert drive.coefficients is not None and drive.parts is not None
        numbers = embed_numbers(ARKIT_SCALE * drive.coefficients.float(), self.context).to(dtype)
        return self.exp_proj(torch.cat([self.face_proj(drive.parts.to(dtype)), numbers], 1))

    def blocks(self, drive: Drive) -> list[Tensor]:
        """The output [n, c, h, w] of every block, the largest map first."""
        dtype, tokens, out = self.conv_in.weight.dtype, self.tokens(drive), []
        x = self.conv_in(F.interpolate(drive.condition.to(dtype), scale_factor=1 / self.shrink, mode="bilinear"))
        for block in self.blocks_down:
            x = block(x, tokens)
            out.append(x)
        return out


class ControlV1(ControlNet):
    """`HMControlNet` (coefficients) and `HMControlNet2` (PD-FGC) of v1: maps for the down blocks 0 to 2."""

    def __init__(self, *, pdfgc: bool, channels: Sequence[int] = (128, 320, 640, 1280), context: int = 320) -> None:
        super().__init__(channels, context, shrink=8, arkit=not pdfgc, pdfgc=pdfgc, max_tokens=1024 if pdfgc else 64)

    def forward(self, drive: Drive) -> dict[str, Tensor]:
        """Control maps [n, c, h, w] by insertion point."""
        return {f"down_{i}": x for i, x in enumerate(self.blocks(drive))}


class ControlV2(ControlNet):
    """`HMV2ControlNet` (coefficients) and `HMV2ControlNet2` (PD-FGC): maps for the inputs of the up blocks."""

    def __init__(
        self, *, pdfgc: bool, channels: Sequence[int] = (128, 640, 1280, 1280, 1280), context: int = 320
    ) -> None:
        super().__init__(channels, context, shrink=4, arkit=not pdfgc, pdfgc=pdfgc)

    def forward(self, drive: Drive) -> dict[str, Tensor]:
        """Control maps [n, c, h, w] by insertion point."""
        return {f"up_{3 - i}": x for i, x in enumerate(self.blocks(drive))}


class ControlV3(ControlNet):
    """`HMV3ControlNet`: both routes in one net, maps for all eight points."""

    def __init__(
        self,
        channels: Sequence[int] = (128, 640, 1280, 1280, 1280),
        context: int = 320,
        down: Sequence[int] = (320, 640),
    ) -> None:
        super().__init__(channels, context, shrink=4, arkit=True, pdfgc=True)
        self.conv_up2_down0 = nn.Conv2d(channels[2], down[0], 1, bias=False)
        self.conv_up1_down1 = nn.Conv2d(channels[3], down[1], 1, bias=False)

    def forward(self, drive: Drive) -> dict[str, Tensor]:
        """Control maps [n, c, h, w] by insertion point."""
        up3, up2, up1, up0 = self.blocks(drive)
        down = {"down_0": self.conv_up2_down0(up2), "down_1": self.conv_up1_down1(up1), "down_2": up0, "down_3": up0}
        return down | {"up_0": up0, "up_1": up1, "up_2": up2, "up_3": up3}
