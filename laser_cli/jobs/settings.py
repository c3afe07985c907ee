"""What can be set, in small models that jobs inherit: one field is an option, a key of presets and an entry of records.

Bases are listed last first, so that a job's fields stand in the order in which they are read here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from laser_cli.plan.easing import Easing
from laser_cli.plan.schema import Control

MOST_FRAMES = 100_000
LARGEST_SEED = 2**63 - 1
BESIDE = ("model", "device", "dtype", "seed")
"""Settings that a record keeps beside `settings`, under the same names."""


@dataclass(frozen=True)
class Option:
    """How a field is shown on a command line; ``{default}`` in the help stands for the field's default.

    `names`: all its names, where the field's own will not do. `metavar`: what the help shows instead of the type.
    """

    help: str
    panel: str | None = None
    names: tuple[str, ...] = ()
    metavar: str | None = None
    env: str | None = None


class Frozen(BaseModel):
    """A value that cannot change; unknown keys and values of another type are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False, protected_namespaces=())


class Settings(Frozen):
    """What a job is done with; `None` leaves it to the plan, or to the model."""

    PLURAL: ClassVar[str] = ""
    """What messages call the jobs that have these."""
    TRANSLATED: ClassVar[dict[str, str]] = {}
    """Keys of other jobs' settings that `translate` understands, and the key that each becomes."""

    @classmethod
    def translate(cls, key: str, value: Any) -> Any:
        """The value that a key of TRANSLATED becomes."""
        return value


DRAWING, PLAYING, MODEL, METHOD = "Drawing", "Playing", "Model", "Method"


class Sampling(Settings):
    """How every picture is drawn."""

    frames: Annotated[
        int, Field(ge=2, le=MOST_FRAMES), Option("Pictures, stops included. (default: {default})", DRAWING)
    ] = 24
    steps: Annotated[int, Field(ge=1, le=1000), Option("Denoising steps. (default: {default})", DRAWING)] = 25
    guidance: Annotated[
        float,
        Field(ge=1, le=30),
        Option("How strongly the prompts lead; 1 is off. (default: the model's own, or {default})", DRAWING),
    ] = 3.0
    warmup: Annotated[
        float,
        Field(ge=0, le=1),
        Option("Share of the steps with attention interpolation. (default: {default})", DRAWING),
    ] = 0.5
    size: Annotated[
        int | None, Field(ge=32, le=4096), Option("Longer side in px. (default: the model's own size)", DRAWING)
    ] = None
    chunk: Annotated[
        int,
        Field(ge=1, le=1024),
        Option(
            "Frames in one U-Net call: memory against speed; the pictures stay the same. (default: {default})", DRAWING
        ),
    ] = 12
    distance: Annotated[
        str,
        Field(min_length=1),
        Option(
            "What even pace or spacing measures by: pixels, features (the model's own), critic (storybook's), lpips, "
            "or a CLIP in a folder or the hub's cache. (default: auto, the critic for storybook, else pixels)",
            DRAWING,
            metavar="auto|pixels|features|critic|lpips|clip:FOLDER",
        ),
    ] = "auto"


def _loop(value: Any) -> Any:
    """`--loop 3` and a YAML `none` are text; both spellings mean the same."""
    return int(value) if isinstance(value, str) and value.isdecimal() and value.isascii() and len(value) < 9 else value


Times = Annotated[int, Field(ge=1, le=65_535)]


class Playback(Settings):
    """The viewer's side."""

    fps: Annotated[float, Field(ge=0.1, le=240), Option("Frames a second. (default: {default})", PLAYING)] = 12.0
    loop: Annotated[
        Times | Literal["forever", "none"],
        BeforeValidator(_loop),
        Option("forever (default), none, or how often it is shown.", PLAYING, metavar="N|forever|none"),
    ] = "forever"
    bounce: Annotated[bool, Option("There and back again.", PLAYING)] = False
    hold_first: Annotated[
        float, Field(ge=0, le=3600), Option("Show the first frame so many seconds longer.", PLAYING)
    ] = 0.0
    hold_last: Annotated[
        float, Field(ge=0, le=3600), Option("Show the last frame so many seconds longer.", PLAYING)
    ] = 0.0
    quality: Annotated[
        int,
        Field(ge=0, le=100),
        Option("Of mp4, webm and webp; webp is lossless at 100. (default: {default})", PLAYING),
    ] = 80
    palette: Annotated[
        Literal["global", "per-frame"],
        Option("Of a gif: one for all frames (global, default), or one each.", PLAYING),
    ] = "global"
    codec: Annotated[
        Literal["vp9", "av1"],
        Option("Of a webm: vp9 (default), or av1: smaller, slower; laser doctor tells if it is there.", PLAYING),
    ] = "vp9"
    still: Annotated[
        int,
        Field(ge=-MOST_FRAMES, le=MOST_FRAMES - 1),
        Option(
            "Which frame a .png is, from 0, or from the end if negative. (default: {default}, the last)",
            PLAYING,
            metavar="N",
        ),
    ] = -1


MODEL_NAME = Annotated[
    str,
    Field(min_length=1),
    Option(
        "storybook (embedded, the default), a folder or a hub id in the standard diffusers layout.",
        MODEL,
        env="LASER_MODEL",
    ),
]
DEVICE = Annotated[str, Field(min_length=1), Option("auto (default), cuda, mps or cpu.", MODEL, env="LASER_DEVICE")]
DTYPE = Annotated[
    str, Field(min_length=1), Option("auto (default), float32, bfloat16 or float16.", MODEL, env="LASER_DTYPE")
]


