"""Numbers that go wrong: overflow in half precision is computed again in a safer one, NaN is an error."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor

from laser_cli.errors import LaserError
from laser_cli.models.parts import non_finite

log = logging.getLogger(__name__)


class NumericError(LaserError):
    """NaN or infinity where numbers should be; no picture comes of it."""


def check_finite(what: str, x: Tensor, network: Any) -> None:
    """NumericError that names the tensor, and the weight it came from where that can be told, if x is not finite."""
    if torch.isfinite(x).all():
        return
    kind = "NaN" if torch.isnan(x).any() else "infinity"
    name = type(network).__name__
    if bad := non_finite(network):
        more = f" and {len(bad) - 1} more" if len(bad) > 1 else ""
        raise NumericError(
            f"{what} hold {kind}",
            why=f"the weight {bad[0]}{more} of the model's {name} is not finite",
            hint="laser models verify MODEL names the file; copy or download it again",
        )
    raise NumericError(
        f"{what} hold {kind}",
        why=f"the model's {name} overflowed in {_name(narrowest(network).dtype)}",
        hint="--dtype float32, or a lower --guidance",
    )


def in_safe_precision(what: str, network: Any, call: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """``call(x)`` in float32; where it overflows in half precision, again with the network in a safer one.

    The network stays in that precision, and a warning says so. NumericError if its weights are not finite, or if it
    overflows in float32 as well.
    """
    out = call(x).float()
    while not torch.isfinite(out).all() and (safer := safer_dtype(network)) is not None and not non_finite(network):
        log.warning("%s overflows in %s; going on in %s", what, _name(narrowest(network).dtype), _name(safer))
        network.to(safer)
        out = call(x).float()
    check_finite(f"the results of {what}", out, network)
    return out


def safer_dtype(network: Any) -> torch.dtype | None:
    """The next wider range after a network's precision: bfloat16 on GPUs, else float32; None after float32."""
    weight = narrowest(network)
    if weight.dtype == torch.float16 and weight.device.type == "cuda" and torch.cuda.is_bf16_supported():
        return torch.bfloat16
    return torch.float32 if weight.dtype in (torch.float16, torch.bfloat16) else None


def narrowest(network: Any) -> Tensor:
    """The first of a network's weights of least precision."""
    weights: Iterable[Tensor] = network.parameters()
    return min(weights, key=lambda weight: weight.element_size())


def decode_in(vae: Any, dtype: torch.dtype) -> None:
    """Put what decodes of a VAE in a precision; what encodes stays as it is."""
    for part in (vae.post_quant_conv, vae.decoder):
        if part is not None:
            part.to(dtype)


def decoding_dtype(vae: Any) -> torch.dtype:
    """The precision of what decodes of a VAE."""
    decoder = getattr(vae, "decoder", vae)
    return next(iter(decoder.parameters())).dtype


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
