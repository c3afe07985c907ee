"""Which ControlNet a name stands for, whether it fits the model, and its networks."""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, NamedTuple

from laser_cli.errors import NotFoundError, UsageError
from laser_cli.models.find import STORYBOOK, WEIGHTS, from_hub, refuse_pickle
from laser_cli.models.identify import read_header
from laser_cli.models.layout import choose_weights, read_json, variant_of

if TYPE_CHECKING:
    from laser_cli.models.control_net import ControlNet
    from laser_cli.models.model import Model

PLACES = "--controlnet storybook, a folder of a ControlNet, its .safetensors, or a hub id such as owner/name"
FITTING = "a ControlNet that was trained for this kind of model"
EMBEDDED = WEIGHTS / "edges"
"""Storybook's own, which is led by outlines."""
CONFIG = "config.json"
SAME = ("cross_attention_dim", "block_out_channels", "layers_per_block", "addition_embed_type", "in_channels")
"""Settings that a ControlNet shares with the U-Net that it leads."""
OTHERS = {
    "ControlNetUnionModel": "a ControlNet Union, whose one network takes several kinds of conditions",
    "ControlNetXSAdapter": "a ControlNet-XS",
    "T2IAdapter": "a T2I-Adapter",
    "MultiAdapter": "several T2I-Adapters",
    "SparseControlNetModel": "a SparseCtrl of AnimateDiff",
}
"""Classes of folders that are something like ControlNets and cannot be used as one."""
MARKS = {
    "lllite_": "a ControlNet-LLLite",
    "lora_controlnet": "a Control-LoRA",
    "task_embedding": OTHERS["ControlNetUnionModel"],
    "control_add_embedding.": OTHERS["ControlNetUnionModel"],
    "base_to_ctrl.": OTHERS["ControlNetXSAdapter"],
    "adapter.body.": OTHERS["T2IAdapter"],
    "body.0.": OTHERS["T2IAdapter"],
    "controlnet_x_embedder.": "a ControlNet of a flow transformer",
}
"""How tensor names of single files begin that are no ControlNets, though their names may say so."""
OURS = ("control_model.", "controlnet_cond_embedding.", "input_hint_block.")
"""How tensor names of a ControlNet begin, in the original and in the library's layout."""
LACKS = "it lacks some of the tensors that go with this model"
SHARE = re.compile(r":([0-9.]+)-([0-9.]+)$")
WEIGHT = re.compile(r":([^:/]*)$")
"""What may follow a net's name."""


class ControlChoice(NamedTuple):
    """A ControlNet by name, the weight of its residuals, and the share of the steps in which it leads."""

    name: str
    weight: float = 1.0
    start: float = 0.0
    end: float = 1.0


def parse_control_net(text: str) -> ControlChoice:
    """``MODEL[:WEIGHT[:START-END]]``, or ``MODEL:START-END``; UsageError if the numbers are none or cannot be."""
    whole = os.path.expanduser(text)
    if Path(whole).exists():
        return ControlChoice(whole)
    share = SHARE.search(whole)
    rest, (start, end) = (whole[: share.start()], share.groups()) if share else (whole, ("0", "1"))
    said = None if Path(rest).exists() or rest.endswith(".safetensors") else WEIGHT.search(rest)
    name, weight = (rest[: said.start()], said[1]) if said else (rest, "1")
    hint = f"--controlnet {name}:0.8, or {name}:0.8:0-0.6 for the first 6 in 10 of the steps"
    try:
        made = ControlChoice(name, float(weight), float(start), float(end))
    except ValueError as error:
        raise UsageError(f"--controlnet {text}: {weight!r} is not a weight", hint=hint) from error
    if not (math.isfinite(made.weight) and 0 <= made.weight <= 10):
        raise UsageError(f"--controlnet {text}: {weight} is not a weight", why="weights are 0 to 10", hint=hint)
    if not 0 <= made.start < made.end <= 1:
        why = "shares of the steps rise from 0 to 1"
        raise UsageError(f"--controlnet {text}: {start}-{end} is no part of the steps", why=why, hint=hint)
    return made


def find_control_net(name: str) -> Path:
    """The folder or file of a ControlNet: storybook's, a local one, else the hub's (its cache first).

    NotFoundError if it is not there, cannot be had, or is a pickle.
    """
    if name == STORYBOOK:
        if not (EMBEDDED / CONFIG).is_file():
            why = "this installation has no weights of it"
            raise NotFoundError("the embedded ControlNet is missing", why=why, hint="install laser-cli again")
        return EMBEDDED
    path = Path(os.path.expanduser(name))
    if path.is_file():
        refuse_pickle(path)
        return path
    if path.is_dir():
        return path
    if name.startswith((".", "/", "~")) or name.count("/") != 1 or path.suffix in (".safetensors", ".pth", ".ckpt"):
        raise NotFoundError(f"there is no ControlNet {name}", why="no such folder or file", hint=PLACES)
    return _from_hub(name)


