"""Checkpoints that are one .safetensors in the original (LDM) layout; the package has their configurations."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import Tensor

from laser_cli.errors import NotFoundError
from laser_cli.models.identify import Header, ldm_family
from laser_cli.models.layout import CONFIGS, PREFIXES, config_folder, read_json

SD2_MARK = "model.diffusion_model.output_blocks.11.1.transformer_blocks.0.norm1.bias"
V_SPREAD = 0.09
"""Spread of the biases at SD2_MARK above which a 2.x checkpoint predicts v: 2.0 and 2.1, not their base models."""


def load_networks(
    file: Path, family: str, dtypes: Mapping[str, torch.dtype], config: Path | None = None, skip: tuple[str, ...] = ()
) -> dict[str, Any]:
    """U-Net, VAE and text encoders of a single file, by part, each in its precision; parts in ``skip`` are left out.

    NotFoundError if the file lacks the VAE or the text encoders, whose weights many files leave out.
    """
    from diffusers import AutoencoderKL, UNet2DConditionModel
    from diffusers.loaders.single_file_utils import create_diffusers_clip_model_from_ldm
    from safetensors.torch import load_file
    from transformers import CLIPTextModel, CLIPTextModelWithProjection

    folder = config or config_folder(family)
    tensors = load_file(file)
    _require(tensors, file, skip)
    told = {"config": str(folder), "local_files_only": True}
    made: dict[str, Any] = {}
    if "unet" not in skip:
        made["unet"] = UNet2DConditionModel.from_single_file(
            _under(tensors, *PREFIXES["unet"]), subfolder="unet", torch_dtype=dtypes["unet"], **told
        )
    if "vae" not in skip:
        made["vae"] = AutoencoderKL.from_single_file(
            _under(tensors, *PREFIXES["vae"]), subfolder="vae", torch_dtype=dtypes["vae"], **told
        )
    for part, kind in (("text_encoder", CLIPTextModel), ("text_encoder_2", CLIPTextModelWithProjection)):
        if (folder / part).is_dir():
            text = _under(tensors, *PREFIXES[part])  # of this encoder alone: the library tells two apart by width
            made[part] = create_diffusers_clip_model_from_ldm(
                kind, text, subfolder=part, torch_dtype=dtypes[part], **told
            ).eval()
    return made


def load_vae(path: Path, dtype: torch.dtype, like: Path, variant: str | None = None) -> Any:
    """A VAE by itself: a folder of the library, or a .safetensors in either layout with the settings in ``like``.

    NotFoundError if it is not one, or is damaged.
    """
    from diffusers import AutoencoderKL

    hint = "--vae with a folder that has config.json and weights, or a .safetensors file of a VAE"
    try:
        if path.is_dir():
            folder = path / "vae" if (path / "vae" / "config.json").is_file() else path
            if read_json(folder / "config.json").get("_class_name") != "AutoencoderKL":
                raise NotFoundError(f"{path} is not a VAE for latents", why="it is of another class", hint=hint)
            return AutoencoderKL.from_pretrained(folder, torch_dtype=dtype, variant=variant, local_files_only=True)
        if path.suffix != ".safetensors" or not path.is_file():
            raise NotFoundError(f"there is no VAE {path}", why="no such folder or .safetensors file", hint=hint)
        return AutoencoderKL.from_single_file(
            str(path), config=str(like), subfolder="vae", torch_dtype=dtype, local_files_only=True
        )
    except (OSError, ValueError, KeyError, RuntimeError, AttributeError) as error:
        if "out of memory" in str(error):
            raise
        said = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise NotFoundError(f"cannot load the VAE {path}", why=said, hint=hint) from error


def scheduler_config(file: Path, family: str, config: Path | None = None) -> dict[str, Any]:
    """The noise schedule of a single file: its family's, with what the file itself says of prediction and levels.

    Heeded: the marks ``v_pred``, ``ztsnr`` and ``edm_mean`` among the tensors, metadata, and a .yaml beside the file.
    """
    from safetensors import safe_open

    told = read_json((config or config_folder(family)) / "scheduler" / "scheduler_config.json")
    with safe_open(file, "pt") as data:
        keys, about = set(data.keys()), data.metadata() or {}
        spread = float(data.get_tensor(SD2_MARK).float().std()) if SD2_MARK in keys else 0.0
    if "edm_mean" in keys:
        return {"_class_name": "EDMDPMSolverMultistepScheduler", "sigma_data": 0.5, "prediction_type": "epsilon"}
    predicted = about.get("modelspec.prediction_type") or about.get("modelspec.predict_key") or ""
    beside = file.with_suffix(".yaml")
    if beside.is_file() and 'parameterization: "v"' in beside.read_text("utf-8", "replace").replace("'", '"'):
        predicted = "v"
    if predicted:
        told["prediction_type"] = "v_prediction" if predicted.startswith("v") else "epsilon"
    elif "v_pred" in keys:
        told["prediction_type"] = "v_prediction"
    elif family == "SD 2.x":
        told["prediction_type"] = "v_prediction" if spread > V_SPREAD else "epsilon"
    if "ztsnr" in keys:
        told |= {"rescale_betas_zero_snr": True, "timestep_spacing": "trailing"}
    return told


def latent_statistics(file: Path) -> tuple[list[float], list[float]] | None:
    """Mean and standard deviation of the latents' channels, which EDM checkpoints carry."""
    from safetensors import safe_open

    with safe_open(file, "pt") as data:
        if "edm_mean" not in data.keys():  # noqa: SIM118
            return None
        return data.get_tensor("edm_mean").flatten().tolist(), data.get_tensor("edm_std").flatten().tolist()


