"""Loading and placing models in the standard diffusers layout: the embedded storybook, a folder or a hub id."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from laser_cli.engine.schedule import Level, NoisePredictor, Schedule, to_eps
from laser_cli.errors import NotFoundError, UsageError
from laser_cli.models.find import STORYBOOK, find_model
from laser_cli.models.layout import NEEDED, SECOND

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


@dataclass(frozen=True)
class SecondEncoder:
    """SDXL's second text encoder; with ``blank`` an empty prompt is all zeros, as the checkpoint was trained."""

    encoder: Any
    tokenizer: Any
    blank: bool = True

    @property
    def width(self) -> int:
        """Numbers of the pooled embedding."""
        return int(self.encoder.config.projection_dim)


@dataclass
class Model:
    """A text-to-image model in parts; ``rows`` counts the U-Net evaluations made through ``eps``."""

    name: str
    revision: str
    unet: Any
    vae: Any
    text_encoder: Any
    tokenizer: Any
    schedule: Schedule
    device: torch.device
    dtype: torch.dtype
    offload: bool = False
    rows: int = field(default=0)
    second: SecondEncoder | None = None
    unseen: Tensor | None = None
    """Of a model that takes image prompts (engine.adapter): the tokens [1, m, d] of no picture."""

    @property
    def scale(self) -> int:
        """Pixels a latent stands for, on a side."""
        return 2 ** (len(self.vae.config.block_out_channels) - 1)

    @property
    def multiple(self) -> int:
        """Picture sides are multiples of this: the U-Net halves the latents at every level but the last."""
        return self.scale * 2 ** (len(self.unet.config.block_out_channels) - 1)

    @property
    def size(self) -> int:
        """The side of the pictures the model was trained on."""
        return int(self.unet.config.sample_size) * self.scale

    @property
    def eps(self) -> NoisePredictor:
        """The U-Net as a noise predictor in float32."""

        def predict(x: Tensor, level: Level, states: Tensor) -> Tensor:
            self.rows += len(x)
            states, image = (states, None) if self.unseen is None else states.split(self._lengths(states), dim=1)
            text, more = (states, {}) if self.second is None else self._added(x, states)
            read = text.to(self.dtype) if image is None else (text.to(self.dtype), [image[:, None].to(self.dtype)])
            out = self.unet(x.to(self.dtype), level.timestep, encoder_hidden_states=read, **more).sample
            return to_eps(out.float(), x, level.alpha, self.schedule.prediction)

        return predict

    @torch.no_grad()
    def encode_prompts(self, prompts: Sequence[str]) -> Tensor:
        """Text states [n, l, d], float32; what goes past the tokenizer's length is cut (see ``cut_off``).

        Of an SDXL model the last row is the pooled embedding, filled up with zeros: so whatever is done to the states,
        stored, blended, repeated, is done to it as well. So it is with the rows of an image prompt, which follow.
        """
        states = self._encode(prompts)
        return states if self.unseen is None else torch.cat([states, self.unseen.expand(len(states), -1, -1)], dim=1)

    def _encode(self, prompts: Sequence[str]) -> Tensor:
        if self.second is not None:
            return self._encode_twice(prompts, self.second)
        with self._resident(self.text_encoder):
            return self.text_encoder(self._ids(self.tokenizer, prompts))[0].float()

    def _lengths(self, states: Tensor) -> tuple[int, int]:
        """Rows of the text, and of the image prompt behind it."""
        image = 0 if self.unseen is None else self.unseen.shape[1]
        return states.shape[1] - image, image

    def _ids(self, tokenizer: Any, prompts: Sequence[str]) -> Tensor:
        length = tokenizer.model_max_length
        told = tokenizer(list(prompts), padding="max_length", max_length=length, truncation=True, return_tensors="pt")
        return told.input_ids.to(self.device)

    def _encode_twice(self, prompts: Sequence[str], second: SecondEncoder) -> Tensor:
        """SDXL: the last but one layer of both encoders side by side, and the second one's pooled embedding."""
        with self._resident(self.text_encoder):
            first = self.text_encoder(self._ids(self.tokenizer, prompts), output_hidden_states=True).hidden_states[-2]
        with self._resident(second.encoder):
            told = second.encoder(self._ids(second.tokenizer, prompts), output_hidden_states=True)
        states = torch.cat([first, told.hidden_states[-2]], dim=-1).float()
        pooled = torch.nn.functional.pad(told.text_embeds.float(), (0, states.shape[-1] - second.width))
        states = torch.cat([states, pooled[:, None]], dim=1)
        if second.blank:
            states[[i for i, prompt in enumerate(prompts) if not prompt]] = 0
        return states

    def _added(self, x: Tensor, states: Tensor) -> tuple[Tensor, dict[str, Any]]:
        """SDXL: the states without the pooled row, and that row with the sizes of the picture (whole, uncropped)."""
        assert self.second is not None
        height, width = (side * self.scale for side in x.shape[-2:])
        sizes = torch.tensor([height, width, 0, 0, height, width], device=x.device, dtype=self.dtype)
        pooled = states[:, -1, : self.second.width].to(self.dtype)
        return states[:, :-1], {"added_cond_kwargs": {"text_embeds": pooled, "time_ids": sizes.expand(len(x), -1)}}

    @property
    def embedded(self) -> bool:
        """Whether this is the storybook model that ships with the package."""
        return self.name == STORYBOOK

    def strange_words(self, prompts: Sequence[str]) -> list[str]:
        """Words that the tokenizer must spell: to a model whose tokenizer was learned on its captions, unknown ones."""
        words = dict.fromkeys(word for prompt in prompts for word in re.findall(r"[^\W\d_]+", prompt.lower()))
        return [word for word in words if len(self.tokenizer(word, add_special_tokens=False).input_ids) > 1]

    def cut_off(self, prompt: str) -> str:
        """The end of a prompt that does not fit, or ""."""
        ids = self.tokenizer(prompt, add_special_tokens=False).input_ids
        return self.tokenizer.decode(ids[self.tokenizer.model_max_length - 2 :]).strip()

    @torch.no_grad()
    def encode_picture(self, picture: Tensor) -> Tensor:
        """[n, 3, h, w] in 0..1 to latents, float32: the posterior's mean, scaled."""
        with self._resident(self.vae):
            z = self.vae.encode((picture * 2 - 1).to(self.device, self.vae.dtype)).latent_dist.mean.float()
        return (z - (getattr(self.vae.config, "shift_factor", None) or 0.0)) * self.vae.config.scaling_factor

    @torch.no_grad()
    def decode(self, latents: Tensor) -> Tensor:
        """Latents to pictures [n, 3, h, w] in 0..1, float32, one at a time so that the batch changes nothing."""
        z = latents / self.vae.config.scaling_factor + (getattr(self.vae.config, "shift_factor", None) or 0.0)
        with self._resident(self.vae):
            pictures = [self.vae.decode(one.to(self.device, self.vae.dtype)).sample.float() for one in z.split(1)]
        return (torch.cat(pictures) / 2 + 0.5).clamp(0, 1)

    @contextmanager
    def _resident(self, part: Any) -> Iterator[None]:
        """With offload, a part visits the device only while it works."""
        if self.offload:
            part.to(self.device)
        try:
            yield
        finally:
            if self.offload:
                part.to("cpu")


