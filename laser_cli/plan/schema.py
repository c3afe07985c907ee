"""The Plan: keyframe prompts, and for every segment between two of them how it is drawn."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    StrictBool,
    StrictInt,
    StrictStr,
    field_validator,
    model_serializer,
    model_validator,
)
from pydantic_core import PydanticCustomError

from laser_cli.controls import registry
from laser_cli.errors import BadInputError
from laser_cli.plan.easing import Easing
from laser_cli.tracks.names import Shape

if TYPE_CHECKING:
    Control = str
else:
    Control = Literal[registry.names()]

MAX_SEGMENTS = 64
MAX_PROMPT = 10_000
MAX_FACE = 1_000
FRAMES = 24
"""The pictures of an animation whose plan does not say how many."""
TURN = 90
"""Degrees that a head turns at most, either way."""
STRENGTHS: dict[str, float] = registry.strengths()
"""How firmly each control holds on to the source, unless a plan or the user says otherwise."""

Prompt = Annotated[str, Field(strict=True, min_length=1, max_length=MAX_PROMPT)]
Level = Annotated[int, Field(strict=True, ge=0, le=100)]
Angle = Annotated[float, Field(strict=True, ge=-TURN, le=TURN)]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


def _one_or_several(value: Any) -> Any:
    """One file or a list of files, as a tuple."""
    return (value,) if isinstance(value, str) else tuple(value) if isinstance(value, list) else value


def _one_alone(told: dict[str, Any]) -> dict[str, Any]:
    """A model as it is written: one condition without a list around it."""
    files = told.get("condition")
    return {**told, "condition": files[0]} if files and len(files) == 1 else told


Conditions = Annotated[
    tuple[Annotated[str, Field(strict=True, min_length=1, max_length=4096)], ...],
    BeforeValidator(_one_or_several),
    Field(max_length=16),
]
"""Pictures that lead a keyframe, one for each ControlNet of the run; `none` leaves one out."""


class Segment(_Model):
    """The way from one keyframe to the next: `frames` pictures, both keyframes included.

    Without a strength its control's usual one holds. With `back` the segment leads back to the source picture itself.
    Where a segment ends that is `via` is on the way of the next one: their time runs as one, and the pace moves it.
    `condition` leads the keyframe that it ends in.
    """

    prompt: Prompt
    control: Control = "texture"
    strength: Annotated[float, Field(strict=True, ge=0, le=1)] = STRENGTHS["texture"]
    frames: Annotated[int, Field(strict=True, ge=2)]
    easing: Easing = "linear"
    back: StrictBool = False
    via: StrictBool = False
    condition: Conditions = ()

    @model_validator(mode="before")
    @classmethod
    def _usual_strength(cls, value: Any) -> Any:
        if not isinstance(value, dict) or "strength" in value:
            return value
        control = value.get("control")
        return {**value, "strength": STRENGTHS[control]} if isinstance(control, str) and control in STRENGTHS else value

    @model_serializer(mode="wrap")
    def _said(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        told = {key: value for key, value in handler(self).items() if key not in ("back", "via", "condition") or value}
        return _one_alone(told)


class FacePoint(_Model):
    """What a face does at a moment: `at` percent of the animation, `expression` 0..100 by ARKit's names, degrees.

    Shapes that are not named are 0, and left and right in their names are the person's own. A positive yaw turns the
    head to the viewer's right, a positive pitch up, and a positive roll tilts it to the viewer's right.
    """

    at: Annotated[float, Field(strict=True, ge=0, le=100)]
    expression: dict[Shape, Level] = {}
    yaw: Angle = 0.0
    pitch: Angle = 0.0
    roll: Angle = 0.0

    @model_serializer
    def _said(self) -> dict[str, Any]:
        """What is at rest goes without saying; whole numbers are written as such."""
        angles = {name: _plain(angle) for name in ("yaw", "pitch", "roll") if (angle := getattr(self, name))}
        return {"at": _plain(self.at), **({"expression": self.expression} if self.expression else {}), **angles}


class Planner(_Model):
    """Who planned: `hand`, `rules`, or a model's file with what it was asked with; what does not apply is not written.

    `prompts` is the version of the prompts, `attempts` how often the model was asked; `instead_of` says of the rules
    which model they stood in for, and why.
    """

    name: Annotated[str, Field(strict=True, min_length=1)] = "hand"
    version: StrictStr | StrictInt = 1
    seed: StrictInt | None = None
    sha256: Annotated[str, Field(strict=True, pattern="^[0-9a-f]{64}$")] | None = None
    prompts: StrictStr | None = None
    temperature: Annotated[float, Field(ge=0)] | None = None
    attempts: Annotated[int, Field(strict=True, ge=1)] | None = None
    instead_of: StrictStr | None = None

    @model_serializer(mode="wrap")
    def _said(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {key: value for key, value in handler(self).items() if value is not None}


RULES = Planner(name="rules")
"""The rule planner, as its plans name it."""


class Plan(_Model):
    """A source prompt and what becomes of it; neighbouring segments share the keyframe between them.

    Segments without `frames` are as long as the others on average, or share 24 frames evenly if none says how long it
    is. A segment that leads `back` needs no prompt: it is the source's. `face` is the track of a portrait's face, empty
    for all else; between its points values run evenly.
    """

    version: Literal[1] = 1
    description: StrictStr = ""
    source: Prompt
    condition: Conditions = ()
    segments: Annotated[tuple[Segment, ...], Field(min_length=1, max_length=MAX_SEGMENTS)]
    face: Annotated[tuple[FacePoint, ...], Field(max_length=MAX_FACE)] = ()
    planner: Planner = Planner()

    @model_validator(mode="before")
    @classmethod
    def _complete(cls, value: Any) -> Any:
        segments = value.get("segments") if isinstance(value, dict) else None
        if not isinstance(segments, list | tuple) or not all(isinstance(s, dict) for s in segments):
            return value
        return {**value, "segments": _with_lengths([_with_source(s, value.get("source")) for s in segments])}

    @model_validator(mode="after")
    def _back_to_the_source(self) -> Plan:
        for number, segment in enumerate(self.segments, 1):
            if segment.back and segment.prompt != self.source:
                told = {"number": number}
                message = "segment {number} leads back to the source: its prompt has to be the source's, or left out"
                raise PydanticCustomError("back_prompt", message, told)
        return self

    @model_validator(mode="after")
    def _ends_a_way(self) -> Plan:
        if self.segments[-1].via:
            raise PydanticCustomError("via_last", "the last segment is `via`, but no other comes after it")
        return self

    @field_validator("face")
    @classmethod
    def _rises(cls, face: tuple[FacePoint, ...]) -> tuple[FacePoint, ...]:
        for number, (before, after) in enumerate(pairwise(face), 2):
            if after.at <= before.at:
                told = {"number": number, "at": _plain(after.at), "before": _plain(before.at)}
                raise PydanticCustomError(
                    "face_order", "point {number} is at {at}, the one before it at {before}: `at` has to rise", told
                )
        return face

    @model_serializer(mode="wrap")
    def _said(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return _one_alone({k: v for k, v in handler(self).items() if k not in ("face", "condition") or v})

    @property
    def prompts(self) -> tuple[str, ...]:
        """The prompts of all keyframes, the source's first."""
        return (self.source, *(segment.prompt for segment in self.segments))

    @property
    def total_frames(self) -> int:
        """How many pictures are written."""
        return sum(segment.frames for segment in self.segments) - (len(self.segments) - 1)

    @property
    def stages(self) -> list[tuple[float, str]]:
        """When each stage ends, in percent of the time, and the prompt that it leads to; what is `via` ends none."""
        places = accumulate(segment.frames - 1 for segment in self.segments)
        ends = zip(places, self.segments, strict=True)
        return [(100 * place / (self.total_frames - 1), segment.prompt) for place, segment in ends if not segment.via]


