"""Muon: momentum orthogonalised by Newton-Schulz steps (Jordan et al., 2024), for matrices and convolution kernels."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn


def orthogonalise(matrix: Tensor, steps: int = 5) -> Tensor:
    """Nearest semi-orthogonal matrix, approximately, by the quintic Newton-Schulz iteration. ``[rows, columns]``.

    X_k = Q_k X_0 with Q_k a polynomial of X_0 X_0^T, so the iteration runs on the small square side alone.
    """
    a, b, c = 3.4445, -4.7750, 2.0315
    tall = matrix.shape[0] > matrix.shape[1]
    x = matrix.mT if tall else matrix
    x = x / (x.norm() + 1e-7)
    gram = x @ x.mT
    eye = torch.eye(len(gram), dtype=gram.dtype, device=gram.device)
    q = eye
    for _ in range(steps):
        p = a * eye + b * gram + c * gram @ gram
        q, gram = p @ q, p @ gram @ p
    x = q @ x
    return x.mT if tall else x


class Muon(torch.optim.Optimizer):
    """Kernels are flattened to (out, in * k * k); the update is scaled by 0.2 sqrt(max(rows, columns))."""

    def __init__(
        self, params: Iterable[nn.Parameter], lr: float = 1.5e-3, momentum: float = 0.95, weight_decay: float = 0.01
    ) -> None:
        super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is None:
                    continue
                buffer = self.state[p].setdefault("momentum", torch.zeros_like(p.grad))
                buffer.lerp_(p.grad, 1 - group["momentum"])
                update = orthogonalise(p.grad.lerp(buffer, group["momentum"]).flatten(1))
                p.mul_(1 - group["lr"] * group["weight_decay"])
                p.add_(update.view_as(p), alpha=-group["lr"] * 0.2 * max(update.shape) ** 0.5)


def split(*models: nn.Module) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
    """Parameters for Muon (matrices inside the networks) and for AdamW (embeddings, norms, biases, outer layers)."""
    matrices: list[nn.Parameter] = []
    others: list[nn.Parameter] = []
    for model in models:
        for name, p in model.named_parameters():
            edge = any(k in name for k in ("embedding.weight", "embed_tokens", "conv_in", "conv_out"))
            (others if p.dim() < 2 or edge else matrices).append(p)
    return matrices, others
