"""What leads pictures beside their prompts, as jobs and records hold it: ControlNets with their conditions, an
IP-Adapter with its image prompts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import Field

from laser_cli.jobs.fields import Frozen
from laser_cli.jobs.inputs import Input, named

EDGES = "edges"
"""In place of a condition: the edges of the picture itself."""
Shown = Input | Literal["edges"] | None
"""A condition: a file, the edges of the picture itself, or none."""
Share = Annotated[float, Field(ge=0, le=1)]


class Adapter(Frozen):
    """An IP-Adapter's file, how strongly it leads, and the image prompts, one for each keyframe, None for none.

    `masks`: where each counts; empty where all count everywhere.
    """

    file: Input
    scale: Annotated[float, Field(ge=0, le=2)] = 0.6
    images: tuple[Input | None, ...]
    masks: tuple[Input | None, ...] = ()

    @property
    def inputs(self) -> Iterator[Input]:
        """The files that it reads."""
        yield self.file
        yield from (found for found in (*self.images, *self.masks) if found)

    @property
    def recorded(self) -> dict[str, Any]:
        """As a record keeps it."""
        images, masks = ([found.recorded if found else None for found in each] for each in (self.images, self.masks))
        told = {"name": self.file.name, "sha256": self.file.sha256, "scale": self.scale, "images": images}
        return {**told, "masks": masks} if masks else told


class Controlled(Frozen):
    """A ControlNet's folder or file, its weight, the share of the steps in which it leads, and its conditions.

    There is one condition for each keyframe.
    """

    net: Input
    weight: Annotated[float, Field(ge=0, le=10)] = 1.0
    start: Share = 0.0
    end: Share = 1.0
    conditions: tuple[Shown, ...]

    @property
    def inputs(self) -> Iterator[Input]:
        """The conditions that are files; the net is part of what draws, not of what is drawn."""
        yield from (found for found in self.conditions if isinstance(found, Input))

    @property
    def recorded(self) -> dict[str, Any]:
        """As a record keeps it."""
        conditions = [found.recorded if isinstance(found, Input) else found for found in self.conditions]
        share = {"start": self.start, "end": self.end} if (self.start, self.end) != (0, 1) else {}
        return {**self.net.recorded_file, "weight": self.weight, **share, "conditions": conditions}


def recorded_conditions(adapter: Adapter | None, controls: Sequence[Controlled]) -> dict[str, Any]:
    """Both as a record keeps them; what is not there is left out."""
    told = {"adapter": adapter.recorded} if adapter else {}
    return told | ({"controls": [control.recorded for control in controls]} if controls else {})


def unrecorded_conditions(told: Mapping[str, Any]) -> dict[str, Any]:
    """Both from a record, as JSON of the fields `adapter` and `controls`."""
    adapter = told.get("adapter")
    if adapter:
        adapter = {
            "file": named(adapter["name"], adapter["sha256"]),
            "scale": adapter.get("scale", 0.6),
            "images": [_picture(image) for image in adapter["images"]],
            "masks": [_picture(mask) for mask in adapter.get("masks") or ()],
        }
    controls = [
        {
            "net": named(control["name"], control["sha256"]),
            **{key: control[key] for key in ("weight", "start", "end") if key in control},
            "conditions": [_picture(condition) for condition in control["conditions"]],
        }
        for control in told.get("controls") or ()
    ]
    return {"adapter": adapter, "controls": controls}


def _picture(told: Any) -> Any:
    """A picture of a record as JSON; what is no picture stays as it is."""
    return named(told["picture"], told.get("sha256")) if isinstance(told, Mapping) else told
