"""Trained weights as a few files of less than 16 MiB, in half precision: to carry them between machines and go on.

A pack holds no optimizer's state: a training that goes on from it starts its schedule with those weights.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

LARGEST = 15 * 2**20
"""Bytes of tensors in one file."""
MODELS = {
    "vae": "diffusion_pytorch_model.safetensors",
    "critic": "model.safetensors",
    "text_encoder": "model.safetensors",
    "pipeline/unet": "diffusion_pytorch_model.safetensors",
    "edges": "diffusion_pytorch_model.safetensors",
    "portraits": "model.safetensors",
}
"""Folders of a training and the file of weights in each."""
SMALL = ("tokenizer", "pipeline/scheduler", "pipeline")
"""Folders that are packed as they are."""


def pack(trained: Path, to: Path) -> list[str]:
    """Write the trained models of a folder as pieces into another; returns the models' names."""
    to.mkdir(parents=True, exist_ok=True)
    for old in to.glob("weights-*.safetensors"):
        old.unlink()
    there = {name: file for name, file in MODELS.items() if (trained / name / file).is_file()}
    tensors = {
        f"{name}:{key}": value.half() if value.is_floating_point() else value
        for name, file in there.items()
        for key, value in load_file(trained / name / file).items()
    }
    texts = {
        str(path.relative_to(trained)): path.read_text()
        for folder in (*there, *SMALL)
        for path in sorted((trained / folder).glob("*"))
        if path.suffix in (".json", ".txt")
    }
    for i, part in enumerate(_pieces(tensors)):
        save_file(part, to / f"weights-{i}.safetensors", {"texts": json.dumps(texts)} if i == 0 else None)
    return list(there)


def unpack(packed: Path, to: Path) -> list[str]:
    """Write the models of a pack as the training folder they came from; returns their names."""
    tensors: dict[str, dict[str, Tensor]] = {}
    for path in sorted(packed.glob("weights-*.safetensors")):
        with safe_open(path, "pt") as f:
            for name, text in json.loads((f.metadata() or {}).get("texts", "{}")).items():
                (to / name).parent.mkdir(parents=True, exist_ok=True)
                (to / name).write_text(text)
            for key in f.keys():  # noqa: SIM118
                model, name = key.split(":", 1)
                tensors.setdefault(model, {})[name] = f.get_tensor(key)
    for model, weights in tensors.items():
        kept = weights if model == "critic" else {k: v.float() for k, v in weights.items()}
        save_file(kept, to / model / MODELS[model], {"format": "pt"})
    if "pipeline/unet" in tensors:
        for part in ("vae", "text_encoder", "tokenizer"):
            shutil.copytree(to / part, to / "pipeline" / part, dirs_exist_ok=True)
    return list(tensors)


def _pieces(tensors: dict[str, Tensor]) -> list[dict[str, Tensor]]:
    """Tensors in order, in parts of at most LARGEST bytes; a larger tensor is a part of its own."""
    parts: list[dict[str, Tensor]] = [{}]
    room = LARGEST
    for name, tensor in tensors.items():
        size = tensor.numel() * tensor.element_size()
        if size > room and parts[-1]:
            parts.append({})
            room = LARGEST
        parts[-1][name] = tensor.contiguous()
        room -= size
    return parts
