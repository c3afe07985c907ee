"""Options of `laser animate`; a setting that is not given is None, so that plan, preset and record can say it."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from laser_cli.cli.options import DEVICE, DTYPE, MODEL, option
from laser_cli.cli.options import Control as Controls
from laser_cli.cli.options import Easing as Easings
from laser_cli.cli.options import Method as Methods


class Palettes(str, Enum):
    """Palettes of a gif (output.look)."""

    one = "global"
    per_frame = "per-frame"


class Codecs(str, Enum):
    """Codecs of a webm (output.video)."""

    vp9 = "vp9"
    av1 = "av1"


class RawFormats(str, Enum):
    """Formats of raw frames (output.stream)."""

    y4m = "y4m"
    rgb24 = "rgb24"


Arguments = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[IMAGE] [DESCRIPTION]",
        help="The picture, and what happens to it (@FILE reads it from a file).",
        show_default=False,
    ),
]

PlanFile = Annotated[Path | None, option(None, "Render this plan instead of a description; - is stdin.", "--plan")]
From = Annotated[Path | None, option(None, "Run again what made this output; other options change it.", "--from")]
Preset = Annotated[str | None, option(None, "A preset's name or YAML file (laser presets lists them).", "--preset")]
InversionFile = Annotated[Path | None, option(None, "Use this inversion of the picture (laser invert).", "--inversion")]
Prompt = Annotated[
    str | None,
    option(
        None,
        "What the picture shows; else its metadata or the description tell.",
        "--prompt",
        "--source-prompt",
        "-p",
    ),
]
DryRun = Annotated[
    bool, option(None, "Tell plan, work, memory and time; load no weights and write nothing.", "--dry-run")
]

DRAWING = "Drawing"
Frames = Annotated[
    int | None,
    option(DRAWING, "Pictures, first and last keyframe included. (default: 24, or the plan's)", min=2, max=100_000),
]
Steps = Annotated[int | None, option(DRAWING, "Denoising steps. (default: 25, or the inversion's)", min=1, max=1000)]
Guidance = Annotated[
    float | None,
    option(DRAWING, "How strongly the prompts lead; 1 is off. (default: the model's own, or 3)", min=1, max=30),
]
Warmup = Annotated[
    float | None,
    option(DRAWING, "Share of the steps with attention interpolation. (default: 0.5)", min=0, max=1),
]
Easing = Annotated[Easings | None, option(DRAWING, "Course of time within segments. (default: ease, or the plan's)")]
Control = Annotated[
    Controls | None, option(DRAWING, "What all segments keep of the picture, instead of the plan's choice.")
]
Strength = Annotated[
    float | None, option(DRAWING, "How firmly they keep it, instead of the plan's choice.", min=0, max=1)
]
Method = Annotated[Methods | None, option(DRAWING, "Inversion method. (default: direct)", "--method")]
Size = Annotated[int | None, option(DRAWING, "Longer side in px. (default: the model's own size)", min=32, max=4096)]
Seed = Annotated[
    int | None, option(DRAWING, "Seed of all noise, and of a model that plans. (default: 0)", min=0, max=2**63 - 1)
]
Chunk = Annotated[
    int | None,
    option(
        DRAWING,
        "Frames in one U-Net call: memory against speed; the pictures stay the same. (default: 12)",
        min=1,
        max=1024,
    ),
]
ExactFirst = Annotated[
    bool | None,
    option(
        DRAWING,
        "Write the picture itself as frame 0 (default), or its way through the model.",
        "--exact-first/--no-exact-first",
    ),
]
EvenPace = Annotated[
    bool | None,
    option(
        DRAWING,
        "Lay the frames so that each changes as much (default, costs a quick draft), or evenly in time.",
        "--even-pace/--no-even-pace",
    ),
]

Distance = Annotated[
    str | None,
    option(
        DRAWING,
        "What even pace or spacing measures by: pixels, features (the model's own), critic (storybook's), lpips, or a "
        "CLIP in a folder or the hub's cache. (default: auto, the critic for storybook, else pixels)",
        "--distance",
        metavar="auto|pixels|features|critic|lpips|clip:FOLDER",
    ),
]
Waypoints = Annotated[
    bool | None,
    option(
        DRAWING,
        "Cut far ways of a description into near ones, day to night by way of sunset (default), or not.",
        "--waypoints/--no-waypoints",
    ),
]

PLAYING = "Playing"
Fps = Annotated[float | None, option(PLAYING, "Frames a second. (default: 12)", min=0.1, max=240)]
Loop = Annotated[
    str | None,
    option(PLAYING, "forever (default), none, or how often it is shown.", metavar="N|forever|none"),
]
Bounce = Annotated[bool | None, option(PLAYING, "There and back again.", "--bounce/--no-bounce")]
HoldFirst = Annotated[float | None, option(PLAYING, "Show the first frame so many seconds longer.", min=0, max=3600)]
HoldLast = Annotated[float | None, option(PLAYING, "Show the last frame so many seconds longer.", min=0, max=3600)]
Quality = Annotated[
    int | None, option(PLAYING, "Of mp4, webm and webp; webp is lossless at 100. (default: 80)", min=0, max=100)
]
Palette = Annotated[Palettes | None, option(PLAYING, "Of a gif: one for all frames (global, default), or one each.")]
Codec = Annotated[
    Codecs | None,
    option(PLAYING, "Of a webm: vp9 (default), or av1: smaller, slower; laser doctor tells if it is there."),
]
Still = Annotated[
    int | None,
    option(
        PLAYING,
        "Which frame a .png is, from 0, or from the end if negative. (default: -1, the last)",
        min=-100_000,
        max=99_999,
        metavar="N",
    ),
]

OUTPUT = "Output"
Out = Annotated[
    Path | None,
    option(
        OUTPUT,
        "File to write: .mp4, .webm, .gif, .webp or .apng; .png is one frame (--still); - streams raw frames.",
        "--output",
        "-o",
    ),
]
Format = Annotated[RawFormats | None, option(OUTPUT, "Of the frames that -o - streams. (default: y4m)", "--format")]
FramesDir = Annotated[Path | None, option(OUTPUT, "Write the frames as PNG files into this folder.")]
Sheet = Annotated[Path | None, option(OUTPUT, "Write a contact sheet (.png).")]
Report = Annotated[Path | None, option(OUTPUT, "Write a page with player, plan and settings (.html).")]
Depfile = Annotated[Path | None, option(OUTPUT, "Write what the output depends on, for Make's include (.d).")]
NoClobber = Annotated[bool, option(OUTPUT, "Refuse to replace an output that is there.", "--no-clobber")]
SkipExisting = Annotated[
    bool, option(OUTPUT, "Do nothing if the outputs are there and were made of the same.", "--skip-existing")
]

Resume = Annotated[
    bool, option(OUTPUT, "Keep what is drawn in a hidden file while it runs, and go on from it.", "--resume")
]
Preview = Annotated[Path | None, option(OUTPUT, "Write a sheet (.png) of what is being drawn, every few seconds.")]

MODEL_PANEL = "Model"
ModelName = Annotated[str | None, MODEL]
Device = Annotated[str | None, DEVICE]
Dtype = Annotated[str | None, DTYPE]
Offload = Annotated[
    bool | None,
    option(MODEL_PANEL, "Keep text encoder and VAE off the device until they work.", "--offload/--no-offload"),
]
Verbose = Annotated[
    bool,
    option(
        "Console",
        "Tell versions, seconds of each stage and evaluations a second; goes before --quiet.",
        "--verbose",
        "-v",
    ),
]
