"""The full form: a JSON object with reasoning, prompts, controls, strengths, shares, easings and a face track."""

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
from laser_cli.plan.llm.draft import Draft, DraftKeyframe, Unreadable
from laser_cli.plan.llm.faces import face_track
from laser_cli.plan.llm.forms import AnswerForm, Message, text, worked_examples
from laser_cli.plan.llm.moment import MOST_SHAPES, Moment
from laser_cli.plan.llm.repair import repair
from laser_cli.plan.request import MOST_KEYFRAMES, PlanRequest
from laser_cli.plan.schema import Control

LONGEST = 200
"""Characters of a text: a grammar unrolls every one of them."""
MOST_POINTS = 6
"""The most points of a face track."""

Percent = Literal[0, 10, 20, 30, 40, 50, 60, 70, 80, 90, 100]
Share = Literal[1, 2, 3, 4, 5, 6, 7, 8, 9]
# a grammar knows neither minimum nor maximum: what has limits is an enum
assert all(isinstance(value, int) for value in (*get_args(Percent), *get_args(Share)))


Form = TypeVar("Form", bound=BaseModel)


class _Form(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Keyframe(_Form):
    """A segment as the model writes it: strength in percent, its length as a share beside the others'."""

    # the least length is the grammar's only: an empty prompt can be left out later
    prompt: Annotated[str, Field(max_length=LONGEST, json_schema_extra={"minLength": 3})]
    control: Control
    strength: Percent
    share: Share
    easing: Easing


class Answer(_Form):
    """A whole answer; all keys are needed and come in this order, the reasoning first; the face's only if asked for."""

    reasoning: Annotated[str, Field(max_length=LONGEST)]
    source: Annotated[str, Field(min_length=3)]
    segments: Annotated[tuple[Keyframe, ...], Field(min_length=1, max_length=MOST_KEYFRAMES)]
    face: Annotated[tuple[Moment, ...], Field(max_length=MOST_POINTS)] = ()

    @model_serializer(mode="wrap")
    def _said(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {key: value for key, value in handler(self).items() if key != "face" or value}


class FullForm(AnswerForm):
    """The form for large models; a face track is asked for where `faces` and the words of the request allow it."""

    version = "full2"

    def __init__(self, *, faces: bool = True) -> None:
        self._faces = faces

    def system(self, request: PlanRequest) -> str:
        """The instructions; of faces only where there may be one."""
        instructions = text(self.version, "system.md")
        return f"{instructions}\n\n{text(self.version, 'face.md')}" if self.asks_for_face(request) else instructions

    def asks_for_face(self, request: PlanRequest) -> bool:
        """Whether the answer has a face track."""
        return self._faces and request.face

    def examples(self, request: PlanRequest) -> list[tuple[PlanRequest, str]]:
        """The worked examples; those with a face only where a face is asked for."""
        faces = self.asks_for_face(request)
        found = []
        for example in worked_examples(self.version):
            answer = example["answer"]
            if "face" in answer and not faces:
                continue
            if faces:
                answer = {**answer, "face": answer.get("face", [])}
            question = PlanRequest(example["description"], example["source"])
            found.append((question, json.dumps(answer, ensure_ascii=False)))
        return found

    def shared(self, messages: list[Message]) -> tuple[int, ...]:
        """The instructions and the worked examples, which differ only by whether a face is asked for."""
        return (1 + 2 * sum("face" not in row["answer"] for row in worked_examples(self.version)),)

    def schema(self, request: PlanRequest) -> dict[str, Any]:
        """The JSON schema for one request: a source that is given cannot be changed, nor a number of keyframes."""
        made = copy.deepcopy(Answer.model_json_schema())
        properties = made["properties"]
        # the converter of schemas to grammars forgets to escape backslashes: such a source is left to the model
        fixed = request.source and "\\" not in json.dumps(request.source)
        properties["source"] = (
            {"const": request.source} if fixed else {"type": "string", "minLength": 3, "maxLength": LONGEST}
        )
        properties["segments"].update(minItems=request.keyframes or 1, maxItems=request.most)
        if self.asks_for_face(request):
            del properties["face"]["default"]
        else:
            del properties["face"]
        return {**made, "required": list(properties)}

    def longest(self, request: PlanRequest) -> int:
        """The most tokens that an answer may have."""
        face = MOST_POINTS * (30 + 20 * MOST_SHAPES) if self.asks_for_face(request) else 0
        return 256 + len(request.source or "") // 2 + 160 * request.most + face

    def keyframes_begun(self, answer: str) -> int:
        """How many prompts the answer has begun."""
        return len(re.findall(r'"prompt"\s*:', answer))

    def read(self, answer: str, request: PlanRequest) -> Draft:
        """The draft in an answer, repaired and with its problems. Raises Unreadable if it does not have the form."""
        return repair(self.draft(answer), request)

    def draft(self, answer: str) -> Draft:
        """The draft in an answer as it is. Raises Unreadable if it does not have the form."""
        filled = read_json(answer, Answer)
        face, repairs = face_track(filled.face)
        keyframes = tuple(
            DraftKeyframe(k.prompt, k.control, k.strength / 100, k.share, k.easing) for k in filled.segments
        )
        return Draft(filled.source, keyframes, face, repairs)


def read_json(answer: str, form: type[Form]) -> Form:
    """The JSON object in an answer. Raises Unreadable if it does not have the form."""
    try:
        # not strict: a grammar lets raw control characters into strings
        value = json.loads(re.sub(r"^\s*```(?:json)?|```\s*$", "", answer), strict=False)
    except (ValueError, RecursionError) as error:
        raise Unreadable(f"it is not valid JSON: {error}") from error
    try:
        return form.model_validate(_plain(value))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise Unreadable(f"{place}: {first['msg']}") from error


def _plain(value: Any) -> Any:
    """The value with its texts rid of control characters, halves of characters and double spaces."""
    if isinstance(value, str):
        return " ".join(re.sub(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufeff]", " ", value).split())
    if isinstance(value, list):
        return [_plain(part) for part in value]
    return {key: _plain(part) for key, part in value.items()} if isinstance(value, dict) else value