class ModelChoice(Settings):
    """Which model draws, and on what."""

    model: MODEL_NAME = "storybook"
    device: DEVICE = "auto"
    dtype: DTYPE = "auto"
    offload: Annotated[bool, Option("Keep text encoder and VAE off the device until they work.", MODEL)] = False


class FrameSettings(ModelChoice, Playback, Sampling):
    """What all jobs that draw frames have."""

    exact_first: bool = True


class AnimateSettings(FrameSettings):
    """What an animation is made with."""

    PLURAL: ClassVar[str] = "animations"

    frames: Annotated[
        int,
        Field(ge=2, le=MOST_FRAMES),
        Option("Pictures, first and last keyframe included. (default: {default}, or the plan's)", DRAWING),
    ] = 24
    steps: Annotated[
        int, Field(ge=1, le=1000), Option("Denoising steps. (default: {default}, or the inversion's)", DRAWING)
    ] = 25
    exact_first: Annotated[
        bool, Option("Write the picture itself as frame 0 (default), or its way through the model.", DRAWING)
    ] = True
    easing: Annotated[
        Easing | None, Option("Course of time within segments. (default: ease, or the plan's)", DRAWING)
    ] = None
    control: Annotated[
        Control | None, Option("What all segments keep of the picture, instead of the plan's choice.", DRAWING)
    ] = None
    strength: Annotated[
        float | None,
        Field(ge=0, le=1),
        Option("How firmly they keep it, instead of the plan's choice.", DRAWING),
    ] = None
    method: Annotated[
        Literal["ddim", "direct", "fixed-point"], Option("Inversion method. (default: {default})", DRAWING)
    ] = "direct"
    seed: Annotated[
        int,
        Field(ge=0, le=LARGEST_SEED),
        Option("Seed of all noise, and of a model that plans. (default: {default})", DRAWING),
    ] = 0
    even_pace: Annotated[
        bool,
        Option(
            "Lay the frames so that each changes as much (default, costs a quick draft), or evenly in time.", DRAWING
        ),
    ] = True
    waypoints: Annotated[
        bool,
        Option(
            "Cut far ways of a description into near ones, day to night by way of sunset (default), or not.", DRAWING
        ),
    ] = True


def _seeds(value: Any) -> Any:
    """`--seed 3,7`, and the lists of YAML and JSON, as a tuple."""
    if isinstance(value, str):
        parts = [part.strip() for part in value.split(",")]
        if not all(part.isascii() and part.isdigit() and len(part) < 30 for part in parts):
            raise ValueError("should be a number, or one for each stop: --seed 3,7")
        return tuple(map(int, parts))
    return (value,) if isinstance(value, int) else tuple(value) if isinstance(value, list) else value


Seed = Annotated[int, Field(ge=0, le=LARGEST_SEED)]


class InterpolateSettings(FrameSettings):
    """What an interpolation is made with; `seeds` has one for all prompts, or one for each stop."""

    PLURAL: ClassVar[str] = "interpolations"
    TRANSLATED: ClassVar[dict[str, str]] = {"even_pace": "spacing", "seed": "seeds"}

    exact_first: Annotated[
        bool,
        Option(
            "Write a picture that is a stop as it is (default), or as the model draws it.",
            DRAWING,
            ("--exact/--no-exact",),
        ),
    ] = True
    method: Annotated[
        Literal["outer", "inner", "text", "denoise", "dissolve"],
        Option(
            "outer (default) or inner attention interpolation; text: of the prompts alone; denoise: one prompt after "
            "the other in the denoising; dissolve: a cross-fade.",
            METHOD,
        ),
    ] = "outer"
    fused: Annotated[
        bool, Option("Frames read their own keys and values too (default), or the stops' alone.", METHOD)
    ] = True
    warmup: Annotated[
        float,
        Field(ge=0, le=1),
        Option("Share of the steps with attention interpolation. (default: {default})", METHOD),
    ] = 0.5
    embeddings: Annotated[
        Literal["lerp", "slerp"], Option("Way between the prompts' embeddings. (default: {default})", METHOD)
    ] = "lerp"
    spacing: Annotated[
        Literal["even", "beta", "uniform"],
        Option(
            "even (default): each frame changes as much as the next, for which drafts are drawn first; beta: as "
            "published; uniform.",
            DRAWING,
        ),
    ] = "even"
    alpha: Annotated[
        float | None, Field(ge=1e-6, le=10_000), Option("Of beta spacing. (default: the steps)", DRAWING)
    ] = None
    beta: Annotated[
        float | None, Field(ge=1e-6, le=10_000), Option("Of beta spacing. (default: the steps)", DRAWING)
    ] = None
    seeds: Annotated[
        tuple[Seed, ...],
        Field(min_length=1),
        BeforeValidator(_seeds),
        Option("Seed of the noise, or one for each stop. (default: 0)", DRAWING, ("--seed",), "N[,M...]"),
    ] = (0,)
    at: Annotated[
        float | None,
        Field(ge=0, le=1),
        Option("Draw only the picture at this place of the way, as a .png.", DRAWING, metavar="0..1"),
    ] = None

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

    method: Annotated[
        Literal["ddim", "direct", "fixed-point"],
        Option("ddim: plain; direct: frames are pinned to it; fixed-point: refined and pinned. (default: {default})"),
    ] = "direct"
    steps: Annotated[
        int,
        Field(ge=1, le=1000),
        Option("Steps; an animation from this file takes as many. (default: {default})"),
    ] = 50
    size: Annotated[
        int | None, Field(ge=32, le=4096), Option("Longer side in px; the model's own size if not given.")
    ] = None


KINDS: tuple[type[Settings], ...] = (AnimateSettings, InterpolateSettings)
"""The jobs that presets and a model's `laser.yaml` speak to: a key is known if one of them knows it."""
