"""Control of v4 and v5: a base net that knows no U-Net, and a projector from its features to SD 1.5's points."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from diffusers.models.embeddings import TimestepEmbedding
from torch import Tensor, nn

from laser_cli.controls.knit.control import ARKIT_SCALE, PDFGC_SCALE
from laser_cli.controls.knit.cross import DownBlock, STKCross
from laser_cli.controls.knit.drive import COEFFICIENTS, PART_WIDTH, PARTS, PDFGC_WIDTH, Drive
from laser_cli.controls.knit.embeddings import embed_numbers
from laser_cli.controls.knit.reference import STKAttention

TOKENS = 16
"""Tokens that every expression is compressed to."""


class SmallUnet(nn.Module):
    """The base net's U-Net: features of a pose map [n, 3, h, w], at 1/8, 1/4 and 1/2 of its size and at its size."""

    def __init__(self, mid: Sequence[int], out: int, context: int, *, stored_positions: bool) -> None:
        super().__init__()
        ups = [*reversed(mid[:-1]), out]
        self.down_blocks = nn.ModuleList(DownBlock(a, b) for a, b in zip((3, *mid), mid, strict=False))
        self.attn_blocks = nn.ModuleList(STKCross(c, context, stored_positions=stored_positions) for c in mid)
        self.up_blocks = nn.ModuleList(
            nn.Sequential(nn.Conv2d(a, b, 3, padding=1), nn.InstanceNorm2d(b), nn.SiLU())
            for a, b in zip(reversed(mid), ups, strict=True)
        )

    def forward(self, x: Tensor, tokens: Tensor) -> list[Tensor]:
        """Features `feat_0` (the smallest map) to `feat_3`."""
        skips, whole = [], x.shape[2:]
        for down, attend in zip(self.down_blocks, self.attn_blocks, strict=True):
            x = attend(down(x), tokens)
            skips.append(x)
        features = [skips.pop()]
        for up in self.up_blocks:
            # to the size of what follows, as the U-Net does: twice, but for odd sizes
            size = skips[-1].shape[2:] if skips else whole
            x = F.interpolate(up(features[-1]), size, mode="bilinear")
            features.append(x + skips.pop() if skips else x)
        return features


class ControlBase(nn.Module):
    """`HMControlNetBase` (v4, `stored_positions`) and `HM5ControlNetBase`: both routes, 16 tokens each."""

    def __init__(
        self,
        *,
        stored_positions: bool,
        mid: Sequence[int] = (320, 640, 1280),
        out: int = 320,
        context: int = 2048,
        width: int = 1024,
    ) -> None:
        super().__init__()
        self.width = width
        for name, count in (("emo", PDFGC_WIDTH), ("exp", len(COEFFICIENTS)), ("face", PARTS)):
            self.add_module(f"{name}_pre_proj", TimestepEmbedding(count, TOKENS))
            self.add_module(f"{name}_proj", TimestepEmbedding(PART_WIDTH if name == "face" else width, context))
        self.ctrl_attn = SmallUnet(mid, out, context, stored_positions=stored_positions)

    @property
    def dtype(self) -> torch.dtype:
        """That of the weights."""
        return next(self.parameters()).dtype

    def tokens(self, drive: Drive) -> Tensor:
        """The 16 tokens [n, 16, context] of an expression."""
        if drive.pdfgc is not None:
            return self._compress("emo", embed_numbers(PDFGC_SCALE * drive.pdfgc.float(), self.width))
        assert drive.coefficients is not None and drive.parts is not None
        numbers = embed_numbers(ARKIT_SCALE * drive.coefficients.float(), self.width)
        return self._compress("exp", numbers) + self._compress("face", drive.parts)

    def _compress(self, name: str, embeddings: Tensor) -> Tensor:
        before, after = getattr(self, f"{name}_pre_proj"), getattr(self, f"{name}_proj")
        return after(before(embeddings.to(self.dtype).transpose(1, 2)).transpose(1, 2))

    def forward(self, drive: Drive) -> list[Tensor]:
        """Features `feat_0` to `feat_3` of n frames: 1/64, 1/32, 1/16 and 1/8 of the pixels a side."""
        small = F.interpolate(drive.condition.to(self.dtype), scale_factor=1 / 8, mode="bilinear")
        return self.ctrl_attn(small, self.tokens(drive))


MAPS = {
    "up_0": ("map1280_to_1280", 0),
    "up_1": ("map640_to_1280", 1),
    "up_2": ("map320_to_1280", 2),
    "up_3": ("map320_to_640", 3),
    "down_0": ("map320_to_320", 2),
    "down_1": ("map640_to_640", 1),
    "down_2": ("map1280_to_1280_2", 0),
    "down_3": ("map1280_to_1280_3", 0),
}
"""For each insertion point of SD 1.5, the projector's layer and the feature that it maps."""


class MapV5(nn.Module):
    """v5's layer from one feature to one point: a convolution, then self-attention by rows and columns."""

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(channels_in, channels_out, 3, padding=1, bias=False)
        self.attn = STKAttention(channels_out, mid=channels_out // 4)

    def forward(self, x: Tensor) -> Tensor:
        """A feature [n, a, h, w] as the control map [n, b, h, w]."""
        return self.attn(self.proj(x))


class Projector(nn.Module):
    """`HM4SD15ControlProj` (plain convolutions) and `HM5SD15ControlProj` (`attend`)."""

    def __init__(self, *, attend: bool) -> None:
        super().__init__()
        for name, _ in MAPS.values():
            a, b = (int(part) for part in name.removeprefix("map").split("_")[:3:2])
            self.add_module(name, MapV5(a, b) if attend else nn.Conv2d(a, b, 3, padding=1, bias=False))

    def forward(self, features: Sequence[Tensor]) -> dict[str, Tensor]:
        """Control maps [n, c, h, w] by insertion point."""
        return {point: self.get_submodule(name)(features[i]) for point, (name, i) in MAPS.items()}


class ProjectedControl(nn.Module):
    """A base net and its projector: what v4 and later have in place of one control net."""

    def __init__(self, base: ControlBase, projector: Projector) -> None:
        super().__init__()
        self.base, self.projector = base, projector

    def forward(self, drive: Drive) -> Mapping[str, Tensor]:
        """Control maps [n, c, h, w] by insertion point."""
        return self.projector(self.base(drive))
