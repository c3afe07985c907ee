"""What seeds are, and how every picture is drawn."""

from __future__ import annotations

import secrets
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from laser_cli.jobs.fields import DRAWING, Settings, setting
from laser_cli.jobs.playback import MOST_FRAMES

LARGEST_SEED = 2**63 - 1
RANDOM_SEED = -1
"""In place of a seed: one is chosen, and recorded (`chosen_seed`)."""


def chosen_seed(seed: int) -> int:
    """The seed itself, or one by chance for -1."""
    return secrets.randbelow(2**32) if seed == RANDOM_SEED else seed


def _guidance(value: float) -> float:
    """Checkpoints of few steps are published with a guidance of 0, which is off as 1 is."""
    return max(1.0, value)


class Sampling(Settings):
    """How every picture is drawn."""

    frames: int = setting(24, DRAWING, "Pictures, stops included. (default: {default})", ge=2, le=MOST_FRAMES)
    steps: int = setting(25, DRAWING, "Denoising steps. (default: {default})", ge=1, le=1000)
    guidance: Annotated[float, AfterValidator(_guidance)] = setting(
        3.0,
        DRAWING,
        "How strongly the prompts lead; 0 and 1 are off. (default: the model's own, or {default})",
        ge=0,
        le=30,
    )
    warmup: float = setting(
        0.5, DRAWING, "Share of the steps with attention interpolation. (default: {default})", ge=0, le=1
    )
    size: int | None = setting(None, DRAWING, "Longer side in px. (default: the model's own size)", ge=32, le=4096)
    fit: Literal["crop", "pad"] = setting(
        "crop", DRAWING, "Crop a picture whose sides the model cannot draw (default), or pad it by its edges."
    )
    negative_prompt: Annotated[str, Field(max_length=10_000)] | None = setting(
        None, DRAWING, "What guidance leads away from. (default: the picture's own prompt, or nothing)"
    )
    chunk: int = setting(
        12,
        DRAWING,
        "Frames in one U-Net call: memory against speed; the pictures stay the same. (default: {default})",
        ge=1,
        le=1024,
    )
    distance: str = setting(
        "auto",
        DRAWING,
        "What even pace or spacing measures by: pixels, features (the model's own), critic (storybook's), lpips, "
        "or a CLIP in a folder or the hub's cache. (default: auto, critic for storybook, else pixels)",
        metavar="auto|pixels|features|critic|lpips|clip:FOLDER",
        complete="distances",
        min_length=1,
    )
