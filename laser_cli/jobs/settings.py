"""What can be set, in small models that jobs inherit: one field is an option, a key of presets and an entry of records.

Bases are listed last first, so that a job's fields stand in the order in which they are read here.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field

from laser_cli.jobs.fields import DRAWING, METHOD, MODEL, Settings, setting
from laser_cli.jobs.playback import MOST_FRAMES, Playback
from laser_cli.jobs.sampling import LARGEST_SEED, RANDOM_SEED, Sampling
from laser_cli.plan.easing import Easing
from laser_cli.plan.schema import Control

BESIDE = ("model", "device", "dtype", "seed")
"""Settings that a record keeps beside `settings`, under the same names."""


class Placement(Settings):
    """Which model, and on what."""

    model: str = setting(
        "storybook",
        MODEL,
        "storybook (embedded, the default), a folder or hub id in the standard diffusers layout, or a .safetensors.",
        complete="models",
        min_length=1,
    )
    device: str = setting("auto", MODEL, "auto (default), cuda, mps or cpu.", complete="devices", min_length=1)
    dtype: str = setting(
        "auto", MODEL, "auto (default), float32, bfloat16 or float16.", complete="dtypes", min_length=1
    )


def _texts(value: Any) -> Any:
    """The lists of YAML, JSON and the command line, or one text, as a tuple."""
    return (value,) if isinstance(value, str) else tuple(value) if isinstance(value, list) else value


Files = Annotated[tuple[str, ...], BeforeValidator(_texts)]


class ModelChoice(Placement):
    """Which model draws, on what, and with what beside."""

    FILES: ClassVar[tuple[str, ...]] = ("model", "revision", "lora", "embedding", "vae")
    """Settings that name files: what these hold is in the model's revision, their names decide nothing."""

    variant: str | None = setting(
        None, MODEL, "Of several precisions on disk this one. (default: the full one, else fp16)", metavar="fp16"
    )
    revision: str | None = setting(None, MODEL, "Branch, tag or commit of a hub model.", min_length=1)
    lora: Files = setting(
        (), MODEL, "A LoRA and its weight; may be given several times.", "--lora", metavar="FILE[:WEIGHT]"
    )
    embedding: Files = setting(
        (),
        MODEL,
        "A textual inversion: a word for prompts, named as the file; may be given several times.",
        "--embedding",
        metavar="FILE",
    )
    vae: str | None = setting(None, MODEL, "Another VAE than the model's own.", metavar="FOLDER|FILE", min_length=1)
    prompt_weights: bool = setting(
        False, MODEL, "Read (word:1.2), (word) and [word] in prompts as weights, not as letters. (default: not)"
    )
    prompt_chunks: int = setting(
        1, MODEL, "Read prompts of up to so many times 75 tokens. (default: {default}; the rest is cut)", ge=1, le=8
    )
    scheduler: str | None = setting(
        None,
        MODEL,
        "Noise levels of another scheduler than the model's own: lcm for an LCM-LoRA, euler, ddim, dpm++, unipc, ...",
        metavar="NAME",
        min_length=1,
    )
    timestep_spacing: Literal["leading", "linspace", "trailing", "karras", "exponential", "beta"] | None = setting(
        None, MODEL, "How its levels are spaced: trailing for Lightning and Turbo. (default: the scheduler's own)"
    )
    offload: bool = setting(False, MODEL, "Keep text encoder and VAE off the device until they work.")
    free_text_encoders: bool = setting(
        False, MODEL, "Free the text encoders' memory once the prompts are read; later prompts load them again."
    )
    compile: bool = setting(
        False, MODEL, "Compile the U-Net's blocks: minutes at first, fewer seconds a frame on GPUs."
    )


class FrameSettings(ModelChoice, Playback, Sampling):
    """What all jobs that draw frames have."""

    exact_first: bool = True


class AnimateSettings(FrameSettings):
    """What an animation is made with."""

    PLURAL: ClassVar[str] = "animations"

    frames: int = setting(
        24,
        DRAWING,
        "Pictures, first and last keyframe included. (default: {default}, or the plan's)",
        ge=2,
        le=MOST_FRAMES,
    )
    steps: int = setting(
        25,
        DRAWING,
        "Denoising steps. (default: {default}, or the inversion's; 11 for a portrait driven by a model's own adapters)",
        ge=1,
        le=1000,
    )
    exact_first: bool = setting(
        True, DRAWING, "Write the picture itself as frame 0 (default), or its way through the model."
    )
    easing: Easing | None = setting(None, DRAWING, "Course of time within segments. (default: linear, or the plan's)")
    control: Control | None = setting(
        None, DRAWING, "What all segments keep of the picture, instead of the plan's choice."
    )
    strength: float | None = setting(
        None, DRAWING, "How firmly they keep it, instead of the plan's choice.", ge=0, le=1
    )
    strength_scale: float = setting(
        1.0,
        DRAWING,
        "By how much all strengths, planned or given, are multiplied. (default: the model's own, or {default})",
        ge=0,
        le=1,
    )
    motion_from: int | None = setting(
        None,
        DRAWING,
        "First self-attention in which the control motion reads the picture: 10 as published for SD 1.x, 44, 54 or 64 "
        "for SDXL. (default: the decoder's last two blocks, 10 and 34)",
        ge=0,
        le=1000,
    )
    guidance_base: float = setting(
        0.5,
        DRAWING,
        "Guidance leads away from the picture's prompt (0), from no prompt (1), or from between. (default: {default})",
        ge=0,
        le=1,
    )
    fresh_noise: float = setting(
        0.0,
        DRAWING,
        "How much of the noise is fresh where the picture changes: more lets go of what it shows. "
        "(default: the model's own, or {default})",
        ge=0,
        le=1,
    )
    local_blend: bool = setting(
        True,
        DRAWING,
        "Where only the subject's kind, colour or pattern changes, keep the picture around it (default), or not.",
    )
    carry: bool = setting(
        True,
        DRAWING,
        "Carry a subject that is told to be elsewhere («to the left») there, shape and all, and keep its shape where "
        "the scene changes (default), or not.",
    )
    method: Literal["ddim", "direct", "fixed-point"] = setting(
        "direct", DRAWING, "Inversion method. (default: {default})"
    )
    seed: int = setting(
        0,
        DRAWING,
        "Seed of all noise, and of a model that plans; -1 chooses one, which is told. (default: {default})",
        ge=RANDOM_SEED,
        le=LARGEST_SEED,
    )
    even_pace: bool = setting(
        True, DRAWING, "Lay the frames so that each changes as much (default, costs a quick draft), or evenly in time."
    )
    waypoints: bool = setting(
        True, DRAWING, "Cut far ways of a description into near ones, day to night by way of sunset (default), or not."
    )