def clip_tokenizer(pad: str) -> Any:
    """CLIP's tokenizer at 77 tokens, from its merges; ``pad``: what prompts are filled up with."""
    from transformers import CLIPTokenizer

    merges = (CONFIGS / "clip" / "merges.txt").read_text("utf-8")
    letters = [_letter(byte) for byte in _byte_order()]
    pairs = [line.replace(" ", "") for line in merges.splitlines()[1:]]
    words = [*letters, *(f"{letter}</w>" for letter in letters), *pairs, "<|startoftext|>", "<|endoftext|>"]
    with TemporaryDirectory() as folder:
        (Path(folder) / "vocab.json").write_text(json.dumps({word: i for i, word in enumerate(words)}), "utf-8")
        (Path(folder) / "merges.txt").write_text(merges, "utf-8")
        marks = {"bos_token": "<|startoftext|>", "eos_token": "<|endoftext|>", "unk_token": "<|endoftext|>"}
        return CLIPTokenizer.from_pretrained(folder, model_max_length=77, pad_token=pad, **marks)


def tokenizers(family: str, config: Path | None = None) -> dict[str, Any]:
    """The tokenizers of a family: CLIP's, unless ``config`` has others."""
    from transformers import CLIPTokenizer

    if config and (config / "tokenizer").is_dir():
        there = [part for part in ("tokenizer", "tokenizer_2") if (config / part).is_dir()]
        return {part: CLIPTokenizer.from_pretrained(config / part, local_files_only=True) for part in there}
    # OpenCLIP fills up with the token 0, which is "!"
    made = {"tokenizer": clip_tokenizer("!" if family == "SD 2.x" else "<|endoftext|>")}
    return made | ({"tokenizer_2": clip_tokenizer("!")} if family == "SDXL" else {})


def missing_tensors(
    header: Header, family: str, config: Path | None = None, skip: tuple[str, ...] = ()
) -> Iterator[str]:
    """What a single file lacks of its family's networks, a line a part, told from the names and shapes alone."""
    from laser_cli.models.verify import differences, expected_tensors

    folder = config or config_folder(family)
    blank = {key: torch.empty(shape, device="meta") for key, shape in header.items()}
    for part, convert in _CONVERTERS.items():
        if part in skip or not (folder / part).is_dir():
            continue
        settings = read_json(folder / part / "config.json")
        if not _has(blank, part):
            yield f"it has no {part}"
            continue
        try:
            found = {key: tuple(value.shape) for key, value in convert(blank, settings).items()}
        except KeyError as error:
            yield f"{part}: it lacks {error.args[0]}"
            continue
        yield from (f"{part}: it {line}" for line in differences(expected_tensors(part, settings), found))


