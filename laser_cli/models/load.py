"""Loading and placing models: the embedded storybook, a folder, a single file or a hub id."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from laser_cli.engine.workers import Workers, available_cores, keep_freed_memory
from laser_cli.errors import UsageError
from laser_cli.models.brought import load_brought
from laser_cli.models.compiled import compile_blocks
from laser_cli.models.find import STORYBOOK, find_model
from laser_cli.models.identify import identify
from laser_cli.models.layout import WEIGHTED
from laser_cli.models.lora import add_loras
from laser_cli.models.model import Model, SecondEncoder
from laser_cli.models.numerics import decode_in
from laser_cli.models.options import ModelOptions
from laser_cli.models.parts import Parts, load_parts, non_finite
from laser_cli.models.textual_inversion import add_embeddings
from laser_cli.models.unet import UNetBackbone
from laser_cli.models.verify import require_whole

log = logging.getLogger(__name__)
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


def choose_device(name: str = "auto") -> torch.device:
    """auto: cuda, else mps, else cpu; asking for a device that is not there is an error."""
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        return torch.device(next(d for d, ok in there.items() if ok))
    kind = name.split(":")[0]
    if kind not in there:
        raise UsageError(f"unknown device {name!r}", hint="--device auto, cuda, mps or cpu")
    if not there[kind]:
        raise UsageError(
            f"the device {name!r} is not available",
            why=f"this torch ({torch.__version__}) finds none",
            hint="--device auto, or install a torch build for it",
        )
    return torch.device(name)


def choose_dtype(name: str, device: torch.device) -> torch.dtype:
    """auto: float16 on cuda and mps; on the CPU bfloat16 where it has matrix units for it, else float32."""
    if name in DTYPES:
        return DTYPES[name]
    if name != "auto":
        raise UsageError(f"unknown dtype {name!r}", hint="--dtype auto, float32, bfloat16 or float16")
    if device.type != "cpu":
        return torch.float16
    return torch.bfloat16 if fast_bfloat16() else torch.float32


def fast_bfloat16() -> bool:
    """Whether this CPU has units for bfloat16, which elsewhere is slower than float32."""
    probes = (getattr(torch.cpu, f"_is_{unit}_supported", None) for unit in ("avx512_bf16", "amx_tile"))
    return any(probe() for probe in probes if probe)


def load_model(
    name: str = STORYBOOK,
    device: str = "auto",
    dtype: str = "auto",
    offload: bool = False,
    threads: int | None = None,
    options: ModelOptions | None = None,
) -> Model:
    """A model by name; NotFoundError if it is not there or not whole, UsageError for a device that is not there.

    ``threads``: cores to draw on where the device is the CPU; all that this process may use if not given.
    """
    options = options or ModelOptions()
    place = choose_device(device)
    kind = choose_dtype(dtype, place)
    found = find_model(name, options.variant, options.revision)
    identity = identify(found.path)
    family = identity.require(name)
    if identity.plugin:
        brought = load_brought(identity.plugin, found.path, place, kind, options)
        return _on_cores(replace(brought, name=name, revision=options.key(found), offload=offload), threads)
    if name != STORYBOOK:  # the package's own weights came with it
        require_whole(found.path, name, options.variant, skip=("vae",) if options.vae else ())
    revision = options.key(found)

    def made(kind: torch.dtype, text_only: bool = False) -> Parts:
        return _parts(name, found.path, family, kind, place, offload, options, text_only)

    def text_encoders() -> tuple[Any, Any]:
        read = made(kind, text_only=True)
        return read.text_encoder, read.text_encoder_2

    parts = _in_range(name, kind, made)
    if options.compile:
        compile_blocks(parts.unet)
    parts.vae.enable_slicing()
    backbone = UNetBackbone(parts.unet, parts.schedule.prediction, 2 ** (len(parts.vae.config.block_out_channels) - 1))
    second = None
    if parts.text_encoder_2 is not None:
        width = int(parts.text_encoder_2.config.projection_dim)
        second = SecondEncoder(parts.text_encoder_2, parts.tokenizer_2, width, parts.zero_empty)
    model = Model(
        name,
        revision,
        backbone,
        parts.vae,
        parts.text_encoder,
        parts.tokenizer,
        parts.schedule,
        place,
        parts.unet.dtype,
        offload,
        second,
        prompts=options.prompts,
        read_text_encoders=text_encoders if options.free_text_encoders else None,
    )
    _on_cores(model, threads)
    if model.size > 512:
        parts.vae.enable_tiling()
    return model


def _on_cores(model: Model, threads: int | None) -> Model:
    """The model with workers that share the rows of a call, where it runs on the CPU."""
    if model.device.type == "cpu":
        keep_freed_memory()
        torch.set_num_threads(threads or min(available_cores(), torch.get_num_threads()))
        # where float16 overflows the U-Net is moved to another precision, which no other call may be in the middle of
        model.workers = Workers(1 if model.dtype == torch.float16 else torch.get_num_threads())
    return model


def _parts(
    name: str,
    path: Path,
    family: str,
    kind: torch.dtype,
    place: torch.device,
    offload: bool,
    options: ModelOptions,
    text_only: bool,
) -> Parts:
    """The parts in their places, with all that was asked for added. The VAE is small, and half precision shows in what
    it encodes: float32 unless the card holds it all. On CPUs it decodes in bfloat16, which is less than bytes show."""
    vae_dtype = None if place.type == "cuda" else torch.float32
    places = dict.fromkeys(("unet",) if offload else WEIGHTED, place) if place.type != "cpu" else {}
    parts = load_parts(path, name, family, kind, vae_dtype, options, places, text_only)
    for key, network in parts.networks.items():
        network.requires_grad_(False).eval().to("cpu" if offload and key != "unet" else place)
    if place.type == "cpu" and not text_only:
        parts.vae.to(memory_format=torch.channels_last)
        if kind == torch.bfloat16 and not parts.upcast:
            decode_in(parts.vae, kind)
    add_loras(parts, options.loras)
    words = add_embeddings(parts, options.embeddings)
    if words and not text_only:
        log.info("words from embeddings: %s", ", ".join(words))
    return parts


def _in_range(name: str, kind: torch.dtype, load: Callable[[torch.dtype], Parts]) -> Parts:
    """What ``load`` makes; weights beyond float16's range are loaded again in a wider precision, with a warning."""
    parts = load(kind)
    if kind == torch.float16:
        over = [key for key, network in parts.networks.items() if network.dtype == kind and non_finite(network)]
        if over:
            wider = torch.bfloat16 if torch.cuda.is_available() and torch.cuda.is_bf16_supported() else torch.float32
            told = str(wider).removeprefix("torch.")
            log.warning("weights of %s (%s) are beyond float16; going on in %s", name, ", ".join(over), told)
            parts = load(wider)
    return parts
