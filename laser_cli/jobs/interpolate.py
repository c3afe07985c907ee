"""The job of `laser interpolate`: prompts and pictures as stops, and how what lies between them is made."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from pydantic import Field

from laser_cli.jobs.fields import Frozen
from laser_cli.jobs.inputs import Input, named
from laser_cli.jobs.job import FrameJob
from laser_cli.jobs.settings import FrameSettings, InterpolateSettings
from laser_cli.plan.schema import Planner

MOST_STOPS, MOST_LETTERS = 64, 10_000
ATTENTION = ("outer", "inner")
OWN = tuple(name for name in InterpolateSettings.model_fields if name not in FrameSettings.model_fields)
"""The settings that a record keeps under `interpolation`, beside the stops."""

Words = Annotated[str, Field(min_length=1, max_length=MOST_LETTERS)]


class Stop(Frozen):
    """A stop: what it shows, and the picture if it is one."""

    prompt: Words
    picture: Input | None = None

    @property
    def recorded(self) -> dict[str, Any]:
        """As a record keeps it."""
        shown = self.picture.recorded if self.picture else {"picture": None, "sha256": None}
        return {"prompt": self.prompt, **shown}


class Adapter(Frozen):
    """An IP-Adapter's file, how strongly it leads, and the image prompts, one for each stop, None for none."""

    file: Input
    scale: Annotated[float, Field(ge=0, le=2)] = 0.6
    images: tuple[Input | None, ...]

    @property
    def recorded(self) -> dict[str, Any]:
        """As a record keeps it."""
        images = [image.recorded if image else None for image in self.images]
        return {"name": self.file.name, "sha256": self.file.sha256, "scale": self.scale, "images": images}


class Controlled(Frozen):
    """A ControlNet's folder or file, its weight, and the pictures that lead it, one for each stop."""

    net: Input
    weight: float = 1.0
    conditions: tuple[Input, ...]

    @property
    def recorded(self) -> dict[str, Any]:
        """As a record keeps it."""
        conditions = [condition.recorded for condition in self.conditions]
        return {**self.net.recorded_file, "weight": self.weight, "conditions": conditions}


class InterpolateJob(FrameJob):
    """An interpolation along its stops; `guided_by` says who made each guide."""

    verb: ClassVar[str] = "interpolate"

    settings: InterpolateSettings
    stops: Annotated[tuple[Stop, ...], Field(min_length=2, max_length=MOST_STOPS)]
    guides: tuple[Words, ...] = ()
    guided_by: tuple[Planner, ...] = ()
    adapter: Adapter | None = None
    controls: tuple[Controlled, ...] = ()

    @property
    def count(self) -> int:
        """How many frames are written."""
        return self.settings.frames if self.settings.at is None else 1

    @property
    def seed(self) -> int:
        """The first stop's seed."""
        return self.settings.seed

    @property
    def prompts(self) -> tuple[str, ...]:
        """Everything that the text encoder reads."""
        negative = self.settings.negative_prompt
        return (*(stop.prompt for stop in self.stops), *self.guides, *((negative,) if negative else ()))

    @property
    def pictures(self) -> dict[int, Input]:
        """The pictures among the stops, by their numbers."""
        return {k: stop.picture for k, stop in enumerate(self.stops) if stop.picture}

    @property
    def inputs(self) -> tuple[Input, ...]:
        """The files that it reads."""
        shown = (self.adapter.file, *(image for image in self.adapter.images if image)) if self.adapter else ()
        led = tuple(condition for control in self.controls for condition in control.conditions)
        return (*self.pictures.values(), *shown, *led, *((self.audio,) if self.audio else ()))

    @property
    def recorded(self) -> dict[str, Any]:
        """The settings, stops and guides as the record keeps them."""
        settings = self.recorded_settings
        own = {name: settings.pop(name) for name in OWN if name in settings}
        interpolation = {
            "stops": [stop.recorded for stop in self.stops],
            **own,
            "guides": list(self.guides),
            "guided_by": [planner.model_dump(mode="json") for planner in self.guided_by],
            "adapter": self.adapter.recorded if self.adapter else None,
            **({"controls": [control.recorded for control in self.controls]} if self.controls else {}),
        }
        return {"interpolation": interpolation, **settings}

    @classmethod
    def unrecorded(cls, settings: dict[str, Any], record: Mapping[str, Any]) -> dict[str, Any]:
        """The stops, guides and adapter; keys that are no settings of interpolations are not read."""
        told, audio = dict(settings.pop("interpolation")), cls.unrecorded_audio(settings)
        for key in set(settings) - set(InterpolateSettings.model_fields):
            del settings[key]
        settings |= {key: told[key] for key in OWN if key in told}
        adapter = told.get("adapter")
        if adapter:
            images = [_picture(image) if image else None for image in adapter["images"]]
            file = named(adapter["name"], adapter["sha256"])
            adapter = {"file": file, "scale": adapter.get("scale", 0.6), "images": images}
        return {
            "stops": [{"prompt": stop["prompt"], "picture": _picture(stop)} for stop in told["stops"]],
            "guides": told.get("guides") or [],
            "guided_by": told.get("guided_by") or [],
            "adapter": adapter,
            "controls": [
                {
                    "net": named(control["name"], control["sha256"]),
                    "weight": control["weight"],
                    "conditions": [_picture(condition) for condition in control["conditions"]],
                }
                for control in told.get("controls") or ()
            ],
            "audio": audio,
        }


def _picture(told: Mapping[str, Any]) -> dict[str, Any] | None:
    name = told.get("picture")
    return named(name, told.get("sha256")) if name is not None else None
