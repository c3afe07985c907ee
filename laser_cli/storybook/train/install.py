"""Writes trained models as the folder that ships: the standard layout, safetensors in half precision."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import torch
from diffusers import StableDiffusionPipeline

PLANNER = "planner.gguf"


def install_planner(folder: Path, to: Path) -> Path:
    """Puts the planner that was trained in ``folder`` to the models in ``to``; returns its file there."""
    place = to / "planner" / PLANNER
    place.parent.mkdir(parents=True, exist_ok=True)
    part = place.with_suffix(".part")
    shutil.copy(folder / "planner" / PLANNER, part)
    return part.replace(place)


def install(pipeline: Path, to: Path) -> None:
    """Replaces the models in ``to``, critic and planner too if they are there; the model card stays."""
    pipe = StableDiffusionPipeline.from_pretrained(pipeline, safety_checker=None, requires_safety_checker=False)
    for part in ("unet", "vae", "text_encoder", "tokenizer", "scheduler"):
        shutil.rmtree(to / part, ignore_errors=True)
    pipe.to(torch.float16).save_pretrained(to)
    # Half precision is how the weights are stored; who loads them without a word gets all parts in float32.
    config = to / "text_encoder" / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"dtype": "float32"}, indent=2) + "\n")
    for name in ("vocab.json", "merges.txt"):  # CLIP's own two files, for readers that know no other
        shutil.copy(pipeline.parent / "tokenizer" / name, to / "tokenizer" / name)
    if (pipeline.parent / "planner" / PLANNER).is_file():
        install_planner(pipeline.parent, to)
    if (critic := pipeline.parent / "critic").is_dir():
        shutil.copytree(critic, to / "critic", dirs_exist_ok=True)
