"""Regional compilation: the blocks that a U-Net repeats are compiled, not the network around them.

Attention is left out, since the hooks of a render answer it differently at every call.
"""

from __future__ import annotations

from typing import Any

from laser_cli.models.attention import Taps

BLOCKS = ("ResnetBlock2D", "FeedForward")
"""The library's classes that are compiled: convolutions with their norms, and what follows attention."""
VARIANTS = 64
"""Shapes that a class of blocks may be compiled for; beyond torch's own limit of 8 the rest would stay as it is."""


def compile_blocks(unet: Any, backend: str = "inductor") -> int:
    """Compiles the blocks of a U-Net at their first call, for every shape that comes; how many there are."""
    import torch._dynamo

    torch._dynamo.config.recompile_limit = max(torch._dynamo.config.recompile_limit, VARIANTS)
    taps = Taps.on(unet)
    vars(taps)["feature"] = torch.compiler.disable(taps.feature)
    blocks = _blocks(unet)
    for block in blocks:
        block.compile(backend=backend)
    return len(blocks)


def leave_compiled(unet: Any) -> None:
    """Undoes ``compile_blocks``."""
    vars(Taps.on(unet)).pop("feature", None)
    for block in _blocks(unet):
        block._compiled_call_impl = None


def _blocks(unet: Any) -> list[Any]:
    return [module for module in unet.modules() if type(module).__name__ in BLOCKS]
