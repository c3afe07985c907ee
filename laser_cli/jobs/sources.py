"""What jobs are made of beside their settings, as a command line, a batch file or a program names it."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from laser_cli.jobs.fields import METHOD, Frozen, setting

IMAGES, CONDITIONS, PORTRAITS = "Image prompts", "Conditions", "Portraits"


class Sources(Frozen):
    """An output to run again, or a preset."""

    rerun: Path | None = setting(None, None, "Run again what made this output; other options change it.", "--from")
    preset: str | None = setting(
        None, None, "A preset's name or YAML file (laser presets lists them).", complete="presets"
    )


class ConditionSources(Sources):
    """What leads keyframes beside their prompts."""

    ip_adapter: Path | None = setting(
        None,
        IMAGES,
        "An IP-Adapter for the model (folder, or file beside its image_encoder): pictures are drawn by pictures too.",
    )
    ip_scale: float | None = setting(None, IMAGES, "How strongly image prompts lead. (default: 0.6)", ge=0, le=2)
    image_prompt: tuple[Path, ...] = setting(
        (),
        IMAGES,
        "A picture to draw by, once for each stop or keyframe (none: without); of an animation once is for all that "
        "follow the picture. (default: stops that are pictures are their own)",
        "--image-prompt",
        metavar="PICTURE|none",
    )
    image_mask: tuple[Path, ...] = setting(
        (),
        IMAGES,
        "Where image prompts count: white there, black elsewhere; once, or once for each stop or keyframe.",
        "--image-mask",
        metavar="PICTURE|none",
    )
    controlnet: tuple[str, ...] = setting(
        (),
        CONDITIONS,
        "A ControlNet for the model (storybook, folder, .safetensors or hub id), its weight, and the share of the "
        "steps in which it leads; may be given several times.",
        "--controlnet",
        metavar="MODEL[:WEIGHT[:START-END]]",
    )
    condition: tuple[Path, ...] = setting(
        (),
        CONDITIONS,
        "Its picture of edges, depth or a pose, or OpenPose JSON, whose joints then move evenly; once for all stops or "
        "keyframes, or once for each (net after net). edges: those of the picture itself; none: without.",
        "--condition",
        metavar="FILE|edges|none",
    )

    @property
    def files(self) -> tuple[Path, ...]:
        """What of it is named as files."""
        adapter = (self.ip_adapter,) if self.ip_adapter else ()
        return (*adapter, *self.image_prompt, *self.image_mask, *self.condition)


class AnimateSources(ConditionSources):
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
    drive_from: float | None = setting(None, PORTRAITS, "Seconds into the drive to begin at.", ge=0, le=86400)
    drive_to: float | None = setting(None, PORTRAITS, "Seconds into the drive to end at.", ge=0, le=86400)
    relative: bool | None = setting(
        None,
        PORTRAITS,
        "Take only how the drive's face changes, or its face as it is, after the way there (default).",
        "--relative/--absolute",
    )
    drive_puppet: bool | None = setting(
        None, PORTRAITS, "The drive shows a storybook puppet, or a person (default).", "--drive-puppet/--drive-person"
    )
    portrait_adapter: str | None = setting(
        None,
        PORTRAITS,
        "hellomeme:v5b or another version, or a folder. (default: the model's own, else a version "
        "that laser models add keeps)",
        metavar="NAME|FOLDER",
        min_length=1,
    )
    motion_modules: bool | None = setting(
        None,
        PORTRAITS,
        "Draw frames that read each other over time, by the adapters' motion modules. (default: where those are there)",
        "--motion-modules/--no-motion-modules",
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

    @property
    def files(self) -> tuple[Path, ...]:
        """What of it is named as files."""
        return (*super().files, *(file for file in (self.drive, self.face) if file))


class InterpolateSources(ConditionSources):
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