def _with_source(segment: dict[str, Any], source: Any) -> dict[str, Any]:
    """A segment that leads back, with the source's prompt."""
    return {"prompt": source, **segment} if segment.get("back") is True else segment


def _with_lengths(segments: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Segments with `frames`: those without get the mean of the others, or even shares of the usual total."""
    known = [s["frames"] for s in segments if isinstance(s.get("frames"), int)]
    if all("frames" in s for s in segments) or not segments:
        return segments
    if known:
        return [{"frames": max(2, round(sum(known) / len(known))), **s} for s in segments]
    lengths = share_frames(max(FRAMES, len(segments) + 1), [1] * len(segments))
    return [{"frames": length, **s} for s, length in zip(segments, lengths, strict=True)]


def _plain(number: float) -> float:
    """A whole number as an integer, to be read by people."""
    return int(number) if number == int(number) else number


def with_frames(plan: Plan, total: int) -> Plan:
    """The plan with `total` pictures, shared over its segments in proportion to their present lengths."""
    frames = share_frames(total, [segment.frames - 1 for segment in plan.segments])
    segments = [s.model_copy(update={"frames": n}) for s, n in zip(plan.segments, frames, strict=True)]
    return plan.model_copy(update={"segments": tuple(segments)})


def with_easing(plan: Plan, easing: str) -> Plan:
    """The plan with one easing for all its segments."""
    if easing not in get_args(Easing):
        raise BadInputError(f"unknown easing {easing!r}", hint=f"one of {', '.join(get_args(Easing))}")
    return plan.model_copy(update={"segments": tuple(s.model_copy(update={"easing": easing}) for s in plan.segments)})


def share_frames(total: int, weights: Sequence[int]) -> list[int]:
    """Lengths (>= 2, shared keyframes counted in both) of segments that show `total` pictures, as the weights ask."""
    count, steps = len(weights), total - 1
    if steps < count:
        raise BadInputError(
            f"{total} frames are too few for {count} segment{'s' if count > 1 else ''}",
            why="every segment needs its two keyframes, and neighbours share one",
            hint=f"ask for at least {count + 1} frames",
        )
    # integers only: the same shares on every machine, however large the numbers
    whole = sum(weights)
    shares = [max(1, steps * weight // whole) for weight in weights]
    owed = [steps * weight - given * whole for weight, given in zip(weights, shares, strict=True)]
    left = steps - sum(shares)
    while left:
        sign = 1 if left > 0 else -1
        candidates = [i for i in range(count) if sign > 0 or shares[i] > 1]
        i = max(candidates, key=lambda i: (sign * owed[i], -i))
        shares[i] += sign
        owed[i] -= sign * whole
        left -= sign
    return [given + 1 for given in shares]
