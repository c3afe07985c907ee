"""What jobs are made of beside their settings, as a command line, a batch file or a program names it."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from laser_cli.jobs.fields import METHOD, Frozen, setting

IMAGES, CONDITIONS = "Image prompts", "Conditions"


class Sources(Frozen):
    """An output to run again, or a preset."""

    rerun: Path | None = setting(None, None, "Run again what made this output; other options change it.", "--from")
    preset: str | None = setting(
        None, None, "A preset's name or YAML file (laser presets lists them).", complete="presets"
    )


class AnimateSources(Sources):
    """What an animation is made of, beside its picture and description."""

    plan_file: Path | None = setting(None, None, "Render this plan instead of a description; - is stdin.", "--plan")
    inversion: Path | None = setting(None, None, "Use this inversion of the picture (laser invert).")
    prompt: str | None = setting(
        None,
        None,
        "What the picture shows; else its metadata or the description tell.",
        *("--prompt", "--source-prompt", "-p"),
    )


class InterpolateSources(Sources):
    """What an interpolation is made of, beside its stops."""

    prompts: tuple[str, ...] = setting(
        (),
        None,
        "What a picture shows, once for each picture in their order; else their metadata tell.",
        *("--prompt", "--source-prompt", "-p"),
    )
    guides: tuple[str, ...] = setting(
        (),
        METHOD,
        "What the pictures between show (PAID); once, or once for each segment. auto: the planner says it.",
        "--guide",
        metavar="PROMPT|auto",
    )
    latents: Literal["same", "slerp"] | None = setting(
        None,
        METHOD,
        "Noise of the prompts: the same for all (default; that of the first picture, if there is one), or each its "
        "own and an arc between them.",
    )
    ip_adapter: Path | None = setting(
        None,
        IMAGES,
        "An IP-Adapter for the model (folder, or file beside its image_encoder): stops are drawn by pictures too.",
    )
    ip_scale: float | None = setting(None, IMAGES, "How strongly image prompts lead. (default: 0.6)", ge=0, le=2)
    image_prompt: tuple[Path, ...] = setting(
        (), IMAGES, "A stop's picture to draw by, once for each stop; else stops that are pictures are their own."
    )
    controlnet: tuple[str, ...] = setting(
        (),
        CONDITIONS,
        "A ControlNet for the model (folder or .safetensors) and its weight; may be given several times.",
        "--controlnet",
        metavar="PATH[:WEIGHT]",
    )
    condition: tuple[Path, ...] = setting(
        (),
        CONDITIONS,
        "A stop's picture of edges, depth or a pose, or a pose as OpenPose JSON, whose joints then move evenly; once "
        "for each stop, of one ControlNet after the other.",
        "--condition",
    )
