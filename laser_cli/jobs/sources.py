"""What jobs are made of beside their settings, as a command line, a batch file or a program names it."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from laser_cli.jobs.fields import METHOD, Frozen, setting

IMAGES, CONDITIONS, PORTRAITS = "Image prompts", "Conditions", "Portraits"


class Sources(Frozen):
    """An output to run again, or a preset."""

    rerun: Path | None = setting(None, None, "Run again what made this output; other options change it.", "--from")
    preset: str | None = setting(None, None, "A preset's name or YAML file (laser presets lists them).")


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
    drive: Path | None = setting(
        None,
        PORTRAITS,
        "What moves the face of a portrait: a video of a face, or a track (laser track; .yaml, .json, .csv).",
    )
    drive_ratio: float | None = setting(
        None, PORTRAITS, "How much of the head's change of place is taken. (default: 0.5)", ge=0, le=3
    )
    drive_from: float | None = setting(None, PORTRAITS, "Seconds into the drive to begin at.", ge=0)
    drive_to: float | None = setting(None, PORTRAITS, "Seconds into the drive to end at.", ge=0)
    relative: bool | None = setting(
        None,
        PORTRAITS,
        "Take only how the drive's face changes, or its face as it is, after the way there (default).",
        "--relative/--absolute",
    )
    drive_puppet: bool | None = setting(
        None, PORTRAITS, "The drive shows a storybook puppet, or a person (default).", "--drive-puppet/--drive-person"
    )
    adapter: str | None = setting(
        None,
        PORTRAITS,
        "Portrait adapters: hellomeme:v5b or another version, or a folder. (default: the model's own, else a version "
        "that laser models add keeps)",
        metavar="NAME|FOLDER",
        min_length=1,
    )
    face: Path | None = setting(
        None, PORTRAITS, "A track of the portrait's own face, where none can be found in the picture."
    )
    stylize: str | None = setting(
        None,
        PORTRAITS,
        "The model that reads the portrait, such as SD 1.5, while --model draws it in its own style.",
        metavar="MODEL",
        min_length=1,
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
