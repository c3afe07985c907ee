"""Models of random weights in the layouts of published checkpoints, to measure speed and memory with."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from laser_cli.models.layout import FOLDERS, config_folder, read_json
from laser_cli.models.parts import quiet
from laser_cli.models.single_file import tokenizers

FAMILIES = {folder: family for family, folder in FOLDERS.items()}
"""Families by the names that commands take: sd1, sd2, sdxl."""
SMALLER = 10
"""By how much a small model is narrower than a published one."""
NOISE = 999_983
"""Random numbers that all weights are made of; a prime, so that rows do not repeat."""


def write_layout(
    folder: Path, family: str, dtype: torch.dtype = torch.float16, small: bool = False, seed: int = 0
) -> Path:
    """Writes a model of random weights of a family ("SD 1.x", "SD 2.x", "SDXL") in the standard layout; its folder.

    All layers are as published; ``small`` makes them a tenth as wide. Weights are scaled so that activations keep their
    size, in half precision too.
    """
    from diffusers import AutoencoderKL, UNet2DConditionModel
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

    kinds: dict[str, Callable[[dict[str, Any]], Any]] = {
        "unet": UNet2DConditionModel.from_config,
        "vae": AutoencoderKL.from_config,
        "text_encoder": lambda config: CLIPTextModel(CLIPTextConfig(**config)),
        "text_encoder_2": lambda config: CLIPTextModelWithProjection(CLIPTextConfig(**config)),
    }
    source = config_folder(family)
    configs = {part: read_json(source / part / "config.json") for part in kinds if (source / part).is_dir()}
    if small:
        _narrow(configs)
    noise = torch.randn(NOISE, generator=torch.Generator().manual_seed(seed))
    with quiet(), torch.no_grad():
        for part, config in configs.items():
            with torch.device("meta"):
                network = kinds[part](config)
            network = network.to(dtype).to_empty(device="cpu")
            for name, weight in network.state_dict().items():
                _fill(name, weight, noise)
            network.save_pretrained(folder / part)
    for file in ("model_index.json", "scheduler/scheduler_config.json"):
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).write_text(json.dumps(read_json(source / file), indent=1))
    for part, tokenizer in tokenizers(family).items():
        tokenizer.save_pretrained(folder / part)
    return folder


def _fill(name: str, weight: Tensor, noise: Tensor) -> None:
    """Norms are ones and biases zeros, all else is noise by its number of inputs; indices count."""
    if not weight.is_floating_point():
        weight.copy_(torch.arange(weight.numel()).view_as(weight))
    elif weight.dim() < 2:
        weight.fill_(float("norm" in name and name.endswith("weight")))
    else:
        scaled = noise * (0.02 if "embedding" in name else weight[0].numel() ** -0.5)
        for part in weight.view(-1).split(NOISE):
            part.copy_(scaled[: len(part)])


def _narrow(configs: dict[str, dict[str, Any]]) -> None:
    """The same layers a tenth as wide, with widths that still fit each other."""
    unet, vae = configs["unet"], configs["vae"]
    texts = [config for part, config in configs.items() if part.startswith("text")]
    for text in texts:
        text |= {"hidden_size": 32, "intermediate_size": 64, "num_attention_heads": 2}
    if "text_encoder_2" in configs:
        configs["text_encoder_2"]["projection_dim"] = 32
        unet |= {"addition_time_embed_dim": 16, "projection_class_embeddings_input_dim": 6 * 16 + 32}
    unet["block_out_channels"] = [channels // SMALLER for channels in unet["block_out_channels"]]
    unet["attention_head_dim"] = 2
    unet["cross_attention_dim"] = 32 * len(texts)
    vae["block_out_channels"] = [32 for _ in vae["block_out_channels"]]
