"""Whether a model is whole: settings that fit together, weight files with the right tensors, vocabularies, no NaN.

`problems` reads configurations and headers alone, so it runs before every load; with ``deep`` it reads the weights too.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from laser_cli.errors import NotFoundError
from laser_cli.models.identify import Header, identify, read_header
from laser_cli.models.layout import NEEDED, SECOND, missing_shards, read_json, weight_files
from laser_cli.models.schedules import Schedule

MOST = 4
"""Tensor names that a line about a file lists; the rest is a number."""
OLD_VAE = {"query": "to_q", "key": "to_k", "value": "to_v", "proj_attn": "to_out.0"}
"""What attention of a VAE was called in files of 2022, which the library still reads."""


def require_whole(path: Path, name: str, variant: str | None = None, skip: tuple[str, ...] = ()) -> None:
    """NotFoundError that lists what is wrong with a model, named as the user did, if anything is.

    Parts in ``skip`` will come from elsewhere.
    """
    found = list(problems(path, variant, skip=skip))
    if found:
        raise NotFoundError(
            f"the model {name} is not whole",
            why="\n".join(found),
            hint=f"copy or download it again; laser models verify {name} reads its weights too",
        )


def problems(path: Path, variant: str | None = None, deep: bool = False, skip: tuple[str, ...] = ()) -> Iterator[str]:
    """What keeps a model from drawing right, a line each, with the file's name.

    ``deep``: also reads all weights, for NaN and infinity. NotFoundError if the path is not a model of a known family.
    """
    identity = identify(path)
    family = identity.require(str(path))
    if identity.plugin:  # it alone knows what belongs to the model
        return
    if path.is_file():
        yield from _file_problems(path, family, deep, skip)
        return
    parts = [part for part in (*NEEDED, *(SECOND if family == "SDXL" else ())) if part not in skip]
    configs: dict[str, dict[str, Any]] = {}
    if (path / "model_index.json").is_file():
        try:
            read_json(path / "model_index.json")
        except ValueError as error:
            yield str(error)
    for part in parts:
        try:
            configs[part] = _config(path / part)
        except ValueError as error:
            yield str(error)
    if lost := [part for part in parts if part not in configs]:
        lost = [part for part in lost if not (path / part).is_dir()]
    if len(configs) == len(parts):
        yield from _misfits(configs)
    for part in parts:
        folder = path / part
        if part in lost:
            continue
        if part == "scheduler":
            yield from _scheduler_problems(folder)
        elif part.startswith("tokenizer"):
            yield from _tokenizer_problems(folder, configs.get(part.replace("tokenizer", "text_encoder"), {}))
        elif part in configs:
            yield from _weight_problems(folder, configs[part], variant)
            if deep:
                for file in weight_files(folder, variant):
                    yield from (f"{part}/{line}" for line in not_finite(file))


def _config(part: Path) -> dict[str, Any]:
    """A part's settings; of a tokenizer none are needed. ValueError if they are missing or damaged."""
    if not part.is_dir():
        raise ValueError(f"{part.name}: missing")
    if part.name.startswith("tokenizer"):
        file = part / "tokenizer_config.json"
        return read_json(file) if file.is_file() else {}
    return read_json(part / ("scheduler_config.json" if part.name == "scheduler" else "config.json"))


