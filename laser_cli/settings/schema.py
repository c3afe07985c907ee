"""The settings of an animation, with their defaults and limits."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from laser_cli.plan.easing import Easing
from laser_cli.plan.schema import Control

MOST_FRAMES = 100_000
LARGEST_SEED = 2**63 - 1
BESIDE = ("model", "device", "dtype", "seed")
"""Settings that a record keeps beside `settings`, under the same names."""


def _loop(value: Any) -> Any:
    """`--loop 3` and a YAML `none` are text; both spellings mean the same."""
    return int(value) if isinstance(value, str) and value.isdecimal() and value.isascii() and len(value) < 9 else value


class Settings(BaseModel):
    """What an animation is made with; `None` leaves it to the plan, or to the model."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False, protected_namespaces=())

    frames: Annotated[int, Field(ge=2, le=MOST_FRAMES)] = 24
    steps: Annotated[int, Field(ge=1, le=1000)] = 25
    guidance: Annotated[float, Field(ge=1, le=30)] = 3.0
    warmup: Annotated[float, Field(ge=0, le=1)] = 0.5
    easing: Easing | None = None
    control: Control | None = None
    strength: Annotated[float, Field(ge=0, le=1)] | None = None
    method: Literal["ddim", "direct", "fixed-point"] = "direct"
    size: Annotated[int, Field(ge=32, le=4096)] | None = None
    seed: Annotated[int, Field(ge=0, le=LARGEST_SEED)] = 0
    chunk: Annotated[int, Field(ge=1, le=1024)] = 12
    exact_first: bool = True
    even_pace: bool = True
    distance: Annotated[str, Field(min_length=1)] = "auto"
    waypoints: bool = True

    fps: Annotated[float, Field(ge=0.1, le=240)] = 12.0
    loop: Annotated[Annotated[int, Field(ge=1, le=65_535)] | Literal["forever", "none"], BeforeValidator(_loop)] = (
        "forever"
    )
    bounce: bool = False
    hold_first: Annotated[float, Field(ge=0, le=3600)] = 0.0
    hold_last: Annotated[float, Field(ge=0, le=3600)] = 0.0
    quality: Annotated[int, Field(ge=0, le=100)] = 80
    palette: Literal["global", "per-frame"] = "global"
    codec: Literal["vp9", "av1"] = "vp9"
    still: Annotated[int, Field(ge=-MOST_FRAMES, lt=MOST_FRAMES)] = -1

    model: Annotated[str, Field(min_length=1)] = "storybook"
    device: Annotated[str, Field(min_length=1)] = "auto"
    dtype: Annotated[str, Field(min_length=1)] = "auto"
    offload: bool = False
