"""The noise schedule as pure maths: DDIM steps in both directions, epsilon and v-prediction."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

Prediction = Literal["epsilon", "v_prediction", "sample"]
NoisePredictor = Callable[[Tensor, "Level", Tensor], Tensor]
"""(latents [b, c, h, w], level, text states [b, l, d]) -> predicted noise, float32, of the latents' shape."""


@dataclass(frozen=True)
class Level:
    """One step of a trajectory: the U-Net sees ``timestep``; the step leads between the two alphas_cumprod."""

    timestep: int
    alpha: float
    alpha_prev: float


@dataclass(frozen=True)
class Schedule:
    """A model's own noise schedule; ``levels(n)`` lays n DDIM steps over it."""

    config: Mapping[str, Any]
    prediction: Prediction

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Schedule:
        """From a scheduler's configuration, of whatever class it was saved by."""
        return cls(dict(config), config.get("prediction_type", "epsilon"))

    def levels(self, steps: int) -> list[Level]:
        """From the noisiest step to the cleanest (spacing and offset as the configuration says)."""
        from diffusers import DDIMScheduler

        # Fields that other schedulers share under the same name but DDIM would act upon.
        config = {k: v for k, v in self.config.items() if k not in {"thresholding", "clip_sample"}}
        ddim = DDIMScheduler.from_config({**config, "clip_sample": False})
        ddim.set_timesteps(steps)
        alphas = ddim.alphas_cumprod.double()
        stride = ddim.config.num_train_timesteps // steps
        out = []
        for t in ddim.timesteps.tolist():
            before = alphas[t - stride] if t >= stride else ddim.final_alpha_cumprod.double()
            out.append(Level(int(t), float(alphas[t]), float(before)))
        return out


def every(levels: Sequence[Level], stride: int) -> list[Level]:
    """Every stride-th of the levels, from the noisiest on: the same way from the same noise, in longer steps."""
    kept = levels[::stride]
    ends = [*(level.alpha for level in kept[1:]), levels[-1].alpha_prev]
    return [Level(level.timestep, level.alpha, end) for level, end in zip(kept, ends, strict=True)]


def ddim_step(x: Tensor, eps: Tensor, alpha_from: float, alpha_to: float) -> Tensor:
    """Moves x along the noise eps between two levels, either way (DDIM, eq. 12 at eta = 0)."""
    x0 = (x - (1 - alpha_from) ** 0.5 * eps) / alpha_from**0.5
    return alpha_to**0.5 * x0 + (1 - alpha_to) ** 0.5 * eps


def to_eps(output: Tensor, x: Tensor, alpha: float, prediction: Prediction) -> Tensor:
    """The U-Net's output as noise: eps = sqrt(abar) v + sqrt(1 - abar) x for v-prediction."""
    if prediction == "epsilon":
        return output
    if prediction == "v_prediction":
        return alpha**0.5 * output + (1 - alpha) ** 0.5 * x
    return (x - alpha**0.5 * output) / (1 - alpha) ** 0.5


def to_x0(eps: Tensor, x: Tensor, alpha: float) -> Tensor:
    """The clean latents that the noise implies."""
    return (x - (1 - alpha) ** 0.5 * eps) / alpha**0.5


def guide(both: Tensor, scale: float) -> Tensor:
    """Classifier-free guidance of a batch [unprompted half | prompted half]: uncond + scale (cond - uncond)."""
    uncond, cond = both.chunk(2)
    return uncond + scale * (cond - uncond)


def noise_like(shape: tuple[int, ...], seed: int) -> Tensor:
    """Standard normal noise [c, h, w] from a CPU generator, so that no device and no batch size changes it."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))
