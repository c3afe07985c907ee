"""The form that the model fills in: its schema, the grammar's view of it, and the reading of an answer."""

from __future__ import annotations

import copy
import json
import re
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from laser_cli.plan.easing import Easing
from laser_cli.plan.llm.asked import MOST_KEYFRAMES, Asked
from laser_cli.plan.schema import Control

LONGEST = 200
"""Characters of a text: a grammar unrolls every one of them."""

Percent = Literal[0, 20, 40, 60, 80, 100]
Share = Literal[1, 2, 3, 4, 5, 6, 7, 8, 9]
# a grammar knows neither minimum nor maximum: what has limits is an enum
assert all(isinstance(value, int) for value in (*get_args(Percent), *get_args(Share)))


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


class Filled(_Form):
    """A whole answer; all keys are needed and come in this order, the reasoning first."""

    reasoning: Annotated[str, Field(max_length=LONGEST)]
    source: Annotated[str, Field(min_length=3)]
    segments: Annotated[tuple[Keyframe, ...], Field(min_length=1, max_length=MOST_KEYFRAMES)]


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
    return made


def longest_answer(asked: Asked) -> int:
    """Tokens that an answer may have; one that is longer goes round in circles."""
    return 256 + len(asked.source or "") // 2 + 160 * asked.most


class Unreadable(Exception):
    """An answer that is not the form; the text is a problem to tell the model."""


def read(answer: str) -> Filled:
    """The form in an answer; Unreadable where it is not."""
    try:
        # not strict: a grammar lets raw control characters into strings
        value = json.loads(answer, strict=False)
    except (ValueError, RecursionError) as error:
        raise Unreadable(f"it is not valid JSON: {error}") from error
    try:
        return Filled.model_validate(_plain(value))
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
