"""The job of `laser animate`: a picture, a plan and how it is drawn."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from laser_cli.jobs.conditions import Adapter, Controlled, recorded_conditions, unrecorded_conditions
from laser_cli.jobs.drive import Drive
from laser_cli.jobs.inputs import Input, named
from laser_cli.jobs.job import FrameJob
from laser_cli.jobs.settings import AnimateSettings
from laser_cli.plan.schema import STRENGTHS, Plan, with_easing, with_frames

BEFORE = {"local_blend": False, "carry": False, "guidance_base": 0.0, "strength_scale": 1.0, "fresh_noise": 0.0}
"""What settings that a record does not have stood for when it was written."""


class AnimateJob(FrameJob):
    """An animation; without an image the first picture is drawn from the plan's source prompt.

    With a `drive` the image is a portrait whose face the drive moves, while the plan's words tell the rest.
    """

    verb: ClassVar[str] = "animate"

    settings: AnimateSettings
    plan: Plan
    image: Input | None = None
    inversion: Input | None = None
    adapter: Adapter | None = None
    controls: tuple[Controlled, ...] = ()
    drive: Drive | None = None

    @property
    def sound_from(self) -> float:
        """The second of the sound that stands at frame 0: a drive's own sound goes with it."""
        drive = self.drive
        if not (drive and drive.clip and self.audio and self.audio.sha256 == drive.clip.sha256):
            return 0.0
        return (drive.start or 0.0) - drive.lead / self.settings.fps

    @property
    def timed(self) -> bool:
        """Whether it is a plain animation: what leads it takes time of its own, which plain ones do not."""
        return not (self.adapter or self.controls)

    @property
    def count(self) -> int:
        """How many frames are written."""
        return self.plan.total_frames

    @property
    def seed(self) -> int:
        """The seed of all noise."""
        return self.settings.seed

    @property
    def prompts(self) -> tuple[str, ...]:
        """Everything that the text encoder reads."""
        negative = self.settings.negative_prompt
        return (*self.plan.prompts, *((negative,) if negative else ()))

    @property
    def inputs(self) -> tuple[Input, ...]:
        """The files that it reads."""
        shown = tuple(self.adapter.inputs) if self.adapter else ()
        led = tuple(found for control in self.controls for found in control.inputs)
        driving = (self.drive.clip, self.drive.face) if self.drive else ()
        files = [file for file in (self.image, self.inversion, *driving, self.audio) if file]
        # a drive's file may be its sound as well
        return (*{file.path: file for file in files}.values(), *shown, *led)

    @property
    def labels(self) -> dict[int, str]:
        """The prompts at the numbers of their keyframes; those on the way to others stand where the pace puts them."""
        labels, at = {0: self.plan.source}, 0
        for segment in self.plan.segments:
            at += segment.frames - 1
            if not segment.via:
                labels[at] = segment.prompt
        return labels

    @property
    def recorded(self) -> dict[str, Any]:
        """The settings, plan and names of inputs as the record keeps them."""
        named = {"image": self.image, "inversion": self.inversion}
        names = {key: found.name if found else None for key, found in named.items()}
        led = recorded_conditions(self.adapter, self.controls)
        drive = {"drive": self.drive.recorded} if self.drive else {}
        return {**names, "plan": self.plan.model_dump(mode="json"), **led, **drive, **self.recorded_settings}

    @classmethod
    def unrecorded(cls, settings: dict[str, Any], record: Mapping[str, Any]) -> dict[str, Any]:
        """The plan, the picture, the inversion and the drive, whose contents a record does not tell."""
        for key, value in BEFORE.items():
            settings.setdefault(key, 1.0 if key == "fresh_noise" and settings.get("drive") else value)
        image, inversion = settings.pop("image", None), settings.pop("inversion", None)
        audio, drive = cls.unrecorded_audio(settings), settings.pop("drive", None)
        led = unrecorded_conditions({key: settings.pop(key, None) for key in ("adapter", "controls")})
        return {
            **led,
            "plan": settings.pop("plan"),
            "image": named(image, record.get("input_sha256")) if image is not None else None,
            "inversion": named(inversion, "") if inversion is not None else None,
            "audio": audio,
            "drive": Drive.unrecorded(drive) if drive else None,
        }


def directed(plan: Plan, settings: AnimateSettings) -> Plan:
    """A copy of the plan with frames, easing, control and strength overridden by the settings that are set."""
    plan = with_frames(plan, settings.frames)
    plan = with_easing(plan, settings.easing) if settings.easing else plan
    changes: dict[str, Any] = {}
    if settings.control is not None:
        changes = {"control": settings.control, "strength": STRENGTHS[settings.control]}
    if settings.strength is not None:
        changes["strength"] = settings.strength
    segments = tuple(segment.model_copy(update=changes) for segment in plan.segments)
    return plan.model_copy(update={"segments": segments})
