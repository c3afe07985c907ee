"""The U-Net of SD 1.x, 2.x and SDXL as a backbone."""

from __future__ import annotations

import math
import threading
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor

from laser_cli.models.attention import IMAGE, Call, ImageProjection, Taps, feature_maps
from laser_cli.models.base import Hooks, NoiseLevel, Prediction, to_x0_eps
from laser_cli.models.conditioning import Conditioning
from laser_cli.models.control_net import ControlNet, residuals
from laser_cli.models.numerics import in_safe_precision

IMAGE_MASK = "image_mask"
"""In ``Conditioning.spatial``: where an image prompt counts, [n, 1, h, w] in 0..1."""
LCM_GUIDANCE = 8.5
"""The scale that the library tells latent consistency models where nothing else is asked for."""


class Count:
    """A number that threads add to."""

    def __init__(self) -> None:
        self.total, self._lock = 0, threading.Lock()

    def add(self, number: int) -> None:
        """Adds to it."""
        with self._lock:
            self.total += number


class UNetBackbone:
    """The library's U-Net; ``scale``: pixels a latent stands for, on a side.

    ``projections``: of a model that takes image prompts, those of each cross-attention by its name.
    """

    def __init__(
        self,
        unet: Any,
        prediction: Prediction,
        scale: int,
        projections: Mapping[str, ImageProjection] | None = None,
        count: Count | None = None,
    ) -> None:
        self.unet, self.prediction, self.scale = unet, prediction, scale
        self.control_nets: tuple[ControlNet, ...] = ()
        self.guidance = LCM_GUIDANCE
        """What a U-Net that embeds guidance is told."""
        self.projections = dict(projections or {})
        self._taps, self._count = Taps.on(unet), count or Count()
        self._attentions = [name.removesuffix(".processor") for name in unet.attn_processors]
        self._feature_maps = feature_maps(unet)

    def with_projections(self, projections: Mapping[str, ImageProjection]) -> UNetBackbone:
        """The same U-Net, reading image prompts by these; this one goes on without."""
        return self._copy(projections, self.control_nets)

    def with_control_nets(self, nets: Sequence[ControlNet]) -> UNetBackbone:
        """The same U-Net, led by these where a conditioning has their conditions; this one goes on without."""
        return self._copy(self.projections, nets)

    def _copy(self, projections: Mapping[str, ImageProjection], nets: Sequence[ControlNet]) -> UNetBackbone:
        made = UNetBackbone(self.unet, self.prediction, self.scale, projections, self._count)
        made.guidance, made.control_nets = self.guidance, tuple(nets)
        return made

    @property
    def dtype(self) -> torch.dtype:
        """The precision it computes in; it changes where half precision overflows."""
        return self.unet.dtype

    @property
    def nfe(self) -> int:
        """Function evaluations of the U-Net so far, counted in rows."""
        return self._count.total

    @property
    def attentions(self) -> Sequence[str]:
        """Names of all attentions; those to an image prompt end in ``.image``."""
        return [*self._attentions, *(name + IMAGE for name in self.projections)]

    @property
    def feature_maps(self) -> Sequence[str]:
        """Residual blocks' outputs before the residual is added."""
        return self._feature_maps

    def count(self, rows: int) -> None:
        """Counts so many function evaluations."""
        self._count.add(rows)

    def predict(
        self, latents: Tensor, level: NoiseLevel, conditioning: Conditioning, hooks: Hooks | None = None
    ) -> tuple[Tensor, Tensor]:
        """The clean latents x0 and the noise eps, float32, each [b, c, h, w]."""
        self.count(len(latents))

        def call(x: Tensor) -> Tensor:
            return self._call(x, level, conditioning, hooks)

        out = in_safe_precision("the U-Net", self.unet, call, latents)
        return to_x0_eps(out, latents, level, self.prediction)

    def _call(self, latents: Tensor, level: NoiseLevel, conditioning: Conditioning, hooks: Hooks | None) -> Tensor:
        """The U-Net's output, in its precision."""
        tokens = conditioning.image_embeds if self.projections else None
        mask = conditioning.spatial.get(IMAGE_MASK)
        mask = mask[:, 0] if mask is not None and tokens is not None else None
        second = conditioning.share is not None and bool(conditioning.share.any())
        other = conditioning.other.to(self.dtype) if second and conditioning.other is not None else None
        image = None if tokens is None else tokens.to(self.dtype)
        call = Call(hooks, image, self.projections, mask, other=other, share=conditioning.share)
        added = self._added(latents, conditioning)
        with self._taps.call(call) if hooks or tokens is not None or other is not None else nullcontext():
            out: Tensor = self.unet(
                latents.to(self.dtype),
                level.timestep,
                timestep_cond=self._told_guidance(latents),
                encoder_hidden_states=conditioning.prompt_embeds.to(self.dtype),
                encoder_attention_mask=conditioning.mask,
                **added,
                **self._residuals(latents, level, conditioning, added, hooks),
            ).sample
        return out

    @property
    def embeds_guidance(self) -> bool:
        """Whether the U-Net is told the guidance scale (latent consistency models), so that nothing else guides it."""
        return bool(self.unet.config.time_cond_proj_dim)

    def _told_guidance(self, latents: Tensor) -> Tensor | None:
        """The embedding of the guidance scale, w = scale - 1 (arXiv 2310.04378, section 4.3)."""
        width = self.unet.config.time_cond_proj_dim
        if not width:
            return None
        w = torch.full((len(latents),), 1000 * (self.guidance - 1.0), device=latents.device)
        rates = torch.exp(-math.log(10_000) * torch.arange(width // 2, device=latents.device) / (width // 2 - 1))
        angles = w[:, None] * rates
        embedding = torch.cat([angles.sin(), angles.cos()], dim=1)
        return torch.nn.functional.pad(embedding, (0, width % 2)).to(self.dtype)

    def _added(self, latents: Tensor, conditioning: Conditioning) -> dict[str, Any]:
        """SDXL: the pooled embedding, and the sizes of the picture (whole, uncropped)."""
        if conditioning.pooled is None:
            return {}
        height, width = (side * self.scale for side in latents.shape[-2:])
        sizes = torch.tensor([height, width, 0, 0, height, width], device=latents.device, dtype=self.dtype)
        pooled = conditioning.pooled.to(self.dtype)
        return {"added_cond_kwargs": {"text_embeds": pooled, "time_ids": sizes.expand(len(latents), -1)}}

    def _residuals(
        self,
        latents: Tensor,
        level: NoiseLevel,
        conditioning: Conditioning,
        added: dict[str, Any],
        hooks: Hooks | None,
    ) -> dict[str, Any]:
        """What control nets add: computed from their hints, or given as ``down.0``, ``down.1``, … and ``mid``."""
        made = residuals(self.control_nets, latents, level, conditioning, added, hooks)
        if made is not None:
            down, mid = [x.to(self.dtype) for x in made[0]], made[1].to(self.dtype)
            return {"down_block_additional_residuals": down, "mid_block_additional_residual": mid}
        given = {name: x.to(self.dtype) for name, x in conditioning.spatial.items() if name == "mid"}
        given |= {name: x.to(self.dtype) for name, x in conditioning.spatial.items() if name.startswith("down.")}
        if not given:
            return {}
        kept = tuple(given[f"down.{i}"] for i in range(len(given) - ("mid" in given)))
        return {"down_block_additional_residuals": kept, "mid_block_additional_residual": given.get("mid")}
