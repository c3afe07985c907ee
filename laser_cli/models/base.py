"""What the engine knows of a diffusion model: noise levels, and the protocol of a backbone."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, Protocol

import torch.nn.functional as F
from torch import Tensor

from laser_cli.models.conditioning import Conditioning

Prediction = Literal["epsilon", "v_prediction", "sample", "flow", "edm"]


@dataclass(frozen=True)
class NoiseLevel:
    """One step of a trajectory: here x = signal x0 + noise eps; the step leads to next_signal x0 + next_noise eps.

    ``timestep`` is what the backbone is told. A terminal level may have a signal of 0. ``begin`` and ``end``: where on
    the way from noise (0) to picture (1) the step lies, counted in steps.
    """

    timestep: float
    signal: float
    noise: float
    next_signal: float
    next_noise: float
    begin: float = 0.0
    end: float = 1.0

    def step(self, x0: Tensor, eps: Tensor) -> Tensor:
        """The latents at the next level (DDIM, eq. 12 at eta = 0; Euler for rectified flow)."""
        return self.next_signal * x0 + self.next_noise * eps

    def step_back(self, x: Tensor, eps: Tensor) -> Tensor:
        """Latents x of the next, cleaner level brought to this one along the noise eps (DDIM inversion)."""
        return self.signal * ((x - self.next_noise * eps) / self.next_signal) + self.noise * eps


def to_x0_eps(output: Tensor, x: Tensor, level: NoiseLevel, prediction: Prediction) -> tuple[Tensor, Tensor]:
    """The clean latents and the noise that a backbone's output stands for; only epsilon divides by the signal."""
    signal, noise = level.signal, level.noise
    if prediction == "epsilon":
        return (x - noise * output) / signal, output
    if prediction == "v_prediction":
        return signal * x - noise * output, noise * x + signal * output
    if prediction == "flow":  # v = eps - x0, with signal + noise = 1
        return x - noise * output, x + signal * output
    if prediction == "edm":  # v negated (EDM, eq. 7, for latents divided by sigma_data)
        return signal * x + noise * output, noise * x - signal * output
    return output, (x - signal * output) / noise


class AttentionCall(NamedTuple):
    """An attention about to be computed: queries [b, h, n, d], keys and values [b, h, m, d].

    ``kind``: self-attention, cross-attention to text, or to an image prompt. ``mask`` is what is added to the scores,
    broadcastable to [b, h, n, m].
    """

    layer: str
    kind: Literal["self", "cross", "image"]
    q: Tensor
    k: Tensor
    v: Tensor
    mask: Tensor | None = None

    def rows(self, rows: slice) -> AttentionCall:
        """The same attention for some of the rows."""
        mask = self.mask if self.mask is None or len(self.mask) == 1 else self.mask[rows]
        return self._replace(q=self.q[rows], k=self.k[rows], v=self.v[rows], mask=mask)


def plain_attention(call: AttentionCall) -> Tensor:
    """Scaled dot-product attention [b, h, n, d], unchanged."""
    return F.scaled_dot_product_attention(call.q, call.k, call.v, attn_mask=call.mask)


class Hooks(Protocol):
    """Answers the attentions of one call of a backbone, and may change its feature maps."""

    @property
    def features(self) -> Collection[str]:
        """Names of the feature maps that are to be changed or read."""

    def attend(self, call: AttentionCall) -> Tensor:
        """The output [b, h, n, d] of an attention, before its output projection."""

    def feature(self, name: str, x: Tensor) -> Tensor:
        """A feature map [b, c, h, w] to go on with."""


class Backbone(Protocol):
    """A denoising network: a U-Net or a transformer. Calls from several threads at once are independent."""

    @property
    def nfe(self) -> int:
        """Function evaluations so far, counted in rows."""

    @property
    def attentions(self) -> Sequence[str]:
        """Names of all attentions, e.g. ``up_blocks.1.attentions.0.transformer_blocks.0.attn1``."""

    @property
    def feature_maps(self) -> Sequence[str]:
        """Names of the feature maps that hooks can change, e.g. ``up_blocks.1.resnets.1.conv2``."""

    def predict(
        self, latents: Tensor, level: NoiseLevel, conditioning: Conditioning, hooks: Hooks | None = None
    ) -> tuple[Tensor, Tensor]:
        """The clean latents x0 and the noise eps, float32, each of the latents' shape [b, c, h, w]."""
