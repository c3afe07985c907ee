"""LoRAs (arXiv 2106.09685): low-rank changes of a model's weights, added to them when the model is loaded."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from laser_cli.errors import NotFoundError
from laser_cli.models.identify import read_header
from laser_cli.models.options import Lora
from laser_cli.models.parts import Parts, quiet

HINT = "--lora FILE[:WEIGHT] with a .safetensors that was trained for this kind of model"
FOREIGN = ("hada_w1", "lokr_w", "oft_", "glora", "diff_b", "w_norm", "b_norm")
"""Marks of changes that are no products of two thin matrices, or change biases: the library has no loader for them."""
DOWN = ("lora_down.weight", "lora_A.weight", "lora.down.weight", "lora_linear_layer.down.weight")


def add_loras(parts: Parts, loras: Sequence[Lora]) -> None:
    """Adds LoRAs to the weights of U-Net and text encoders; nothing of them remains to be computed at each step.

    Kohya's, the library's and LoCon's formats. NotFoundError if a file is not there, of another kind, or fits nothing.
    """
    if not loras:
        return
    pipeline, names = parts.pipeline(), []
    for i, lora in enumerate(loras):
        count = _check(lora.file)
        try:
            with quiet():
                pipeline.load_lora_weights(str(lora.file.parent), weight_name=lora.file.name, adapter_name=f"lora{i}")
        except ImportError as error:
            raise NotFoundError("LoRAs need the package peft", hint="pip install peft") from error
        except (ValueError, KeyError, RuntimeError, TypeError, IndexError, AttributeError) as error:
            raise _misfit(lora.file, parts, str(error)) from error
        names.append(f"lora{i}")
        if (taken := _layers(parts, names[-1])) < count:
            raise _misfit(lora.file, parts, f"{count - taken} of its {count} layers are not in the model")
    try:
        with quiet():
            pipeline.set_adapters(names, [lora.weight for lora in loras])
            components = [part for part in ("unet", "text_encoder", "text_encoder_2") if _tuned(getattr(parts, part))]
            pipeline.fuse_lora(components, adapter_names=names, safe_fusing=True)
    except ValueError as error:  # safe_fusing: NaN
        files = ", ".join(str(lora.file) for lora in loras)
        raise NotFoundError(f"the LoRA {files} is damaged", why=str(error).splitlines()[0], hint=HINT) from error
    pipeline.unload_lora_weights()


def _check(file: Path) -> int:
    """How many layers a LoRA changes; NotFoundError if the file is not there or no LoRA that can be loaded."""
    if not file.is_file():
        raise NotFoundError(f"there is no LoRA {file}", why="no such file", hint=HINT)
    if file.suffix != ".safetensors":
        raise NotFoundError(
            f"laser does not open {file}", why="it is no .safetensors; pickles can run programs", hint=HINT
        )
    try:
        keys = read_header(file)
    except ValueError as error:
        raise NotFoundError(f"{file} is damaged", why=str(error), hint="copy it again") from error
    strange = next((mark for mark in FOREIGN if any(mark in key for key in keys)), None)
    if strange:
        why = f"it is a LyCORIS of another kind ({strange}…); LoRA and LoCon are loaded"
        raise NotFoundError(f"{file} is not a LoRA that laser can load", why=why, hint=HINT)
    count = sum(1 for key in keys if key.endswith(DOWN))
    if not count:
        some = ", ".join(sorted(keys)[:3]) or "none"
        raise NotFoundError(f"{file} is not a LoRA", why=f"its tensors have other names ({some})", hint=HINT)
    return count


def _layers(parts: Parts, name: str) -> int:
    """Layers of the networks that an adapter has weights for."""
    return sum(
        1
        for network in parts.networks.values()
        for module in network.modules()
        if name in getattr(module, "lora_A", ())
    )


def _tuned(network: object) -> bool:
    return bool(getattr(network, "peft_config", None))


def _misfit(file: Path, parts: Parts, said: str) -> NotFoundError:
    why = (said.strip() or "its layers have other shapes or names").splitlines()[0]
    return NotFoundError(f"the LoRA {file} does not fit this {parts.family} model", why=why, hint=HINT)