def _from_hub(name: str) -> Path:
    """The folder of a hub repository in the cache; what is missing of configuration and weights is fetched."""
    from huggingface_hub import HfApi, snapshot_download, try_to_load_from_cache
    from huggingface_hub.utils import disable_progress_bars

    with from_hub(name, what="ControlNet", places=PLACES):
        cached = try_to_load_from_cache(name, CONFIG)
        if isinstance(cached, str) and choose_weights([file.name for file in Path(cached).parent.iterdir()]):
            return Path(cached).parent
        files = [sibling.rfilename for sibling in HfApi().model_info(name).siblings or ()]
        chosen = choose_weights([file for file in files if "/" not in file])
        if CONFIG not in files or chosen is None:
            single = next((file for file in files if file.endswith(".safetensors")), None)
            why = f"it has no {CONFIG} with weights beside it; it has {', '.join(sorted(files)[:4]) or 'no files'}"
            hint = f"hf download {name} {single}, and pass that file to --controlnet" if single else PLACES
            raise NotFoundError(f"{name} is not a ControlNet in the library's layout", why=why, hint=hint)
        disable_progress_bars()
        return Path(snapshot_download(name, allow_patterns=[CONFIG, *chosen.names]))


def load_control_net(model: Model, path: Path, weight: float = 1.0, start: float = 0.0, end: float = 1.0) -> ControlNet:
    """A ControlNet for a model, on its device and in its precision.

    NotFoundError if it is not there, is not one, or was trained for another kind of model.
    """
    from diffusers import ControlNetModel

    from laser_cli.models.control_net import ControlNet
    from laser_cli.models.parts import quiet

    try:
        if path.is_dir():
            config = read_json(path / CONFIG)
            _check(path, config, model)
            with quiet():
                net = ControlNetModel.from_pretrained(
                    path, variant=variant_of(path), torch_dtype=model.dtype, local_files_only=True
                )
        elif path.is_file() and path.suffix == ".safetensors":
            net = _from_file(path, model)
        else:
            raise NotFoundError(f"there is no ControlNet {path}", why="no such folder or .safetensors", hint=PLACES)
    except (OSError, ValueError, KeyError, RuntimeError, AttributeError) as error:
        if "out of memory" in str(error):
            raise
        why = (str(error).strip() or type(error).__name__).splitlines()[0]
        why = LACKS if "meta tensor" in why else why
        raise NotFoundError(f"cannot load the ControlNet {path}", why=why, hint=FITTING) from error
    halved = len(net.config.conditioning_embedding_out_channels) - 1
    if 2**halved != model.scale:
        why = f"it makes {2**halved} px of a condition one, the model's latents are pictures made {model.scale} smaller"
        raise NotFoundError(f"the ControlNet {path} does not fit {model.name}", why=why, hint=FITTING)
    return ControlNet.of(net.requires_grad_(False).eval().to(model.device), weight, start, end)


def _from_file(path: Path, model: Model) -> Any:
    """A single file in the library's or the original layout; its settings are those of the model's U-Net."""
    import torch
    from diffusers import ControlNetModel

    from laser_cli.models.parts import quiet

    keys = read_header(path)
    for mark, what in MARKS.items():
        if any(key.startswith(mark) for key in keys):
            raise _other(path, what)
    if not any(key.startswith(OURS) for key in keys):
        some = ", ".join(sorted(keys)[:3]) or "none"
        raise NotFoundError(f"{path} is not a ControlNet", why=f"its tensors have other names ({some})", hint=PLACES)
    halvings = {2: (16, 32), 4: (16, 32, 96), 8: (16, 32, 96, 256)}  # as often as the VAE halves pictures
    channels = halvings.get(model.scale, halvings[8])
    with torch.device("meta"):  # its settings are wanted, not weights
        like = ControlNetModel.from_unet(
            model.unet, conditioning_embedding_out_channels=channels, load_weights_from_unet=False
        )
    with TemporaryDirectory() as folder, quiet():
        settings = {**like.config, "_class_name": "ControlNetModel"}
        (Path(folder) / CONFIG).write_text(json.dumps(settings, default=str))
        net = ControlNetModel.from_single_file(str(path), config=folder, torch_dtype=model.dtype, local_files_only=True)
    if any(weight.is_meta for weight in net.parameters()):
        raise ValueError(LACKS)
    return net


def _check(path: Path, config: Mapping[str, Any], model: Model) -> None:
    """NotFoundError unless these are the settings of a ControlNet that fits the model."""
    kind = str(config.get("_class_name"))
    if kind in OTHERS:
        raise _other(path, OTHERS[kind])
    if kind != "ControlNetModel":
        raise NotFoundError(f"{path} is not a ControlNet", why=f"it is a {kind}", hint=PLACES)
    if config.get("global_pool_conditions"):
        raise _other(path, "a ControlNet that is told the mean of a picture (shuffle), which leads no shapes")
    for name in SAME:
        theirs, ours = config.get(name), model.unet.config.get(name)
        if name in config and _plain(theirs) != _plain(ours):
            why = f"its {name} is {_plain(theirs)}, the model's is {_plain(ours)}"
            raise NotFoundError(f"the ControlNet {path} does not fit {model.name}", why=why, hint=FITTING)


def _other(path: Path, what: str) -> NotFoundError:
    why = "laser leads with plain ControlNets of SD 1.x, SD 2.x and SDXL"
    return NotFoundError(f"laser cannot lead with {path}: it is {what}", why=why, hint=PLACES)


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