def choose_device(name: str = "auto") -> torch.device:
    """auto: cuda, else mps, else cpu; asking for a device that is not there is an error."""
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        return torch.device(next(d for d, ok in there.items() if ok))
    kind = name.split(":")[0]
    if kind not in there:
        raise UsageError(f"unknown device {name!r}", hint="--device auto, cuda, mps or cpu")
    if not there[kind]:
        raise UsageError(
            f"the device {name!r} is not available",
            why=f"this torch ({torch.__version__}) finds none",
            hint="--device auto, or install a torch build for it",
        )
    return torch.device(name)


def choose_dtype(name: str, device: torch.device) -> torch.dtype:
    """auto: float16 on cuda and mps; on the CPU bfloat16 where it has matrix units for it, else float32."""
    if name in DTYPES:
        return DTYPES[name]
    if name != "auto":
        raise UsageError(f"unknown dtype {name!r}", hint="--dtype auto, float32, bfloat16 or float16")
    if device.type != "cpu":
        return torch.float16
    return torch.bfloat16 if fast_bfloat16() else torch.float32


def fast_bfloat16() -> bool:
    """Whether this CPU has units for bfloat16, which elsewhere is slower than float32."""
    probes = (getattr(torch.cpu, f"_is_{unit}_supported", None) for unit in ("avx512_bf16", "amx_tile"))
    return any(probe() for probe in probes if probe)


