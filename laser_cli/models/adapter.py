"""Image prompts (IP-Adapter, arXiv 2308.06721): a picture as tokens that cross-attention reads beside the text's."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from pickle import UnpicklingError
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from laser_cli.errors import NotFoundError
from laser_cli.models.attention import ImageProjection

if TYPE_CHECKING:
    from laser_cli.models.conditioning import Conditioning
    from laser_cli.models.model import Model

ENCODER = "image_encoder"
KINDS = ("proj.weight", "proj.3.weight", "latents")
"""Of the projection's weights one tells the kind: plain, full, plus. Others want a face recognised, not a picture."""
HINT = "a folder with ip-adapter_sd15.safetensors and image_encoder, or such a file beside its image_encoder"

See = Callable[[Sequence[Tensor]], Tensor]
"""Pictures [3, h, w] in 0..1 -> their tokens [n, m, d]."""


def find_adapter(path: Path) -> Path:
    """The adapter's file, itself or the only one in a folder; NotFoundError if there is none, or no image encoder."""
    file = path
    if path.is_dir():
        files = sorted(f for f in path.iterdir() if f.suffix in (".safetensors", ".bin"))
        if len(files) != 1:
            names = ", ".join(f.name for f in files)
            why = f"it has {names}: name one of them" if files else "it has no .safetensors and no .bin"
            raise NotFoundError(f"{path} is not one IP-Adapter", why=why, hint=HINT)
        file = files[0]
    if not file.is_file():
        raise NotFoundError(f"there is no IP-Adapter {path}", hint=HINT)
    if not (file.parent / ENCODER / "config.json").is_file():
        why = f"there is no {ENCODER} folder beside {file.name}"
        raise NotFoundError(f"the IP-Adapter {path} lacks its image encoder", why=why, hint=HINT)
    return file


def load_adapter(model: Model, file: Path, scale: float) -> tuple[Model, See]:
    """The model with an adapter, and what turns pictures into its tokens; the given model stays without.

    Both share their weights. Every prompt encoded by the new one comes with the tokens of no picture. NotFoundError if
    the file is no adapter or does not fit the model.
    """
    from diffusers.models.embeddings import ImageProjection
    from diffusers.utils import logging
    from transformers import CLIPVisionModelWithProjection

    weights = _read(file)
    logging.set_verbosity_error()  # it speaks of parts that it keeps in float32, which are none here
    try:
        projections = _projections(model, weights["ip_adapter"], scale)
        projection = model.unet._convert_ip_adapter_image_proj_to_diffusers(weights["image_proj"])
        encoder = CLIPVisionModelWithProjection.from_pretrained(
            file.parent / ENCODER, dtype=torch.float32, local_files_only=True
        )
    except (KeyError, RuntimeError, ValueError, OSError) as error:
        if "out of memory" in str(error):
            raise
        why = (str(error).strip() or type(error).__name__).splitlines()[0]
        hint = "an adapter that was trained for this kind of model, with its own image_encoder"
        raise NotFoundError(f"the IP-Adapter {file} does not fit {model.name}", why=why, hint=hint) from error
    projection.requires_grad_(False).eval().to(model.device, model.dtype)
    encoder.requires_grad_(False).eval().to(model.device)
    side = int(encoder.config.image_size)

    @torch.no_grad()
    def tokens(pixels: Tensor, blank: bool = False) -> Tensor:
        seen = encoder(pixels.to(model.device), output_hidden_states=True)
        if not isinstance(projection, ImageProjection):
            told = seen.hidden_states[-2]
        else:
            told = torch.zeros_like(seen.image_embeds) if blank else seen.image_embeds
        return projection(told.to(model.dtype)).float()

    unseen = tokens(torch.zeros(1, 3, side, side), blank=True)
    adapted = replace(model, backbone=model.backbone.with_projections(projections), unseen=unseen)
    return adapted, lambda pictures: torch.cat([tokens(as_seen(picture, side)) for picture in pictures])


def _projections(model: Model, weights: dict[str, Tensor], scale: float) -> dict[str, ImageProjection]:
    """Keys' and values' projections of every cross-attention: numbered 1, 3, 5, … in the U-Net's own order."""
    crossing = [name for name in model.backbone.attentions if name.endswith(".attn2")]
    wanted = {f"{2 * i + 1}.to_{kind}_ip.weight" for i in range(len(crossing)) for kind in ("k", "v")}
    if wanted != weights.keys():
        raise ValueError(f"it has {len(weights)} projections, the model takes {len(wanted)}")

    def linear(name: str, like: torch.nn.Linear) -> torch.nn.Linear:
        weight = weights[name]
        if weight.shape[0] != like.out_features or weight.shape[1] != model.unet.config.cross_attention_dim:
            raise ValueError(f"{name} is {tuple(weight.shape)}, the model's is {tuple(like.weight.shape)}")
        made = torch.nn.Linear(weight.shape[1], weight.shape[0], bias=False, device="meta")
        made.weight = torch.nn.Parameter(weight.to(model.device, model.dtype), requires_grad=False)
        return made

    told = {}
    for i, name in enumerate(crossing):
        attention = model.unet.get_submodule(name)
        to_k = linear(f"{2 * i + 1}.to_k_ip.weight", attention.to_k)
        told[name] = ImageProjection(to_k, linear(f"{2 * i + 1}.to_v_ip.weight", attention.to_v), scale)
    return told


def shown(told: Conditioning, tokens: Tensor) -> Conditioning:
    """The conditioning of a model with an adapter, with a picture's tokens [n, m, d] in place of none's."""
    return replace(told, image_embeds=tokens)


def as_seen(picture: Tensor, side: int) -> Tensor:
    """[3, h, w] in 0..1 to [1, 3, side, side] as the library's pipelines show pictures to CLIP: in 8 bits, by PIL."""
    try:  # its other processor resizes by torchvision, to slightly other numbers
        from transformers import CLIPImageProcessorPil as CLIPImageProcessor
    except ImportError:
        from transformers import CLIPImageProcessor

    processor = CLIPImageProcessor(size={"shortest_edge": side}, crop_size={"height": side, "width": side})
    array = (picture * 255).round().byte().permute(1, 2, 0).cpu().numpy()
    seen: Tensor = processor(array, return_tensors="pt").pixel_values
    return seen


def _read(file: Path) -> dict[str, dict[str, Tensor]]:
    """The weights of an adapter, projection and attention apart; NotFoundError if they are not those of one."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    made: dict[str, dict[str, Any]] = {"image_proj": {}, "ip_adapter": {}}
    try:
        if file.suffix == ".safetensors":
            for key, value in load_file(file).items():
                part, _, rest = key.partition(".")
                made.get(part, {})[rest] = value
        else:
            loaded = torch.load(file, map_location="cpu", weights_only=True)
            made |= {part: dict(loaded[part]) for part in made}
    except (OSError, SafetensorError, UnpicklingError, RuntimeError, LookupError, TypeError, ValueError) as error:
        why = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise NotFoundError(f"{file} is not an IP-Adapter", why=why, hint=HINT) from error
    if not made["ip_adapter"] or not any(kind in made["image_proj"] for kind in KINDS):
        faces = "it wants faces recognised, not pictures" if made["ip_adapter"] else "its weights have other names"
        raise NotFoundError(f"{file} is not an IP-Adapter for pictures", why=faces, hint=HINT)
    return made
