"""LoRAs (arXiv 2106.09685): low-rank changes of a model's weights, added to them when the model is loaded.

They are added once, so a model with a LoRA costs at each step what it costs without. The library's loader wants peft
and refuses files that leave out some layers of a text encoder, and LyCORIS' kinds; adding products needs neither.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from laser_cli.errors import NotFoundError
from laser_cli.models.low_rank import MAGNITUDE, PRODUCTS, change_of, with_change
from laser_cli.models.options import Lora
from laser_cli.models.parts import Parts

HINT = "--lora FILE[:WEIGHT] with a .safetensors that was trained for this kind of model"
ROLES = {
    "lora_down.weight": "down",
    "lora_up.weight": "up",
    "lora_mid.weight": "mid",
    "lora_A.weight": "down",
    "lora_B.weight": "up",
    "lora.down.weight": "down",
    "lora.up.weight": "up",
    "lora_linear_layer.down.weight": "down",
    "lora_linear_layer.up.weight": "up",
    "alpha": "alpha",
    "hada_w1_a": "w1_a",
    "hada_w1_b": "w1_b",
    "hada_w2_a": "w2_a",
    "hada_w2_b": "w2_b",
    "hada_t1": "t1",
    "hada_t2": "t2",
    "lokr_w1": "kron_1",
    "lokr_w1_a": "kron_1_a",
    "lokr_w1_b": "kron_1_b",
    "lokr_w2": "kron_2",
    "lokr_w2_a": "kron_2_a",
    "lokr_w2_b": "kron_2_b",
    "lokr_t2": "kron_t2",
    "dora_scale": MAGNITUDE,
    "lora_magnitude_vector": MAGNITUDE,
    "lora_magnitude_vector.weight": MAGNITUDE,
}
"""What a tensor is to its layer, by how its name ends: kohya's, peft's, the library's, LyCORIS'."""
OTHERS = {
    "oft_": "OFT",
    "boft_": "BOFT",
    "vera_": "VeRA",
    "on_input": "(IA)^3",
    "ia3_": "(IA)^3",
    "w_norm": "LyCORIS' norms",
    "diff": "whole differences of weights",
    "a1.weight": "GLoRA",
}
"""Kinds that laser does not load, by how the last part of a tensor's name begins, or how it ends."""
OLD = re.compile(r"(?:\.processor)?\.to_(q|k|v|out)_lora\.(down|up)\.weight$")
"""The library's first format, which named the attention's processor and not the layer."""
KOHYA = {"unet": "lora_unet_", "text_encoder": "lora_te_", "text_encoder_2": "lora_te2_"}


def add_loras(parts: Parts, loras: Sequence[Lora]) -> None:
    """Adds LoRAs, LoCons, LoHas, LoKrs and DoRAs to the weights of U-Net and text encoders.

    NotFoundError if a file is not there, damaged, of another kind, or has layers that the model has not.
    """
    if not loras:
        return
    layers = _layers(parts)
    for lora in loras:
        changes, alphas = _read(lora.file)
        absent = [base for base in changes if base not in layers]
        if absent and parts.unet is None:  # text encoders read again, of a model that the file was found to fit
            changes = {base: tensors for base, tensors in changes.items() if base in layers}
        elif absent:
            more = f" and {len(absent) - 1} more" if len(absent) > 1 else ""
            raise _misfit(lora.file, parts, f"the model has no layer {absent[0]}{more} of {len(changes)}")
        for base, tensors in changes.items():
            weight = layers[base].weight
            try:
                change, magnitude = change_of(tensors, alphas.get(base)), tensors.get(MAGNITUDE)
            except (RuntimeError, IndexError) as error:
                why = f"{base}: {str(error).splitlines()[0]}"
                raise NotFoundError(f"the LoRA {lora.file} is damaged", why=why, hint="copy it again") from error
            if change.numel() != weight.numel():
                told = " x ".join(map(str, change.shape))
                raise _misfit(
                    lora.file, parts, f"{base} is {told}, the model's is {' x '.join(map(str, weight.shape))}"
                )
            if not torch.isfinite(change).all():
                raise NotFoundError(f"the LoRA {lora.file} is damaged", why=f"{base} has NaN", hint="copy it again")
            if magnitude is not None and magnitude.numel() not in weight.shape[:2]:
                raise _misfit(lora.file, parts, f"{base} has {magnitude.numel()} magnitudes")
            change = change.reshape(weight.shape).to(weight.device)
            weight.data = with_change(weight.data.float(), change, lora.weight, magnitude).to(weight.dtype)


