"""ControlNets (arXiv 2302.05543): pictures of edges, depth or poses that lead a U-Net through residuals."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import torch.nn.functional as F
from torch import Tensor

from laser_cli.errors import NotFoundError
from laser_cli.models.identify import read_header
from laser_cli.models.layout import read_json, variant_of
from laser_cli.models.parts import quiet

if TYPE_CHECKING:
    from laser_cli.models.conditioning import Conditioning
    from laser_cli.models.model import Model

HINT = "a folder of a ControlNet in the library's layout, or its .safetensors, trained for this kind of model"
SAME = ("cross_attention_dim", "block_out_channels", "layers_per_block", "addition_embed_type")
"""Settings that a ControlNet shares with the U-Net that it leads."""


@dataclass(frozen=True)
class ControlNet:
    """A ControlNet and the weight of its residuals."""

    net: Any
    weight: float = 1.0


def load_control_net(model: Model, path: Path, weight: float = 1.0) -> ControlNet:
    """A ControlNet for a model, on its device and in its precision.

    NotFoundError if it is not there, is not one, or was trained for another kind of model.
    """
    from diffusers import ControlNetModel

    try:
        if path.is_dir():
            config = read_json(path / "config.json")
            if config.get("_class_name") != "ControlNetModel":
                why = f"it is a {config.get('_class_name')}"
                raise NotFoundError(f"{path} is not a ControlNet that laser knows", why=why, hint=HINT)
            _check(path, config, model)
            with quiet():
                net = ControlNetModel.from_pretrained(
                    path, variant=variant_of(path), torch_dtype=model.dtype, local_files_only=True
                )
        elif path.is_file() and path.suffix == ".safetensors":
            net = _from_file(path, model)
        else:
            raise NotFoundError(f"there is no ControlNet {path}", why="no such folder or .safetensors file", hint=HINT)
    except (OSError, ValueError, KeyError, RuntimeError, AttributeError) as error:
        if "out of memory" in str(error):
            raise
        why = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise NotFoundError(f"cannot load the ControlNet {path}", why=why, hint=HINT) from error
    return ControlNet(net.requires_grad_(False).eval().to(model.device), weight)


def with_control_nets(model: Model, nets: Sequence[ControlNet]) -> Model:
    """The model led by ControlNets wherever a conditioning has their conditions; the given model stays without."""
    return replace(model, backbone=model.backbone.with_control_nets(nets))


def conditioned(told: Conditioning, conditions: Sequence[Tensor]) -> Conditioning:
    """The conditioning with a picture [n, 3, h, w] in 0..1 for each ControlNet, in the size that is drawn."""
    return replace(told, spatial={**told.spatial, **{f"condition.{i}": x for i, x in enumerate(conditions)}})


def as_condition(picture: Tensor, size: tuple[int, int]) -> Tensor:
    """A picture [3, h, w] in 0..1 as a condition [1, 3, h, w] of a drawing of (w, h) px."""
    width, height = size
    return F.interpolate(picture[None], size=(height, width), mode="bilinear", antialias=True, align_corners=False)


def residuals(
    nets: Sequence[ControlNet],
    latents: Tensor,
    timestep: float | Tensor,
    embeds: Tensor,
    conditions: Sequence[Tensor],
    added: dict[str, Any],
) -> tuple[list[Tensor], Tensor]:
    """What ControlNets add to the U-Net's skip connections and to its middle, summed over the nets."""
    down: list[Tensor] = []
    mid: Tensor | None = None
    for control, condition in zip(nets, conditions, strict=True):
        here, middle = control.net(
            latents,
            timestep,
            encoder_hidden_states=embeds,
            controlnet_cond=condition.to(latents.dtype),
            conditioning_scale=control.weight,
            return_dict=False,
            **added,
        )
        down = [a + b for a, b in zip(down, here, strict=True)] if down else list(here)
        mid = middle if mid is None else mid + middle
    assert mid is not None
    return down, mid


def _from_file(path: Path, model: Model) -> Any:
    """A single file in the library's or the original layout; its settings are those of the model's U-Net."""
    from diffusers import ControlNetModel

    keys = read_header(path)
    if not any(key.startswith(("control_model.", "controlnet_cond_embedding.", "input_hint_block.")) for key in keys):
        raise NotFoundError(
            f"{path} is not a ControlNet that laser knows", why="its tensors have other names", hint=HINT
        )
    halvings = {2: (16, 32), 4: (16, 32, 96), 8: (16, 32, 96, 256)}  # as often as the VAE halves pictures
    channels = halvings.get(model.scale, halvings[8])
    config = dict(
        ControlNetModel.from_unet(
            model.unet, conditioning_embedding_out_channels=channels, load_weights_from_unet=False
        ).config
    )
    with TemporaryDirectory() as folder, quiet():
        (Path(folder) / "config.json").write_text(json.dumps({**config, "_class_name": "ControlNetModel"}, default=str))
        return ControlNetModel.from_single_file(
            str(path), config=folder, torch_dtype=model.dtype, local_files_only=True
        )


def _check(path: Path, config: dict[str, Any], model: Model) -> None:
    for name in SAME:
        theirs, ours = config.get(name), model.unet.config.get(name)
        if name in config and _plain(theirs) != _plain(ours):
            why = f"its {name} is {_plain(theirs)}, the model's is {_plain(ours)}"
            raise NotFoundError(f"the ControlNet {path} does not fit {model.name}", why=why, hint=HINT)


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
