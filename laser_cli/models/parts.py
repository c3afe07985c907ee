"""The parts of a text-to-image model, loaded from a folder or a single file, before they become a `Model`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from laser_cli.errors import NotFoundError
from laser_cli.models import single_file
from laser_cli.models.layout import read_json, variant_of
from laser_cli.models.options import ModelOptions
from laser_cli.models.scheduler_choice import choose_schedule
from laser_cli.models.schedules import Schedule

LAYOUTS = "a folder or hub id in the standard diffusers layout, or a .safetensors (SD 1.x, 2.x, SDXL), undamaged"

PLAIN = ModelOptions()
Places = Mapping[str, torch.device]
"""Devices by part."""
NOWHERE: Places = {}


@dataclass
class Parts:
    """Networks, tokenizers and schedule. ``zero_empty``: an empty prompt is all zeros, as of SDXL.
    ``upcast``: the VAE overflows in half precision, as its configuration says.

    Where text encoders alone were asked for, U-Net and VAE are None.
    """

    family: str
    unet: Any
    vae: Any
    text_encoder: Any
    tokenizer: Any
    schedule: Schedule
    text_encoder_2: Any = None
    tokenizer_2: Any = None
    zero_empty: bool = True
    upcast: bool = False

    @property
    def networks(self) -> Mapping[str, Any]:
        """What has weights, by part."""
        told = {"unet": self.unet, "vae": self.vae, "text_encoder": self.text_encoder}
        told["text_encoder_2"] = self.text_encoder_2
        return {part: network for part, network in told.items() if network is not None}

    def pipeline(self) -> Any:
        """The library's pipeline around these parts, for its loaders of LoRAs and embeddings."""
        from diffusers import DDIMScheduler, StableDiffusionPipeline, StableDiffusionXLPipeline

        told = {"vae": self.vae, "text_encoder": self.text_encoder, "tokenizer": self.tokenizer, "unet": self.unet}
        if self.text_encoder_2 is not None:
            second = {"text_encoder_2": self.text_encoder_2, "tokenizer_2": self.tokenizer_2}
            return StableDiffusionXLPipeline(**told, **second, scheduler=DDIMScheduler(), add_watermarker=False)
        none = {"safety_checker": None, "feature_extractor": None, "requires_safety_checker": False}
        return StableDiffusionPipeline(**told, **none, scheduler=DDIMScheduler())


def load_parts(
    path: Path,
    name: str,
    family: str,
    dtype: torch.dtype,
    vae_dtype: torch.dtype | None,
    options: ModelOptions = PLAIN,
    places: Places = NOWHERE,
    text_only: bool = False,
) -> Parts:
    """The parts of a model that `verify` found whole; NotFoundError, with the user's name for it, if loading fails.

    ``dtype`` is the U-Net's; text encoders are float32. ``vae_dtype`` None: the U-Net's, unless the VAE overflows in
    half precision, as its configuration says. Of ``options`` the variant, another VAE and the schedule are heeded here.
    Parts that ``places`` names are read straight into the memory of that device, in their precision.
    """
    with quiet(), _named(name):
        if path.is_file():
            return _from_file(path, family, dtype, vae_dtype, options, places, text_only)
        return _from_folder(path, family, dtype, vae_dtype, options, places, text_only)


@contextmanager
def quiet() -> Iterator[None]:
    """Without the libraries' progress bars and notes, which `verify` and laser's own messages say better."""
    from diffusers.utils import logging as diffusers_logging
    from transformers.utils import logging as transformers_logging

    levels = [(each, each.get_verbosity()) for each in (diffusers_logging, transformers_logging)]
    for each, _ in levels:
        each.set_verbosity_error()
        each.disable_progress_bar()
    try:
        yield
    finally:
        for each, level in levels:
            each.set_verbosity(level)


@contextmanager
def _named(name: str) -> Iterator[None]:
    """What the libraries raise while loading, as NotFoundError about the model; memory that ran out stays itself."""
    try:
        yield
    except (OSError, ValueError, KeyError, RuntimeError, AttributeError, TypeError) as error:
        if "out of memory" in str(error):
            raise
        said = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise NotFoundError(f"cannot load the model {name}", why=said, hint=LAYOUTS) from error