def _read(file: Path) -> tuple[dict[str, dict[str, Tensor]], dict[str, float]]:
    """Factors and alphas of each layer, by the layer's name in the file."""
    from safetensors import SafetensorError, safe_open

    if not file.is_file():
        raise NotFoundError(f"there is no LoRA {file}", why="no such file", hint=HINT)
    if file.suffix != ".safetensors":
        why = "it is no .safetensors, and a pickle can run programs"
        raise NotFoundError(f"laser does not open {file}", why=why, hint=HINT)
    changes: dict[str, dict[str, Tensor]] = defaultdict(dict)
    alphas: dict[str, float] = {}
    strange = []
    try:
        with safe_open(file, "pt") as data:
            about = data.metadata() or {}
            for key in data.keys():  # noqa: SIM118
                base, role = _split(key)
                if role == "alpha":
                    alphas[base] = float(data.get_tensor(key))
                elif role:
                    tensor = data.get_tensor(key)
                    # peft's are always of the outputs, in whatever shape
                    changes[base][role] = tensor.flatten() if "magnitude_vector" in key else tensor
                else:
                    strange.append(key)
    except (OSError, SafetensorError) as error:
        why = str(error).splitlines()[0]
        raise NotFoundError(f"the LoRA {file} is damaged", why=why, hint="copy it again") from error
    halves = [base for base, tensors in changes.items() if set(tensors) - {MAGNITUDE} not in PRODUCTS]
    if strange or halves or not changes:
        kinds = sorted({kind for key in strange if (kind := _other_kind(key))})
        other = kinds or sorted(strange or halves or ["nothing"])[:3]
        why = f"LoRA, LoCon, LoHa, LoKr and DoRA are loaded; it has {', '.join(other)}"
        raise NotFoundError(f"{file} is not a LoRA that laser can load", why=why, hint=HINT)
    return changes, {**_alphas(about, changes), **alphas}


def _split(key: str) -> tuple[str, str]:
    """A layer's name and what the tensor is to it; "" if that is not known."""
    if old := OLD.search(key):
        layer = "to_out.0" if old[1] == "out" else f"to_{old[1]}"
        if key.startswith("text_encoder"):
            layer = "out_proj" if old[1] == "out" else f"{old[1]}_proj"
        return f"{key[: old.start()]}.{layer}", old[2]
    for ending, role in ROLES.items():
        if key.endswith(f".{ending}"):
            return key.removesuffix(f".{ending}"), role
    return key, ""


def _other_kind(key: str) -> str:
    """The kind of a tensor that is no LoRA's, by its name; "" if that tells nothing."""
    last = key.rpartition(".")[2]
    return next((kind for mark, kind in OTHERS.items() if last.startswith(mark) or key.endswith(f".{mark}")), "")


def _alphas(about: Mapping[str, str], changes: Mapping[str, Any]) -> dict[str, float]:
    """Alphas that the library writes into a file's metadata, one a network, as peft's settings."""
    settings = json.loads(about.get("lora_adapter_metadata") or "{}")
    told = {}
    for base in changes:
        network = base.partition(".")[0]
        alpha = settings.get(f"{network}.lora_alpha")
        if alpha is not None:
            layer = base.removeprefix(f"{network}.")
            told[base] = float((settings.get(f"{network}.alpha_pattern") or {}).get(layer, alpha))
    return told


