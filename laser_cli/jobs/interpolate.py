"""The job of `laser interpolate`: prompts and pictures as stops, and how what lies between them is made."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from pydantic import Field

from laser_cli.jobs.conditions import Adapter, Controlled, recorded_conditions, unrecorded_conditions
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
        shown = tuple(self.adapter.inputs) if self.adapter else ()
        led = tuple(found for control in self.controls for found in control.inputs)
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
            "adapter": None,
            **recorded_conditions(self.adapter, self.controls),
        }
        return {"interpolation": interpolation, **settings}

    @classmethod
    def unrecorded(cls, settings: dict[str, Any], record: Mapping[str, Any]) -> dict[str, Any]:
        """The stops, guides and adapter; keys that are no settings of interpolations are not read."""
        told, audio = dict(settings.pop("interpolation")), cls.unrecorded_audio(settings)
        for key in set(settings) - set(InterpolateSettings.model_fields):
            del settings[key]
        settings |= {key: told[key] for key in OWN if key in told}
        return {
            "stops": [{"prompt": stop["prompt"], "picture": _picture(stop)} for stop in told["stops"]],
            "guides": told.get("guides") or [],
            "guided_by": told.get("guided_by") or [],
            **unrecorded_conditions(told),
            "audio": audio,
        }


def _picture(told: Mapping[str, Any]) -> dict[str, Any] | None:
    name = told.get("picture")
    return named(name, told.get("sha256")) if name is not None else None