def _misfits(configs: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """Widths and channels that differ between parts which must share them."""
    unet, vae, text = configs["unet"], configs.get("vae"), configs["text_encoder"]
    second = configs.get("text_encoder_2")
    widths = [int(each.get("hidden_size") or 512) for each in (text, second) if each is not None]
    reads = unet.get("cross_attention_dim", 1280)
    wide = max(reads) if isinstance(reads, list | tuple) else int(reads or 0)
    if wide != sum(widths) and not unet.get("encoder_hid_dim"):
        told = " + ".join(str(width) for width in widths)
        yield f"unet/config.json: it reads text of width {wide}, the text encoder writes {told}"
    channels = int(unet.get("in_channels") or 4)
    if vae is not None and (latent := int(vae.get("latent_channels") or 4)) != channels:
        yield f"unet/config.json: it draws {channels} channels, the VAE has {latent}"
    if second is not None:
        pooled = int(unet.get("projection_class_embeddings_input_dim") or 0)
        sizes = 6 * int(unet.get("addition_time_embed_dim") or 0)
        writes = int(second.get("projection_dim") or 512)
        if pooled != sizes + writes:
            yield f"unet/config.json: it reads {pooled - sizes} pooled numbers, text_encoder_2 writes {writes}"
    heads = int(text.get("num_attention_heads") or 1)
    if widths[0] % heads:
        yield f"text_encoder/config.json: {widths[0]} numbers do not divide among {heads} heads"


def _scheduler_problems(folder: Path) -> Iterator[str]:
    try:
        Schedule.from_config(read_json(folder / "scheduler_config.json"))
    except ValueError:
        return  # told with the configurations
    except NotFoundError as error:
        yield f"scheduler/scheduler_config.json: {error.what}; {error.why}"


def _tokenizer_problems(folder: Path, encoder: Mapping[str, Any]) -> Iterator[str]:
    """No vocabulary, or tokens that the text encoder has no embedding for."""
    try:
        ids = _vocabulary(folder)
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        said = getattr(error, "strerror", None) or str(error).splitlines()[0]
        yield f"{folder.name}: its vocabulary cannot be read: {said}"
        return
    if len(ids) < 2:
        yield f"{folder.name}: no vocabulary (neither tokenizer.json nor vocab.json with merges.txt has words)"
        return
    known = int(encoder.get("vocab_size") or 0)
    if known and (over := sorted(word for word, i in ids.items() if i >= known)):
        more = f" and {len(over) - MOST} more" if len(over) > MOST else ""
        told = f"{', '.join(repr(word) for word in over[:MOST])}{more}"
        yield f"{folder.name}: {told} lie beyond the text encoder's {known} embeddings"


def _vocabulary(folder: Path) -> dict[str, int]:
    """Words and their numbers, as a tokenizer would read them."""
    ids: dict[str, int] = {}
    if (folder / "tokenizer.json").is_file():
        told = json.loads((folder / "tokenizer.json").read_text("utf-8"))
        ids |= told["model"]["vocab"]
        ids |= {each["content"]: int(each["id"]) for each in told.get("added_tokens", ())}
    elif (folder / "vocab.json").is_file() and (folder / "merges.txt").is_file():
        ids |= json.loads((folder / "vocab.json").read_text("utf-8"))
    if ids and (folder / "added_tokens.json").is_file():
        ids |= json.loads((folder / "added_tokens.json").read_text("utf-8"))
    return ids


def _weight_problems(folder: Path, config: Mapping[str, Any], variant: str | None) -> Iterator[str]:
    """Missing files and shards; tensors that are not there, have other names, or other shapes than the part wants."""
    part = folder.name
    lost = missing_shards(folder)
    yield from (f"{part}/{name}: missing" for name in lost)
    files = weight_files(folder, variant)
    if not files:
        if not lost:
            yield f"{part}: no weights (neither .safetensors nor .bin)"
        return
    found: dict[str, tuple[int, ...]] = {}
    for file in files:
        try:
            found |= read_header(file) if file.suffix == ".safetensors" else _pickle_header(file)
        except ValueError as error:
            yield f"{part}/{error}"
            return
    try:
        wanted = expected_tensors(part, config)
    except (ValueError, TypeError, KeyError, ZeroDivisionError, IndexError, RuntimeError, AttributeError) as error:
        yield f"{part}/config.json: no network can be built from it: {str(error).splitlines()[0]}"
        return
    name = files[0].name if len(files) == 1 else "weights"
    yield from (f"{part}/{name}: {line}" for line in differences(wanted, found))


def differences(wanted: Header, found: Header) -> Iterator[str]:
    """Tensors that are wanted and not found, and those of another shape; names and shapes as the library maps them."""
    here = {_plain(key): shape for key, shape in found.items()}
    need = {_plain(key): shape for key, shape in wanted.items()}
    absent = [key for key in need if key not in here]
    if absent:
        strange = [key for key in here if key not in need and not key.endswith("position_ids")]
        other = f"; it has {_some(strange)} instead" if strange else ""
        yield f"lacks {_some(absent)}{other}"
    for key, shape in need.items():
        # 1x1 convolutions of old VAEs became linear layers
        if key in here and here[key] != shape and here[key] != (*shape, 1, 1):
            yield f"{key} is {_by(here[key])} where {_by(shape)} is wanted"


def expected_tensors(part: str, config: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    """Names and shapes of a part's tensors, from a network that is built without memory for its weights."""
    import torch

    with torch.device("meta"):
        network = _network(part, dict(config))
    return {key: tuple(value.shape) for key, value in network.state_dict().items() if not _derived(key)}


def _network(part: str, config: dict[str, Any]) -> Any:
    from diffusers import AutoencoderKL, UNet2DConditionModel
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

    if part == "unet":
        return UNet2DConditionModel.from_config(config)
    if part == "vae":
        return AutoencoderKL.from_config(config)
    made = CLIPTextModelWithProjection if part == "text_encoder_2" else CLIPTextModel
    return made(CLIPTextConfig.from_dict(config))


def _derived(key: str) -> bool:
    """Whether a tensor is computed, not learned, so that files need not hold it."""
    return key.endswith("position_ids")


def _plain(key: str) -> str:
    """A tensor's name without what versions of the libraries disagree on."""
    key = key.removeprefix("text_model.")
    parts = key.split(".")
    if len(parts) > 2 and parts[-2] in OLD_VAE and "attentions" in parts:
        key = ".".join([*parts[:-2], OLD_VAE[parts[-2]], parts[-1]])
    return key


def _pickle_header(file: Path) -> dict[str, tuple[int, ...]]:
    """Names and shapes of the tensors of a .bin; nothing in it is run. ValueError that names a damaged file."""
    from pickle import UnpicklingError

    import torch

    try:
        told = torch.load(file, map_location="meta", weights_only=True, mmap=True)
    except (OSError, RuntimeError, UnpicklingError, EOFError, ValueError) as error:
        raise ValueError(f"{file.name} is not whole: {str(error).splitlines()[0]}") from error
    return {key: tuple(value.shape) for key, value in told.items() if hasattr(value, "shape")}


def not_finite(file: Path) -> Iterator[str]:
    """Tensors with NaN or infinity in a weight file, a line each with the file's name; of a damaged file none."""
    from pickle import UnpicklingError

    import torch
    from safetensors import SafetensorError

    try:
        for key, value in _tensors(file):
            if value.is_floating_point() and not (value if value.element_size() > 1 else value.half()).isfinite().all():
                kind = "NaN" if torch.isnan(value.float()).any() else "infinity"
                yield f"{file.name}: {key} has {kind}"
    except (OSError, RuntimeError, ValueError, EOFError, SafetensorError, UnpicklingError):
        return  # its header told already


def _tensors(file: Path) -> Iterator[tuple[str, Any]]:
    import torch
    from safetensors import safe_open

    if file.suffix == ".safetensors":
        with safe_open(file, "pt") as data:
            for key in data.keys():  # noqa: SIM118
                yield key, data.get_tensor(key)
    else:
        yield from torch.load(file, map_location="cpu", weights_only=True, mmap=True).items()


def _file_problems(file: Path, family: str, deep: bool, skip: tuple[str, ...]) -> Iterator[str]:
    """Of a single file: tensors that its family's networks want and that are not there, NaN."""
    from laser_cli.models.single_file import missing_tensors

    yield from (f"{file.name}: {line}" for line in missing_tensors(read_header(file), family, skip=skip))
    if deep:
        yield from not_finite(file)


def _some(names: list[str]) -> str:
    more = f" and {len(names) - MOST} more" if len(names) > MOST else ""
    return ", ".join(names[:MOST]) + more


def _by(shape: tuple[int, ...]) -> str:
    return " x ".join(str(side) for side in shape) or "a number"