def _from_file(
    path: Path,
    family: str,
    dtype: torch.dtype,
    vae_dtype: torch.dtype | None,
    options: ModelOptions,
    places: Places,
    text_only: bool,
) -> Parts:
    config, vae = single_file.config_folder(family), None if text_only else options.vae
    schedule = choose_schedule(single_file.scheduler_config(path, family, config), options.scheduler, options.spacing)
    upcast = bool(read_json(config / "vae" / "config.json").get("force_upcast"))
    precision = vae_dtype or (torch.float32 if upcast else dtype)
    dtypes = {"unet": dtype, "vae": precision, "text_encoder": torch.float32, "text_encoder_2": torch.float32}
    skip = ("unet", "vae") if text_only else ("vae",) if vae else ()
    networks = single_file.load_networks(path, family, dtypes, config, skip=skip)
    for part, network in networks.items():
        network.to(places.get(part, "cpu"))
    if text_only:
        networks |= dict.fromkeys(skip)
    elif vae:
        networks["vae"] = single_file.load_vae(vae, precision, config)
    elif statistics := single_file.latent_statistics(path):
        mean, deviation = statistics
        networks["vae"].register_to_config(latents_mean=mean, latents_std=deviation, scaling_factor=0.5)
    return Parts(family, schedule=schedule, upcast=upcast, **networks, **single_file.tokenizers(family, config))


def _from_folder(
    folder: Path,
    family: str,
    dtype: torch.dtype,
    vae_dtype: torch.dtype | None,
    options: ModelOptions,
    places: Places,
    text_only: bool,
) -> Parts:
    from diffusers import AutoencoderKL, UNet2DConditionModel
    from transformers import CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

    def made(kind: Any, part: str, **precision: torch.dtype) -> Any:
        here, at = folder / part, {"device_map": {"": places[part]}} if part in places else {}
        variant = variant_of(here, options.variant)
        return kind.from_pretrained(here, variant=variant, local_files_only=True, **precision, **at)

    def own_vae() -> Any:
        if options.vae:
            return single_file.load_vae(options.vae, precision, folder)
        return made(AutoencoderKL, "vae", torch_dtype=precision)

    config = read_json(folder / "scheduler" / "scheduler_config.json")
    schedule = choose_schedule(config, options.scheduler, options.spacing)
    upcast = bool(read_json(folder / "vae" / "config.json").get("force_upcast"))
    precision = vae_dtype or (torch.float32 if upcast else dtype)
    index = read_json(folder / "model_index.json") if (folder / "model_index.json").is_file() else {}
    parts = Parts(
        family,
        unet=None if text_only else made(UNet2DConditionModel, "unet", torch_dtype=dtype),
        vae=None if text_only else own_vae(),
        text_encoder=made(CLIPTextModel, "text_encoder", dtype=torch.float32),
        tokenizer=CLIPTokenizer.from_pretrained(folder / "tokenizer", local_files_only=True),
        schedule=schedule,
        zero_empty=bool(index.get("force_zeros_for_empty_prompt", True)),
        upcast=upcast,
    )
    if family == "SDXL":
        parts.text_encoder_2 = made(CLIPTextModelWithProjection, "text_encoder_2", dtype=torch.float32)
        parts.tokenizer_2 = CLIPTokenizer.from_pretrained(folder / "tokenizer_2", local_files_only=True)
    for tokenizer, encoder in (
        (parts.tokenizer, parts.text_encoder),
        (parts.tokenizer_2, parts.text_encoder_2),
    ):
        if tokenizer is not None:  # some are saved without a maximal length, and would pad to 10^30 tokens
            most = int(encoder.config.max_position_embeddings)
            tokenizer.model_max_length = min(tokenizer.model_max_length, most)
    return parts


def non_finite(network: Any) -> Sequence[str]:
    """Names of a network's weights that hold NaN or infinity."""
    return [key for key, weight in network.state_dict().items() if not _finite(weight)]


def _finite(weight: torch.Tensor) -> bool:
    return not weight.is_floating_point() or bool(torch.isfinite(weight).all())
