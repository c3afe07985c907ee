"""What a folder or file is: a model that laser draws with, or something else, named for what it is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from laser_cli.errors import NotFoundError
from laser_cli.models.brought import claiming
from laser_cli.models.families import (
    BEGINNINGS,
    CHECKPOINT,
    CONTROL,
    DRAWS,
    FILES,
    IMAGE_INPUTS,
    LORA,
    OWN_OPTION,
    REFINER,
    VAE,
    Other,
)
from laser_cli.models.layout import read_json

LDM_IN = "model.diffusion_model.input_blocks.0.0.weight"
Header = Mapping[str, tuple[int, ...]]
"""Tensor names and shapes of a weight file."""


@dataclass(frozen=True)
class Identity:
    """What a path holds: a family of models; ``other`` says what it is instead where laser cannot draw with it."""

    family: str
    other: Other | None = None
    plugin: str = ""
    """The backbone of another package that draws with it."""

    def require(self, name: str) -> str:
        """The family; NotFoundError that says what else it is, and what to use, if laser cannot draw with it."""
        if self.other is None:
            return self.family
        raise NotFoundError(
            f"laser cannot draw with {name}: it is {self.other.what}", why=self.other.why, hint=self.other.instead
        )


def identify(path: Path) -> Identity:
    """What a folder or a .safetensors file holds, told from configurations and tensor names; no weights are read.

    NotFoundError if a file is damaged; damaged settings and missing parts of a folder are `verify`'s matter.
    """
    found = _identify_file(path) if path.is_file() else _identify_folder(path)
    plugin = claiming(path) if found.other else ""
    return Identity(plugin, plugin=plugin) if plugin else found


def read_header(file: Path) -> dict[str, tuple[int, ...]]:
    """Names and shapes of the tensors in a .safetensors file; ValueError that names the file if it is damaged."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(file, "pt") as data:
            return {key: tuple(data.get_slice(key).get_shape()) for key in data.keys()}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        said = str(error).splitlines()[0].removeprefix("Error while deserializing header: ")
        raise ValueError(f"{file.name} is not whole: {said}") from error


def _identify_folder(folder: Path) -> Identity:
    index, own, unet = (_settings(folder / file) for file in ("model_index.json", "config.json", "unet/config.json"))
    networks = [_settings(folder / part / "config.json") for part in ("transformer", "prior")]
    pipeline = str(index.get("_class_name") or "")
    if pipeline not in DRAWS and (other := _by_beginning(pipeline)):
        return Identity(other.what, other)
    for name in (each.get("_class_name") for each in (own, *networks)):
        if name and (other := OWN_OPTION.get(str(name)) or _by_beginning(str(name))):
            return Identity(other.what, other)
    if not index and not unet and (other := _by_files(folder)):
        return Identity(other.what, other)
    family, other = unet_family(unet, folder)
    if other is None and pipeline and pipeline not in DRAWS:
        other = Other(f"a {pipeline}", "laser does not know that pipeline", CHECKPOINT)
    return Identity(family, other)


def _settings(file: Path) -> dict[str, Any]:
    """A file of settings, empty if it is not there or damaged, which `verify` tells together with all else."""
    try:
        return read_json(file)
    except ValueError:
        return {}