def load_model(name: str = STORYBOOK, device: str = "auto", dtype: str = "auto", offload: bool = False) -> Model:
    """A model by name; NotFoundError if it is not there or lacks a part, UsageError for a device that is not there."""
    from diffusers import AutoencoderKL, UNet2DConditionModel
    from transformers import CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()
    place = choose_device(device)
    kind = choose_dtype(dtype, place)
    folder, revision = find_model(name)
    double = (folder / SECOND[0]).is_dir()
    missing = [part for part in (*NEEDED, *(SECOND if double else ())) if not (folder / part).is_dir()]
    if missing:
        raise NotFoundError(
            f"{name} is not a complete model",
            why=f"{folder.name} has no {', '.join(missing)}",
            hint="a folder or hub id in the standard diffusers layout (SD 1.x, 2.x, SDXL)",
        )
    try:
        parts = {
            "unet": UNet2DConditionModel.from_pretrained(folder / "unet", torch_dtype=kind, local_files_only=True),
            # The VAE is small, and half precision shows in its pictures: float32 unless the card holds it all. SDXL's
            # overflows in float16.
            "vae": AutoencoderKL.from_pretrained(
                folder / "vae",
                torch_dtype=kind if place.type == "cuda" and not double else torch.float32,
                local_files_only=True,
            ),
            "text_encoder": CLIPTextModel.from_pretrained(
                folder / "text_encoder", dtype=torch.float32, local_files_only=True
            ),
        }
        tokenizer = CLIPTokenizer.from_pretrained(folder / "tokenizer", local_files_only=True)
        second = None
        if double:
            parts[SECOND[0]] = CLIPTextModelWithProjection.from_pretrained(
                folder / SECOND[0], dtype=torch.float32, local_files_only=True
            )
            other = CLIPTokenizer.from_pretrained(folder / SECOND[1], local_files_only=True)
            second = SecondEncoder(parts[SECOND[0]], other, _blank(folder))
        schedule = Schedule.from_config(json.loads((folder / "scheduler" / "scheduler_config.json").read_text()))
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        if "out of memory" in str(error):
            raise
        raise NotFoundError(
            f"cannot load the model {name}",
            why=str(error).splitlines()[0],
            hint="a folder or hub id in the standard diffusers layout (SD 1.x, 2.x, SDXL), complete and undamaged",
        ) from error
    for key, part in parts.items():
        part.requires_grad_(False).eval().to("cpu" if offload and key != "unet" else place)
    vae = parts["vae"]
    vae.enable_slicing()
    model = Model(name, revision, parts["unet"], vae, parts["text_encoder"], tokenizer, schedule, place, kind, offload)
    model.second = second
    if model.size > 512:
        vae.enable_tiling()
    return model


def _blank(folder: Path) -> bool:
    """Whether an empty prompt is all zeros to an SDXL model: its index says so, as its pipeline's default does."""
    index = folder / "model_index.json"
    return not index.is_file() or bool(json.loads(index.read_text("utf-8")).get("force_zeros_for_empty_prompt", True))
