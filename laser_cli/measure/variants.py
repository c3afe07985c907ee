"""The bare U-Net as it is, in other precisions, with channels last and compiled: what pays on this machine."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch

from laser_cli.engine.schedule import noise_like
from laser_cli.measure.figures import Figure
from laser_cli.measure.library import SOURCE, settle
from laser_cli.models.compiled import compile_blocks, leave_compiled
from laser_cli.models.model import Model

ROUNDS = 3
Say = Callable[[str], object]


@torch.inference_mode()
def variants(model: Model, rows: int = 2, say: Say = lambda text: None) -> list[Figure]:
    """Seconds of a call of so many rows in each way / as the model is; first calls, which prepare, do not count."""
    side = model.size // model.scale
    x = torch.stack([noise_like((model.unet.config.in_channels, side, side), i) for i in range(rows)]).to(model.device)
    told, level = model.encode_prompts([SOURCE]).expand(rows), model.schedule.levels(25)[0]

    def seconds() -> tuple[float, float]:
        taken = []
        for _ in range(1 + ROUNDS):
            start = time.perf_counter()
            model.backbone.predict(x, level, told)
            settle(model)
            taken.append(time.perf_counter() - start)
        return taken[0], min(taken[1:])

    say("the U-Net as it is")
    _, plain = seconds()
    name = str(model.dtype).removeprefix("torch.")
    figures = [Figure(f"U-Net, {rows} rows at {model.size} px, {name}", plain, "s")]
    for what, way in {
        **{
            str(d).removeprefix("torch."): _in_dtype(model, d)
            for d in (torch.bfloat16, torch.float16)
            if d != model.dtype
        },
        "channels last": _channels_last(model),
        "--compile": _compiled(model),
    }.items():
        say(f"the U-Net, {what}")
        with way:
            first, then = seconds()
        figures.append(Figure(f"U-Net, {what} / as it is", then / plain, "x"))
        if what == "--compile":
            figures.append(Figure("U-Net, first call with --compile", first, "s"))
    return figures


@contextmanager
def _in_dtype(model: Model, dtype: torch.dtype) -> Iterator[None]:
    """The weights in another precision, and back; what was lost of them changes no time."""
    before = model.unet.dtype
    model.unet.to(dtype)
    try:
        yield
    finally:
        model.unet.to(before)


@contextmanager
def _channels_last(model: Model) -> Iterator[None]:
    model.unet.to(memory_format=torch.channels_last)
    try:
        yield
    finally:
        model.unet.to(memory_format=torch.contiguous_format)


@contextmanager
def _compiled(model: Model) -> Iterator[None]:
    compile_blocks(model.unet)
    try:
        yield
    finally:
        leave_compiled(model.unet)