def unet_family(config: Mapping[str, Any], folder: Path | None = None) -> tuple[str, Other | None]:
    """SD 1.x, SD 2.x or SDXL by a U-Net's configuration, and what it is instead if it draws from more than text."""
    kind = str(config.get("_class_name") or "UNet2DConditionModel")
    if kind != "UNet2DConditionModel":
        other = OWN_OPTION.get(kind) or _by_beginning(kind)
        return kind, other or Other(f"a model with a {kind}", "laser draws with U-Nets for pictures", CHECKPOINT)
    inputs, outputs = int(config.get("in_channels") or 4), int(config.get("out_channels") or 4)
    if inputs != outputs and inputs != 2 * outputs:
        return "SD", IMAGE_INPUTS.get(inputs - outputs, IMAGE_INPUTS[0])
    if inputs == 2 * outputs:
        return "SD", IMAGE_INPUTS[outputs]
    added, hidden = config.get("addition_embed_type"), config.get("encoder_hid_dim_type")
    if added not in (None, "text_time") or hidden not in (None, "text_proj", "ip_image_proj"):
        return "SD", Other(f"a model conditioned by {added or hidden}", "laser tells models text alone", CHECKPOINT)
    if hidden == "text_proj":
        return "Kolors", BEGINNINGS["Kolors"]
    if config.get("class_embed_type") or config.get("num_class_embeds"):
        return "SD", IMAGE_INPUTS[-1]
    if added == "text_time":
        alone = folder is not None and not (folder / "text_encoder").is_dir() and (folder / "text_encoder_2").is_dir()
        if alone or config.get("projection_class_embeddings_input_dim") == 2560:
            return "SDXL refiner", REFINER
        return "SDXL", None
    if not config and folder is not None and (folder / "text_encoder_2").is_dir():
        return "SDXL", None
    width = config.get("cross_attention_dim")
    return ("SD 2.x" if width == 1024 else "SD 1.x"), None


def _by_beginning(name: str) -> Other | None:
    """The family whose classes begin with the longest prefix of a class's name."""
    known = [beginning for beginning in BEGINNINGS if name.startswith(beginning)]
    return BEGINNINGS[max(known, key=len)] if known else None


def _by_files(folder: Path) -> Other | None:
    """What a folder without configurations of a model holds, by its files' names and contents."""
    names = {file.name for file in folder.iterdir()}
    if names & {"adapter_config.json", "pytorch_lora_weights.safetensors"}:
        return LORA
    for file in sorted(folder.glob("*.safetensors")):
        try:
            identity = identify(file)
        except NotFoundError:
            continue
        if identity.other is None:
            what = f"a folder of single files, such as {file.name}"
            return Other(what, "a folder is a model in the standard diffusers layout", f"--model {folder / file.name}")
        return identity.other
    return None


def _identify_file(file: Path) -> Identity:
    try:
        header = read_header(file)
    except ValueError as error:
        raise NotFoundError(f"{file} is not a whole .safetensors file", why=str(error), hint="copy it again") from error
    for other in _told_by(header):
        return Identity(other.what, other)
    if LDM_IN not in header:
        what = "a .safetensors file of something that laser does not know"
        some = ", ".join(sorted(header)[:3]) or "none"
        return Identity("unknown", Other(what, f"its tensors have other names ({some})", CHECKPOINT))
    return Identity(*ldm_family(header))


def ldm_family(header: Header) -> tuple[str, Other | None]:
    """SD 1.x, SD 2.x or SDXL by the tensors of a checkpoint in the original (LDM) layout."""
    first = header[LDM_IN]
    outputs = header.get("model.diffusion_model.out.2.weight", (4,))[0]
    if first[1] != outputs:
        return "SD", IMAGE_INPUTS.get(first[1] - outputs, IMAGE_INPUTS[0])
    if any(key.startswith("conditioner.embedders.0.model.") for key in header):
        return "SDXL refiner", REFINER
    if any(key.startswith("conditioner.embedders.1.model.") for key in header):
        return "SDXL", None
    labels = header.get("model.diffusion_model.label_emb.0.0.weight")
    if labels is not None:
        # a U-Net alone: SDXL's reads 2816 numbers of size and pooled text, the refiner's 2560
        return ("SDXL refiner", REFINER) if labels[1] == 2560 else ("SDXL", None)
    if "model.diffusion_model.label_emb.weight" in header:
        return "SD", IMAGE_INPUTS[-1]
    return ("SD 2.x" if any(key.startswith("cond_stage_model.model.") for key in header) else "SD 1.x"), None


def _told_by(header: Header) -> Iterator[Other]:
    """The things other than a checkpoint whose marks are among the tensors, the surest first."""
    for marks, other in FILES:
        if LDM_IN in header and other in (LORA, CONTROL, VAE):
            continue  # checkpoints have a VAE inside, and merged ones keep keys of what was merged
        if any(key.startswith(mark) or f".{mark}" in key for mark in marks for key in header):
            yield other
