"""Loading and placing models in the standard diffusers layout: the embedded storybook, a folder or a hub id."""

from __future__ import annotations

import json
from pathlib import Path

import torch

from laser_cli.engine.find import NEEDED, SECOND, STORYBOOK, find_model
from laser_cli.engine.schedule import Schedule
from laser_cli.engine.workers import Workers, available_cores, keep_freed_memory
from laser_cli.errors import NotFoundError, UsageError
from laser_cli.models.model import Model, SecondEncoder
from laser_cli.models.unet import UNetBackbone

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
) -> Model:
    """A model by name; NotFoundError if it is not there or lacks a part, UsageError for a device that is not there.

    ``threads``: cores to draw on where the device is the CPU; all that this process may use if not given.
    """
    from diffusers import AutoencoderKL, UNet2DConditionModel
    from transformers import CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()
    place = choose_device(device)
    kind = choose_dtype(dtype, place)
    folder, revision = find_model(name)
    double = (folder / SECOND[0]).is_dir()
    missing = [part for part in (*NEEDED, *(SECOND if double else ())) if not (folder / part).is_dir()]
    if missing:
        raise NotFoundError(
            f"{name} is not a complete model",
            why=f"{folder.name} has no {', '.join(missing)}",
            hint="a folder or hub id in the standard diffusers layout (SD 1.x, 2.x, SDXL)",
        )
    try:
        parts = {
            "unet": UNet2DConditionModel.from_pretrained(folder / "unet", torch_dtype=kind, local_files_only=True),
            # The VAE is small, and half precision shows in its pictures: float32 unless the card holds it all. SDXL's
            # overflows in float16.
            "vae": AutoencoderKL.from_pretrained(
                folder / "vae",
                torch_dtype=kind if place.type == "cuda" and not double else torch.float32,
                local_files_only=True,
            ),
            "text_encoder": CLIPTextModel.from_pretrained(
                folder / "text_encoder", dtype=torch.float32, local_files_only=True
            ),
        }
        tokenizer = CLIPTokenizer.from_pretrained(folder / "tokenizer", local_files_only=True)
        second = None
        if double:
            parts[SECOND[0]] = CLIPTextModelWithProjection.from_pretrained(
                folder / SECOND[0], dtype=torch.float32, local_files_only=True
            )
            other = CLIPTokenizer.from_pretrained(folder / SECOND[1], local_files_only=True)
            second = SecondEncoder(parts[SECOND[0]], other, _blank(folder))
        schedule = Schedule.from_config(json.loads((folder / "scheduler" / "scheduler_config.json").read_text()))
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        if "out of memory" in str(error):
            raise
        raise NotFoundError(
            f"cannot load the model {name}",
            why=str(error).splitlines()[0],
            hint="a folder or hub id in the standard diffusers layout (SD 1.x, 2.x, SDXL), complete and undamaged",
        ) from error
    for key, part in parts.items():
        part.requires_grad_(False).eval().to("cpu" if offload and key != "unet" else place)
    vae = parts["vae"]
    vae.enable_slicing()
    backbone = UNetBackbone(parts["unet"], schedule.prediction, kind, 2 ** (len(vae.config.block_out_channels) - 1))
    model = Model(
        name, revision, backbone, vae, parts["text_encoder"], tokenizer, schedule, place, kind, offload, second
    )
    if place.type == "cpu":
        keep_freed_memory()
        torch.set_num_threads(threads or min(available_cores(), torch.get_num_threads()))
        model.workers = Workers(torch.get_num_threads())
    if model.size > 512:
        vae.enable_tiling()
    return model


def _blank(folder: Path) -> bool:
    """Whether an empty prompt is all zeros to an SDXL model: its index says so, as its pipeline's default does."""
    index = folder / "model_index.json"
    return not index.is_file() or bool(json.loads(index.read_text("utf-8")).get("force_zeros_for_empty_prompt", True))