def _has(tensors: Mapping[str, Any], part: str) -> bool:
    return any(key.startswith(PREFIXES[part]) for key in tensors)


def _require(tensors: Mapping[str, Tensor], file: Path, skip: tuple[str, ...]) -> None:
    family, _ = ldm_family({key: tuple(value.shape) for key, value in tensors.items()})
    parts = ("vae", "text_encoder", *(("text_encoder_2",) if family == "SDXL" else ()))
    for part in (part for part in parts if part not in skip and not _has(tensors, part)):
        what = "VAE" if part == "vae" else "text encoder"
        hint = "--vae with a folder or file of the VAE that goes with it" if part == "vae" else "a complete checkpoint"
        raise NotFoundError(f"{file} has no {what}", why="the file holds other parts of a model only", hint=hint)


def _under(tensors: Mapping[str, Tensor], *prefixes: str) -> dict[str, Tensor]:
    return {key: value for key, value in tensors.items() if key.startswith(prefixes)}


def _unet(blank: Mapping[str, Tensor], settings: Mapping[str, Any]) -> dict[str, Tensor]:
    from diffusers.loaders.single_file_utils import convert_ldm_unet_checkpoint

    return convert_ldm_unet_checkpoint(_under(blank, *PREFIXES["unet"]), dict(settings))


def _vae(blank: Mapping[str, Tensor], settings: Mapping[str, Any]) -> dict[str, Tensor]:
    from diffusers.loaders.single_file_utils import convert_ldm_vae_checkpoint

    return convert_ldm_vae_checkpoint(_under(blank, *PREFIXES["vae"]), dict(settings))


def _text(blank: Mapping[str, Tensor], settings: Mapping[str, Any]) -> dict[str, Tensor]:
    from diffusers.loaders.single_file_utils import convert_ldm_clip_checkpoint

    first = _under(blank, "cond_stage_model.transformer.", "conditioner.embedders.0.")
    return convert_ldm_clip_checkpoint(first) if first else _open_clip(blank, settings, "cond_stage_model.model.")


def _text_2(blank: Mapping[str, Tensor], settings: Mapping[str, Any]) -> dict[str, Tensor]:
    return _open_clip(blank, settings, "conditioner.embedders.1.model.")


def _open_clip(blank: Mapping[str, Tensor], settings: Mapping[str, Any], prefix: str) -> dict[str, Tensor]:
    from types import SimpleNamespace

    from diffusers.loaders.single_file_utils import convert_open_clip_checkpoint

    like = SimpleNamespace(config=SimpleNamespace(hidden_size=settings["hidden_size"]))
    return convert_open_clip_checkpoint(like, dict(blank), prefix=prefix)


_CONVERTERS: dict[str, Callable[[Mapping[str, Tensor], Mapping[str, Any]], dict[str, Tensor]]] = {
    "unet": _unet,
    "vae": _vae,
    "text_encoder": _text,
    "text_encoder_2": _text_2,
}
"""The library's own conversions, which run on tensors without memory as well."""


def _byte_order() -> list[int]:
    """Bytes in the order of GPT-2's and CLIP's vocabularies: those that print, then the others."""
    printed = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    return [*printed, *(byte for byte in range(256) if byte not in printed)]


def _letter(byte: int) -> str:
    """The letter that stands for a byte in the vocabulary: itself, or one past 255 for those that do not print."""
    order = _byte_order()
    printed = len(order) - 68  # 68 bytes are blanks and controls
    place = order.index(byte)
    return chr(byte) if place < printed else chr(256 + place - printed)