def _seeds(value: Any) -> Any:
    """`--seed 3,7`, and the lists of YAML and JSON, as a tuple."""
    if isinstance(value, str):
        parts = [part.strip() for part in value.split(",")]
        if not all(re.fullmatch(r"-1|[0-9]{1,29}", part) for part in parts):
            raise ValueError("should be a number, or one for each stop: --seed 3,7")
        return tuple(map(int, parts))
    return (value,) if isinstance(value, int) else tuple(value) if isinstance(value, list) else value


Seed = Annotated[int, Field(ge=RANDOM_SEED, le=LARGEST_SEED)]


class InterpolateSettings(FrameSettings):
    """What an interpolation is made with; `seeds` has one for all prompts, or one for each stop."""

    PLURAL: ClassVar[str] = "interpolations"
    TRANSLATED: ClassVar[dict[str, str]] = {"even_pace": "spacing", "seed": "seeds"}

    exact_first: bool = setting(
        True,
        DRAWING,
        "Write a picture that is a stop as it is (default), or as the model draws it.",
        "--exact/--no-exact",
    )
    method: Literal["outer", "inner", "text", "denoise", "dissolve"] = setting(
        "outer",
        METHOD,
        "outer (default) or inner attention interpolation; text: of the prompts alone; denoise: one prompt after "
        "the other in the denoising; dissolve: a cross-fade.",
    )
    fused: bool = setting(True, METHOD, "Frames read their own keys and values too (default), or the stops' alone.")
    warmup: float = setting(
        0.5, METHOD, "Share of the steps with attention interpolation. (default: {default})", ge=0, le=1
    )
    embeddings: Literal["lerp", "slerp"] = setting(
        "lerp", METHOD, "Way between the prompts' embeddings. (default: {default})"
    )
    noise_slerp: Literal["whole", "rows"] = setting(
        "whole",
        METHOD,
        "Arc between two noises (several seeds, or pictures): of all their numbers at once (default), or of each row "
        "of the latents, as in AID's code.",
    )
    spacing: Literal["even", "beta", "uniform"] = setting(
        "even",
        DRAWING,
        "even (default): each frame changes as much as the next, for which drafts are drawn first; beta: as "
        "published; uniform.",
    )
    alpha: float | None = setting(None, DRAWING, "Of beta spacing. (default: the steps)", ge=1e-06, le=10000)
    beta: float | None = setting(None, DRAWING, "Of beta spacing. (default: the steps)", ge=1e-06, le=10000)
    seeds: Annotated[tuple[Seed, ...], BeforeValidator(_seeds)] = setting(
        (0,),
        DRAWING,
        "Seed of the noise, or one for each stop; -1 chooses one, which is told. (default: 0)",
        "--seed",
        metavar="N[,M...]",
        min_length=1,
    )
    at: float | None = setting(
        None, DRAWING, "Draw only the picture at this place of the way, as a .png.", metavar="0..1", ge=0, le=1
    )

    @classmethod
    def translate(cls, key: str, value: Any) -> Any:
        """Even pace is even spacing, and the seed is that of all prompts."""
        return (value,) if key == "seed" else "even" if value else "uniform"

    @property
    def seed(self) -> int:
        """The first seed, which the record names."""
        return self.seeds[0]


class InvertSettings(ModelChoice):
    """What a picture is inverted with."""

    method: Literal["ddim", "direct", "fixed-point"] = setting(
        "direct",
        None,
        "ddim: plain; direct: frames are pinned to it; fixed-point: refined and pinned. (default: {default})",
    )
    steps: int = setting(
        50, None, "Steps; an animation from this file takes as many. (default: {default})", ge=1, le=1000
    )
    size: int | None = setting(None, None, "Longer side in px; the model's own size if not given.", ge=32, le=4096)
    fit: Literal["crop", "pad"] = setting(
        "crop", None, "Crop a picture whose sides the model cannot draw (default), or pad it by its edges."
    )


KINDS: tuple[type[Settings], ...] = (AnimateSettings, InterpolateSettings)
"""The jobs that presets and a model's `laser.yaml` speak to: a key is known if one of them knows it."""
