"""What drives a portrait in an animation: adapters, the track of a face, and where both came from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field

from laser_cli.jobs.fields import Frozen
from laser_cli.jobs.inputs import Input, named
from laser_cli.tracks.schema import FaceTrack

RATIO = 0.5
OWN_SAMPLING: Mapping[str, Any] = {"guidance": 2.0, "steps": 11, "fresh_noise": 0.7}
PUBLISHED_SAMPLING: Mapping[str, Any] = {"guidance": 1.5, "fresh_noise": 1.0}
"""How frames are drawn where nobody says. A model's own adapters: eleven guided steps cost what 22 without guidance do,
and read better in expression, pose and looks; some of the portrait's own noise keeps outlines clean."""


class Drive(Frozen):
    """A drive made ready: the portrait's own face `own` (one frame) and the `track` that starts from it.

    `adapters` and, with `stylize`, the model that reads the portrait are told apart by digests. Without a `clip` the
    track is the plan's face. `ratio`: how much of the head's change of place is taken; `start` and `end`, seconds of
    the clip; `relative`: only its changes are taken; `puppet`: it shows a storybook puppet. `lead`: frames from the
    portrait's own face to the track's first. `clips`: drawn by the adapters' motion modules.
    """

    adapters: Input
    puppets: bool
    clips: bool = False
    clip: Input | None = None
    face: Input | None = None
    stylize: Input | None = None
    ratio: Annotated[float, Field(ge=0, le=3)] = RATIO
    start: Annotated[float, Field(ge=0, le=86400)] | None = None
    end: Annotated[float, Field(ge=0, le=86400)] | None = None
    relative: bool = False
    puppet: bool = False
    own: FaceTrack | None = None
    track: FaceTrack | None = None
    lead: int = 0

    @property
    def sampling(self) -> Mapping[str, Any]:
        """The settings of sampling where nobody says."""
        return OWN_SAMPLING if self.puppets else PUBLISHED_SAMPLING

    @property
    def only_goes_on(self) -> bool:
        """Whether its moments may be laid anew: a plan's face, drawn frame by frame, of which nothing comes back."""
        return self.clip is None and not self.clips and self.track is not None and not self.track.turns

    @property
    def recorded(self) -> dict[str, Any]:
        """As a record keeps it: what was asked for, from which the tracks are made again."""
        files = {"adapters": self.adapters, "clip": self.clip, "face": self.face, "stylize": self.stylize}
        told = {name: file.recorded_file for name, file in files.items() if file}
        names = ("puppets", "clips", "ratio", "start", "end", "relative", "puppet")
        said = {name: getattr(self, name) for name in names}
        return told | {name: value for name, value in said.items() if value is not None}

    @classmethod
    def unrecorded(cls, told: Mapping[str, Any]) -> dict[str, Any]:
        """The drive of a record, as JSON, its tracks not yet read."""
        files = ("adapters", "clip", "face", "stylize")
        return {**told, **{key: named(told[key]["name"], told[key]["sha256"]) for key in files if key in told}}
