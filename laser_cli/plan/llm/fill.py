"""The form that the model fills in: its schema, the grammar's view of it, and the reading of an answer."""

from __future__ import annotations

import copy
import json
import re
from typing import Annotated, Any, Literal, TypeVar, get_args

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    ValidationError,
    model_serializer,
)

from laser_cli.plan.easing import Easing
from laser_cli.plan.llm.asked import MOST_KEYFRAMES, Asked
from laser_cli.plan.schema import Control
from laser_cli.storybook.vocabulary import Blendshape

LONGEST = 200
"""Characters of a text: a grammar unrolls every one of them."""
MOST_POINTS, MOST_SHAPES = 6, 6
"""Points of a face track, and the shapes that each may name."""

Percent = Literal[0, 20, 40, 60, 80, 100]
Share = Literal[1, 2, 3, 4, 5, 6, 7, 8, 9]
# a grammar knows neither minimum nor maximum: what has limits is an enum
assert all(isinstance(value, int) for value in (*get_args(Percent), *get_args(Share)))
# these are enums of the grammar only: a number between them is as good, and one beyond can be mended
Level = Annotated[int, Field(json_schema_extra={"enum": list(range(0, 101, 5))})]
Degrees = Annotated[int, Field(json_schema_extra={"enum": list(range(-45, 46, 5))})]


Form = TypeVar("Form", bound=BaseModel)


class _Form(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Keyframe(_Form):
    """A segment as the model says it: strength in percent, its length as a share beside the others'."""

    # the least length is the grammar's only: an empty prompt can be left out later
    prompt: Annotated[str, Field(max_length=LONGEST, json_schema_extra={"minLength": 3})]
    control: Control
    strength: Percent
    share: Share
    easing: Easing


class Shape(_Form):
    """A part of an expression: ARKit's name for it, and how much of it in percent."""

    name: Blendshape
    value: Level


class Moment(_Form):
    """A face at a percentage of the time. Its shapes are a list: keys that may be missing would have a fixed order."""

    at: Level
    expression: Annotated[tuple[Shape, ...], Field(max_length=MOST_SHAPES)]
    yaw: Degrees
    pitch: Degrees
    roll: Degrees


class Filled(_Form):
    """A whole answer; all keys are needed and come in this order, the reasoning first; the face's only if asked for."""

    reasoning: Annotated[str, Field(max_length=LONGEST)]
    source: Annotated[str, Field(min_length=3)]
    segments: Annotated[tuple[Keyframe, ...], Field(min_length=1, max_length=MOST_KEYFRAMES)]
    face: Annotated[tuple[Moment, ...], Field(max_length=MOST_POINTS)] = ()

    @model_serializer(mode="wrap")
    def _said(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {key: value for key, value in handler(self).items() if key != "face" or value}


def schema(asked: Asked) -> dict[str, Any]:
    """The JSON schema for one request: a source that is given cannot be changed, nor a number of keyframes."""
    made = copy.deepcopy(Filled.model_json_schema())
    properties = made["properties"]
    # the converter of schemas to grammars forgets to escape backslashes: such a source the model may write as it likes
    fixed = asked.source and "\\" not in json.dumps(asked.source)
    properties["source"] = (
        {"const": asked.source} if fixed else {"type": "string", "minLength": 3, "maxLength": LONGEST}
    )
    properties["segments"].update(minItems=asked.keyframes or 1, maxItems=asked.most)
    if asked.face:
        del properties["face"]["default"]
    else:
        del properties["face"]
    return {**made, "required": list(properties)}


def longest_answer(asked: Asked) -> int:
    """Tokens that an answer may have; one that is longer goes round in circles."""
    face = MOST_POINTS * (30 + 20 * MOST_SHAPES) if asked.face else 0
    return 256 + len(asked.source or "") // 2 + 160 * asked.most + face


class Unreadable(Exception):
    """An answer that is not the form; the text is a problem to tell the model."""


def read(answer: str) -> Filled:
    """The plan's form in an answer; Unreadable where it is not."""
    return read_form(answer, Filled)


def read_form(answer: str, form: type[Form]) -> Form:
    """Any form in an answer; Unreadable where it is not."""
    try:
        # not strict: a grammar lets raw control characters into strings
        value = json.loads(answer, strict=False)
    except (ValueError, RecursionError) as error:
        raise Unreadable(f"it is not valid JSON: {error}") from error
    try:
        return form.model_validate(_plain(value))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise Unreadable(f"{place}: {first['msg']}") from error


def _plain(value: Any) -> Any:
    """Texts without control characters, halves of characters and double spaces."""
    if isinstance(value, str):
        return " ".join(re.sub(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufeff]", " ", value).split())
    if isinstance(value, list):
        return [_plain(part) for part in value]
    return {key: _plain(part) for key, part in value.items()} if isinstance(value, dict) else value
