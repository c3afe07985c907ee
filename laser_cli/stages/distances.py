"""How different two pictures are to the eye: by pixels, by the model's own features, by the classifier, LPIPS or CLIP.

All are lengths: half of a smooth way is half as far. Where a published distance is a squared difference, its root.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, lru_cache
from importlib import import_module
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

from laser_cli.errors import NotFoundError
from laser_cli.models.model import Model

if TYPE_CHECKING:
    from laser_cli.storybook.classifier import AttributeClassifier

Distance = Callable[[Tensor, Tensor], float]
"""How far apart two pictures [3, h, w] in 0..1 are; 0 for equal ones, the same either way."""

SEEN_AT = 256
"""Pictures are brought to this longer side before the model's features are taken."""
REMEMBERED = 4
"""Pictures whose features are kept: the next distance mostly has one of the last ones."""


def find_distance(name: str, model: Model) -> Distance:
    """A distance by its full name (settings.distance), on the model's device; NotFoundError if its weights are not."""
    kind, _, where = name.partition(":")
    if kind == "pixels":
        return rms
    if kind == "features":
        return by_features(model)
    if kind == "critic":
        from laser_cli.storybook.classifier import load_classifier

        return by_classifier(load_classifier(device=model.device))
    return by_lpips(model.device) if kind == "lpips" else by_clip(where, model.device)


def at_first_use(name: str, model: Model) -> Distance:
    """The same, its weights loaded when it is first asked: work that is gone on with has no need of them."""
    found = cache(lambda: find_distance(name, model))
    return lambda a, b: found()(a, b)


def rms(a: Tensor, b: Tensor) -> float:
    """Root mean square difference of two pictures, the mean over four scales: a shift counts less than a change."""
    difference, told = (a - b)[None], []
    for _ in range(4):
        told.append(float(difference.square().mean().sqrt()))
        if min(difference.shape[-2:]) < 4:
            break
        difference = F.avg_pool2d(difference, 2)
    return sum(told) / len(told)


def by_features(model: Model) -> Distance:
    """The model's own eye: feature maps of its VAE's encoder, of unit length at each place (as LPIPS weighs them)."""

    @lru_cache(maxsize=REMEMBERED)
    @torch.no_grad()
    def maps(picture: Tensor) -> list[Tensor]:
        kept: list[Tensor] = []

        def keep(module: object, inputs: object, out: Tensor) -> None:
            kept.append(F.normalize(out.float(), dim=1))

        hooks = [block.register_forward_hook(keep) for block in model.vae.encoder.down_blocks]
        try:
            model.encode_picture(_brought(picture, model.scale)[None])
        finally:
            for hook in hooks:
                hook.remove()
        return kept

    def distance(a: Tensor, b: Tensor) -> float:
        apart = [(p - q).square().sum(1).mean() for p, q in zip(maps(a), maps(b), strict=True)]
        return float(torch.stack(apart).sum().sqrt())

    return distance


def by_classifier(classifier: AttributeClassifier) -> Distance:
    """By a storybook attribute classifier."""
    return lambda a, b: float(classifier.distance(a[None], b[None]).sqrt())


def by_lpips(device: torch.device) -> Distance:
    """LPIPS (Zhang et al. 2018) of the package of that name, with AlexNet."""
    try:
        net = import_module("lpips").LPIPS(net="alex", verbose=False).to(device).eval()
    except (ImportError, OSError) as error:  # the second: weights that it cannot get
        hint = "pip install lpips, and let it get its weights once; or --distance features"
        raise NotFoundError("LPIPS cannot be loaded", why=str(error), hint=hint) from error

    @torch.no_grad()
    def distance(a: Tensor, b: Tensor) -> float:
        p, q = (picture[None].to(device) * 2 - 1 for picture in (a, b))
        return float(net(p, q).clamp_min(0).sqrt())

    return distance


def by_clip(where: str, device: torch.device) -> Distance:
    """How far apart the image embeddings of a CLIP are on their sphere; from a folder or the hub's cache."""
    from transformers import CLIPVisionModelWithProjection, PretrainedConfig
    from transformers.image_utils import OPENAI_CLIP_MEAN, OPENAI_CLIP_STD

    try:
        told = PretrainedConfig.get_config_dict(where, local_files_only=True)[0]
        if told.get("model_type") not in ("clip", "clip_vision_model"):
            raise ValueError(f"its config.json tells of a model of type {told.get('model_type')}")
        net = CLIPVisionModelWithProjection.from_pretrained(where, local_files_only=True).to(device).eval()
    except (OSError, ValueError, RuntimeError) as error:
        hint = "--distance clip:FOLDER, or clip:ID of one in the hub's cache; or --distance features"
        raise NotFoundError(f"no CLIP can be loaded from {where}", why=str(error).splitlines()[0], hint=hint) from error
    mean, std = (torch.tensor(v, device=device).view(3, 1, 1) for v in (OPENAI_CLIP_MEAN, OPENAI_CLIP_STD))
    side = net.config.image_size

    @lru_cache(maxsize=REMEMBERED)
    @torch.no_grad()
    def embedding(picture: Tensor) -> Tensor:
        seen = F.interpolate(picture[None].to(device), (side, side), mode="bicubic", antialias=True).clamp(0, 1)
        return F.normalize(net(((seen[0] - mean) / std)[None]).image_embeds[0].float(), dim=0)

    return lambda a, b: float((embedding(a) - embedding(b)).norm())


def _brought(picture: Tensor, scale: int) -> Tensor:
    """A picture at SEEN_AT at most, its sides multiples of the VAE's scale."""
    share = min(1.0, SEEN_AT / max(picture.shape[-2:]))
    height, width = (max(scale, round(side * share / scale) * scale) for side in picture.shape[-2:])
    if (height, width) == tuple(picture.shape[-2:]):
        return picture
    return F.interpolate(picture[None], (height, width), mode="bilinear", antialias=True)[0]
