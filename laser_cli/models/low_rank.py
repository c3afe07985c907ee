"""What the tensors of a LoRA's layer stand for: a change of a weight, or a weight of new columns (DoRA).

LoRA and LoCon (arXiv 2106.09685), LoHa and LoKr (LyCORIS, arXiv 2309.14859), DoRA (arXiv 2402.09353).
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

PRODUCTS = (
    {"down", "up"},
    {"down", "up", "mid"},
    {"w1_a", "w1_b", "w2_a", "w2_b"},
    {"w1_a", "w1_b", "w2_a", "w2_b", "t1", "t2"},
    {"kron_1", "kron_2"},
    {"kron_1", "kron_2_a", "kron_2_b"},
    {"kron_1", "kron_2_a", "kron_2_b", "kron_t2"},
    {"kron_1_a", "kron_1_b", "kron_2"},
    {"kron_1_a", "kron_1_b", "kron_2_a", "kron_2_b"},
    {"kron_1_a", "kron_1_b", "kron_2_a", "kron_2_b", "kron_t2"},
)
"""The sets of tensors that a layer can have, beside alpha and DoRA's magnitude."""
MAGNITUDE = "magnitude"


def change_of(tensors: Mapping[str, Tensor], alpha: float | None) -> Tensor:
    """What is added to a weight at strength 1, float32: alpha / rank times the product of its factors."""
    told = {role: tensor.float() for role, tensor in tensors.items() if role != MAGNITUDE}
    rank: int | None
    if "w1_a" in told:  # LoHa: two products, multiplied number by number
        rank = told["w1_b"].shape[0]
        change = _pair(told, "w1_a", "w1_b", "t1") * _pair(told, "w2_a", "w2_b", "t2")
    elif "kron_1" in told or "kron_1_a" in told:  # LoKr: a Kronecker product
        factors = [told[name] for name in ("kron_1_b", "kron_2_b") if name in told]
        rank = factors[-1].shape[0] if factors else None
        first = told["kron_1"] if "kron_1" in told else told["kron_1_a"] @ told["kron_1_b"]
        second = told["kron_2"] if "kron_2" in told else _pair(told, "kron_2_a", "kron_2_b", "kron_t2")
        change = torch.kron(first.view(*first.shape, *[1] * (second.dim() - 2)), second)
    else:
        up, down = told["up"].flatten(1), told["down"]
        rank = down.shape[0]
        if "mid" in told:  # convolutions in Tucker form
            change = torch.einsum("or,rskl,si->oikl", up, told["mid"], down.flatten(1))
        else:
            change = torch.einsum("or,r...->o...", up, down)
    # of a Kronecker product without thin factors there is no rank, and no alpha is heeded
    return change if rank is None or alpha is None else change * (alpha / rank)


def with_change(weight: Tensor, change: Tensor, strength: float, magnitude: Tensor | None = None) -> Tensor:
    """A weight [o, ...] with a change of its shape, float32: W + s dW; of DoRA (1 - s) W + s m (W + dW) / |W + dW|.

    The ``magnitude`` m is of the outputs ([o], [o, 1, ...]) or of the inputs ([1, i, ...]), as is the norm.
    """
    if magnitude is None:
        return weight + strength * change
    new = weight + change
    kept = 1 if magnitude.dim() > 1 and magnitude.shape[0] == 1 != new.shape[0] else 0
    others = [axis for axis in range(new.dim()) if axis != kept]
    norm = torch.linalg.vector_norm(new, dim=others, keepdim=True)
    return torch.lerp(weight, magnitude.float().reshape(norm.shape).to(norm.device) / norm * new, strength)


def _pair(told: Mapping[str, Tensor], a: str, b: str, core: str) -> Tensor:
    """a b, or with a core the Tucker product of a convolution."""
    if core not in told:
        return told[a] @ told[b]
    return torch.einsum("ijkl,ip,jr->prkl", told[core], told[a], told[b])