def _layers(parts: Parts) -> dict[str, Any]:
    """The layers with weights that LoRAs can change, by all names that files give them."""
    found: dict[str, Any] = {}
    for part, network in parts.networks.items():
        for path, module in network.named_modules():
            weight = getattr(module, "weight", None)
            if part in KOHYA and weight is not None and weight.dim() >= 2:
                found |= dict.fromkeys(_names(part, path, network), module)
    return found


def _names(part: str, path: str, network: Any) -> Iterator[str]:
    if part == "unet":
        yield from (f"unet.{path}", f"base_model.model.{path}", path)
        yield KOHYA[part] + path.replace(".", "_")
        attended = [hasattr(block, "attentions") for block in network.up_blocks]
        yield KOHYA[part] + original_name(path, network.config.layers_per_block, attended).replace(".", "_")
        return
    # the library's newest text encoders left out the outer name, which files have
    path = path if path.startswith(("text_model.", "text_projection")) else f"text_model.{path}"
    yield f"{part}.{path}"
    yield KOHYA[part] + path.replace(".", "_")
    if part == "text_encoder":
        yield "lora_te1_" + path.replace(".", "_")


def original_name(path: str, layers: int | Sequence[int], attended: Sequence[bool]) -> str:
    """The name in the original (LDM) layout of a U-Net's module, which kohya's files for SDXL use.

    ``layers``: residual blocks a level; ``attended``: which levels of the way up have attention.
    """
    each = layers if isinstance(layers, int) else layers[0]
    inner = {
        "norm1": "in_layers.0",
        "conv1": "in_layers.2",
        "time_emb_proj": "emb_layers.1",
        "norm2": "out_layers.0",
        "conv2": "out_layers.3",
        "conv_shortcut": "skip_connection",
    }

    def resnet(rest: str) -> str:
        return inner.get(rest, rest)

    rules = (
        (r"time_embedding\.linear_(\d)", lambda m: f"time_embed.{2 * int(m[1]) - 2}"),
        (r"add_embedding\.linear_(\d)", lambda m: f"label_emb.0.{2 * int(m[1]) - 2}"),
        (r"conv_in", lambda m: "input_blocks.0.0"),
        (r"conv_out", lambda m: "out.2"),
        (
            r"down_blocks\.(\d)\.(resnets|attentions)\.(\d)\.(.*)",
            lambda m: (
                f"input_blocks.{1 + int(m[1]) * (each + 1) + int(m[3])}."
                + (f"0.{resnet(m[4])}" if m[2] == "resnets" else f"1.{m[4]}")
            ),
        ),
        (r"down_blocks\.(\d)\.downsamplers\.0\.conv", lambda m: f"input_blocks.{(int(m[1]) + 1) * (each + 1)}.0.op"),
        (r"mid_block\.resnets\.(\d)\.(.*)", lambda m: f"middle_block.{2 * int(m[1])}.{resnet(m[2])}"),
        (r"mid_block\.attentions\.0\.(.*)", lambda m: f"middle_block.1.{m[1]}"),
        (
            r"up_blocks\.(\d)\.(resnets|attentions)\.(\d)\.(.*)",
            lambda m: (
                f"output_blocks.{int(m[1]) * (each + 1) + int(m[3])}."
                + (f"0.{resnet(m[4])}" if m[2] == "resnets" else f"1.{m[4]}")
            ),
        ),
        (
            r"up_blocks\.(\d)\.upsamplers\.0\.conv",
            lambda m: f"output_blocks.{int(m[1]) * (each + 1) + each}.{1 + attended[int(m[1])]}.conv",
        ),
    )
    for pattern, name in rules:
        if match := re.fullmatch(pattern, path):
            return name(match)
    return path


def _misfit(file: Path, parts: Parts, why: str) -> NotFoundError:
    return NotFoundError(f"the LoRA {file} does not fit this {parts.family} model", why=why, hint=HINT)
