"""Writes trained models as the folder that ships: the standard layout, safetensors in half precision."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import torch
from diffusers import ControlNetModel, StableDiffusionPipeline

PARTS = ("unet", "vae", "text_encoder", "tokenizer", "scheduler")
FILES = {
    "attribute classifier": ("critic", ("config.json", "model.safetensors")),
    "planner": ("planner", ("planner.gguf",)),
    "portrait adapters": ("portraits", ("config.json", "model.safetensors")),
}
"""Folder and files of the models that ship beside the pipeline as they are."""
NET = "edges"
"""The folder of the ControlNet."""


def install(trained: Path, to: Path) -> list[str]:
    """Replaces in ``to`` the pipeline, ControlNet, classifier, planner and portrait adapters that ``trained`` has.

    Returns their names. What was not trained there stays as it is, the model card too.
    """
    done = []
    if (trained / "pipeline").is_dir():
        _pipeline(trained, to)
        # they fit the U-Net that was there
        shutil.rmtree(to / "portraits", ignore_errors=True)
        done.append("pipeline")
    if (trained / NET).is_dir():
        net = ControlNetModel.from_pretrained(trained / NET)
        shutil.rmtree(to / NET, ignore_errors=True)
        net.half().save_pretrained(to / NET)
        _forget(to / NET / "config.json")
        done.append("ControlNet")
    for name, (folder, files) in FILES.items():
        if (trained / folder).is_dir():
            (to / folder).mkdir(parents=True, exist_ok=True)
            for file in files:
                shutil.copyfile(trained / folder / file, to / folder / file)
            done.append(name)
    return done


def _pipeline(trained: Path, to: Path) -> None:
    folder = trained / "pipeline"
    pipe = StableDiffusionPipeline.from_pretrained(folder, safety_checker=None, requires_safety_checker=False)
    for part in PARTS:
        shutil.rmtree(to / part, ignore_errors=True)
    pipe.to(torch.float16).save_pretrained(to)
    for config in (to / "model_index.json", *(to / part / "config.json" for part in ("unet", "vae", "text_encoder"))):
        # Half precision is how the weights are stored; who loads them without a word gets all parts in float32.
        _forget(config, **({"dtype": "float32"} if config.parent.name == "text_encoder" else {}))
    for name in ("vocab.json", "merges.txt"):  # CLIP's own two files, for readers that know no other
        shutil.copy(trained / "tokenizer" / name, to / "tokenizer" / name)


def _forget(config: Path, **more: str) -> None:
    """Takes out of a configuration where the model was trained, and sets more."""
    settings = json.loads(config.read_text())
    settings.pop("_name_or_path", None)
    config.write_text(json.dumps(settings | more, indent=2) + "\n")
