"""Muon: momentum orthogonalised by Newton-Schulz steps (Jordan et al., 2024), for matrices and convolution kernels."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

import torch
from torch import Tensor, nn

STACK = 8
"""Matrices of equal shape that are orthogonalised as one batch."""


def orthogonalise(matrices: Tensor, steps: int = 5) -> Tensor:
    """Nearest semi-orthogonal matrices, approximately, by quintic Newton-Schulz steps. ``[..., rows, columns]``.

    X_k = Q_k X_0 with Q_k a polynomial of X_0 X_0^T, so the iteration runs on the small square side alone.
    """
    a, b, c = 3.4445, -4.7750, 2.0315
    tall = matrices.shape[-2] > matrices.shape[-1]
    x = matrices.mT if tall else matrices
    x = x / (torch.linalg.matrix_norm(x, keepdim=True) + 1e-7)
    gram = x @ x.mT
    eye = torch.eye(gram.shape[-1], dtype=gram.dtype, device=gram.device)
    q = eye
    for _ in range(steps):
        p = a * eye + b * gram + c * gram @ gram
        q, gram = p @ q, p @ gram @ p
    x = q @ x
    return x.mT if tall else x


class Muon(torch.optim.Optimizer):
    """Kernels are flattened to (out, in * k * k); the update is scaled by 0.2 sqrt(max(rows, columns)).

    Matrices of equal shape are orthogonalised in stacks, on ``workers`` threads of one core each (0: on the caller's).
    """

    def __init__(
        self,
        params: Iterable[nn.Parameter],
        lr: float = 1.5e-3,
        momentum: float = 0.95,
        weight_decay: float = 0.01,
        workers: int = 0,
    ) -> None:
        super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})
        # intra-op threads would wait for each other at every small product
        self.pool = ThreadPoolExecutor(workers, initializer=torch.set_num_threads, initargs=(1,)) if workers else None

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        for group in self.param_groups:
            params = [p for p in group["params"] if p.grad is not None]
            if not params:
                continue
            updates = [self._momentum(p, group["momentum"]).flatten(1) for p in params]
            stacks = _stacks(updates)
            todo = [torch.stack([updates[i] for i in rows]) for rows in stacks]
            done = self.pool.map(orthogonalise, todo) if self.pool else map(orthogonalise, todo)
            for rows, matrices in zip(stacks, done, strict=True):
                for i, matrix in zip(rows, matrices, strict=True):
                    params[i].mul_(1 - group["lr"] * group["weight_decay"])
                    scale = 0.2 * max(matrix.shape) ** 0.5
                    params[i].add_(matrix.view_as(params[i]), alpha=-group["lr"] * scale)

    def _momentum(self, p: nn.Parameter, momentum: float) -> Tensor:
        """Nesterov's: the gradient and its average, mixed."""
        assert p.grad is not None
        buffer: Tensor = self.state[p].setdefault("momentum", torch.zeros_like(p))
        buffer.lerp_(p.grad, 1 - momentum)
        return p.grad.lerp(buffer, momentum)


def _stacks(matrices: list[Tensor]) -> list[list[int]]:
    """Indices of matrices of equal shape, at most STACK together, the largest first."""
    alike: dict[torch.Size, list[int]] = defaultdict(list)
    for i, matrix in enumerate(matrices):
        alike[matrix.shape].append(i)
    stacks = [rows[i : i + STACK] for rows in alike.values() for i in range(0, len(rows), STACK)]
    return sorted(stacks, key=lambda rows: -len(rows) * matrices[rows[0]].numel() * min(matrices[rows[0]].shape))


def split(*models: nn.Module) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
    """Parameters for Muon (matrices inside the networks) and for AdamW (embeddings, norms, biases, outer layers)."""
    matrices: list[nn.Parameter] = []
    others: list[nn.Parameter] = []
    for model in models:
        for name, p in model.named_parameters():
            edge = any(k in name for k in ("embedding.weight", "embed_tokens", "conv_in", "conv_out"))
            (others if p.dim() < 2 or edge else matrices).append(p)
    return matrices, others


def optimizers(models: Iterable[nn.Module], muon: float, adam: float, workers: int = 0) -> list[torch.optim.Optimizer]:
    """Muon on the models' matrices and AdamW on the rest, at these peak learning rates."""
    matrices, others = split(*models)
    return [
        Muon(matrices, lr=muon, workers=workers),
        torch.optim.AdamW(others, lr=adam, betas=(0.9, 0.98), weight_decay=0.0),
    ]
