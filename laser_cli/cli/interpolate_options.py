"""Options of `laser interpolate` that it does not share with `laser animate`."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from laser_cli.cli.options import option


class Methods(str, Enum):
    """Methods (stages.interpolate)."""

    outer = "outer"
    inner = "inner"
    text = "text"
    denoise = "denoise"
    dissolve = "dissolve"


class Spacings(str, Enum):
    """Spacings (stages.spacing)."""

    even = "even"
    beta = "beta"
    uniform = "uniform"


class Arcs(str, Enum):
    """Ways between two text embeddings."""

    lerp = "lerp"
    slerp = "slerp"


class Noises(str, Enum):
    """Where the prompts' noise comes from."""

    same = "same"
    slerp = "slerp"


Stops = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="A B [C ...]",
        help="Two stops or more, each a prompt or a picture file (@FILE reads a prompt from a file).",
        show_default=False,
    ),
]
Prompts = Annotated[
    list[str] | None,
    option(
        None,
        "What a picture shows, once for each picture in their order; else their metadata tell.",
        "--prompt",
        "--source-prompt",
        "-p",
    ),
]
DryRun = Annotated[
    bool, option(None, "Tell stops, work, memory and time; load no weights and write nothing.", "--dry-run")
]

METHOD = "Method"
Method = Annotated[
    Methods | None,
    option(
        METHOD,
        "outer (default) or inner attention interpolation; text: of the prompts alone; denoise: one prompt after the "
        "other in the denoising; dissolve: a cross-fade.",
        "--method",
    ),
]
Fused = Annotated[
    bool | None,
    option(METHOD, "Frames read their own keys and values too (default), or the stops' alone.", "--fused/--no-fused"),
]
Guides = Annotated[
    list[str] | None,
    option(
        METHOD,
        "What the pictures between show (PAID); once, or once for each segment. auto: the planner says it.",
        "--guide",
        metavar="PROMPT|auto",
    ),
]
Warmup = Annotated[
    float | None,
    option(METHOD, "Share of the steps with attention interpolation. (default: 0.5)", "--warmup", min=0, max=1),
]
Embeddings = Annotated[Arcs | None, option(METHOD, "Way between the prompts' embeddings. (default: lerp)")]
Latents = Annotated[
    Noises | None,
    option(
        METHOD,
        "Noise of the prompts: the same for all (default; that of the first picture, if there is one), or each its own "
        "and an arc between them.",
    ),
]

IMAGES = "Image prompts"
Adapter = Annotated[
    Path | None,
    option(
        IMAGES,
        "An IP-Adapter for the model (folder, or file beside its image_encoder): stops are drawn by pictures too.",
        "--ip-adapter",
    ),
]
AdapterScale = Annotated[
    float | None, option(IMAGES, "How strongly image prompts lead. (default: 0.6)", "--ip-scale", min=0, max=2)
]
ImagePrompts = Annotated[
    list[Path] | None,
    option(IMAGES, "A stop's picture to draw by, once for each stop; else stops that are pictures are their own."),
]

DRAWING = "Drawing"
Frames = Annotated[int | None, option(DRAWING, "Pictures, stops included. (default: 24)", min=2, max=100_000)]
At = Annotated[
    float | None,
    option(DRAWING, "Draw only the picture at this place of the way, as a .png.", metavar="0..1", min=0, max=1),
]
Spacing = Annotated[
    Spacings | None,
    option(
        DRAWING,
        "even (default): each frame changes as much as the next, for which drafts are drawn first; beta: as published; "
        "uniform.",
    ),
]
Alpha = Annotated[
    float | None, option(DRAWING, "Of beta spacing. (default: the steps)", "--alpha", min=1e-6, max=10_000)
]
Beta = Annotated[float | None, option(DRAWING, "Of beta spacing. (default: the steps)", "--beta", min=1e-6, max=10_000)]
Seeds = Annotated[
    str | None,
    option(DRAWING, "Seed of the noise, or one for each stop. (default: 0)", "--seed", metavar="N[,M...]"),
]
Steps = Annotated[int | None, option(DRAWING, "Denoising steps. (default: 25)", min=1, max=1000)]
Exact = Annotated[
    bool | None,
    option(
        DRAWING,
        "Write a picture that is a stop as it is (default), or as the model draws it.",
        "--exact/--no-exact",
    ),
]
