"""A model behind a server of the OpenAI API: llama.cpp's, Ollama, vLLM, LM Studio and others; `openai:URL[#MODEL]`."""

from __future__ import annotations

import base64
import http.client
import io
import json
import os
import re
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from laser_cli.errors import NotFoundError, UsageError
from laser_cli.plan.llm.conversation import Deadline, NoAnswer
from laser_cli.plan.llm.forms import AnswerForm, Message
from laser_cli.plan.request import PlanRequest

if TYPE_CHECKING:
    import numpy as np

PREFIX = "openai:"
KEYS = ("LASER_PLANNER_KEY", "OPENAI_API_KEY")
"""Environment variables that may hold the server's key, the first that does counts."""
CONNECT = 10.0
"""Seconds to wait for a server that should list its models."""
LONGEST_LINE = 2**20
"""Bytes of one event of a stream; no server sends more for a token."""
_REFUSED = (OSError, http.client.HTTPException, ValueError)


class Address(NamedTuple):
    """Where a server is, ending in /v1 unless the user says otherwise, and the model to ask for; empty: its first."""

    url: str
    model: str


class ServerModel:
    """Answers with a model of a server; made by `open_server`."""

    def __init__(self, address: Address, form: AnswerForm) -> None:
        self.address, self._form = address, form
        self._refused = 0

    @property
    def name(self) -> str:
        """How a plan records it: the server without credentials, and the model."""
        parts = urllib.parse.urlsplit(self.address.url)
        host = parts.netloc.rpartition("@")[2]
        return f"{PREFIX}{parts.scheme}://{host}{parts.path}#{self.address.model}"

    def answer(self, messages: list[Message], request: PlanRequest, seed: int, deadline: Deadline) -> Iterator[str]:
        """The answer piece by piece. Raises NoAnswer if the server fails, cuts it short or takes too long."""
        body: dict[str, Any] = {
            "model": self.address.model,
            "messages": _with_picture(messages, request.picture),
            "temperature": request.temperature,
            "seed": seed % 2**31,
            "max_tokens": self._form.longest(request),
            "stream": True,
        }
        ways = self._ways(request)[self._refused :]
        try:
            yield from self._stream(body | ways[0], deadline)
        except urllib.error.HTTPError as error:
            told = _told(error)
            if len(ways) > 1 and (error.code in (400, 422) or "response_format" in told):
                self._refused += 1
                yield from self.answer(messages, request, seed, deadline)
                return
            raise NoAnswer(told, again=error.code in (408, 429, 500, 502, 503, 504)) from error
        except TimeoutError as error:
            raise self._late(deadline) from error
        except _REFUSED as error:
            raise NoAnswer(f"the server failed: {_told(error)}") from error

    def _ways(self, request: PlanRequest) -> list[dict[str, Any]]:
        """The ways to hold a server to the form, best first; the last one is to trust the instructions."""
        schema, grammar = self._form.schema(request), self._form.grammar(request)
        if schema is not None:
            named = {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema}}
            return [{"response_format": named}, {"response_format": {"type": "json_object", "schema": schema}}, {}]
        if grammar and (opening := self._form.opening(request)):
            said = json.dumps(opening, ensure_ascii=False)
            grammar = f"root ::= {said} rest\n{grammar}".replace("\nroot ::=", "\nrest ::=")
        return [{"grammar": grammar}, {}] if grammar else [{}]

    def _stream(self, body: dict[str, Any], deadline: Deadline) -> Iterator[str]:
        finish = None
        with _open(f"{self.address.url}/chat/completions", deadline.left(), body) as response:
            while line := response.readline(LONGEST_LINE):
                if deadline.passed():
                    raise self._late(deadline)
                text = line.decode("utf-8", "replace").strip()
                if not text.startswith("data:") or text == "data: [DONE]":
                    continue
                event = json.loads(text.removeprefix("data:"))
                if not isinstance(event, dict) or event.get("error"):
                    raise NoAnswer(f"the server failed: {_shown(event)}")
                choice: dict[str, Any] = next(iter(event.get("choices") or ()), {})
                finish = choice.get("finish_reason") or finish
                if piece := (choice.get("delta") or {}).get("content"):
                    yield str(piece)
        if finish == "length":
            raise NoAnswer("the answer did not come to an end: use short prompts and few of them")
        if finish is None:
            raise NoAnswer("the server ended its answer in the middle")

    def _late(self, deadline: Deadline) -> NoAnswer:
        return NoAnswer(f"no answer within {deadline.seconds:g} s", again=False)


def server_sees(name: str) -> bool:
    """Whether a server says that its model can be shown pictures, as llama.cpp's and Ollama do."""
    try:
        address = _reached(name)
        with _open(f"{address.url}/models", CONNECT) as response:
            listed = json.loads(response.read(2**24))
        rows = [*listed.get("data", ()), *listed.get("models", ())]
        told = [row.get("capabilities") for row in rows if address.model in (row.get("id"), row.get("name"))]
        if not any(told):
            root = re.sub(r"/v\d+\w*$", "", address.url)
            with _open(f"{root}/api/show", CONNECT, {"model": address.model}) as response:
                told = [json.loads(response.read(2**24)).get("capabilities")]
        return any(kind in ("multimodal", "vision") for kinds in told for kind in kinds or ())
    except (*_REFUSED, NotFoundError, AttributeError, TypeError):
        return False


def _with_picture(messages: list[Message], picture: np.ndarray | None) -> list[Any]:
    """The messages with a picture (h, w, 3) uint8 at the head of the first question, as a data address."""
    if picture is None:
        return list(messages)
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(picture).save(file, "PNG")
    address = "data:image/png;base64," + base64.b64encode(file.getvalue()).decode("ascii")
    first = next(i for i, message in enumerate(messages) if message["role"] == "user")
    parts = [
        {"type": "image_url", "image_url": {"url": address}},
        {"type": "text", "text": messages[first]["content"]},
    ]
    return [*messages[:first], {"role": "user", "content": parts}, *messages[first + 1 :]]


def open_server(name: str, form: AnswerForm) -> ServerModel:
    """The model that `openai:URL[#MODEL]` names; the server's first if none is named.

    Raises NotFoundError if there is no such server or model, UsageError if it is no address.
    """
    return ServerModel(_reached(name), form)


def _reached(name: str) -> Address:
    """The address of a server that answers and has the model, its first if none is named."""
    address = address_of(name)
    try:
        with _open(f"{address.url}/models", CONNECT) as response:
            listed = json.loads(response.read(2**24))
    except urllib.error.HTTPError as error:
        if address.model and error.code in (404, 405, 501):
            return address  # not every server lists its models
        raise _unreachable(address, error) from error
    except _REFUSED as error:
        raise _unreachable(address, error) from error
    rows = listed.get("data") if isinstance(listed, dict) else None
    models = [str(row["id"]) for row in rows or () if isinstance(row, dict) and "id" in row]
    if not address.model and not models:
        raise NotFoundError(f"the server {address.url} has no model", hint=f"name one: --planner {name}#MODEL")
    if address.model and models and not any(_same_model(address.model, model) for model in models):
        why = f"it has {', '.join(models[:8])}"
        raise NotFoundError(f"the server {address.url} has no model {address.model!r}", why=why)
    return address._replace(model=address.model or models[0])


def address_of(name: str) -> Address:
    """The address in `openai:URL[#MODEL]`. Raises UsageError if there is none."""
    url, _, model = name.removeprefix(PREFIX).partition("#")
    url = url if re.match(r"https?://", url) else f"http://{url}"
    parts = urllib.parse.urlsplit(url)
    try:
        known = bool(parts.hostname) and (parts.port or True)
    except ValueError:
        known = False
    if not known:
        raise UsageError(f"{name!r} is no address of a server", hint=f"for example {PREFIX}http://localhost:8080")
    path = parts.path.rstrip("/")
    path = path if re.search(r"/v\d+\w*$", path) else f"{path}/v1"
    return Address(urllib.parse.urlunsplit((parts.scheme, parts.netloc, path, "", "")), model)


def _open(url: str, seconds: float, body: dict[str, Any] | None = None) -> Any:
    key = next((value for name in KEYS if (value := os.environ.get(name))), "")
    headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {key}"} if key else {})
    data = None if body is None else json.dumps(body).encode("utf-8")
    request = urllib.request.Request(url, data=data, headers=headers)
    local = urllib.parse.urlsplit(url).hostname in ("localhost", "127.0.0.1", "::1")
    handlers = [_NoRedirects()] + ([urllib.request.ProxyHandler({})] if local else [])
    return urllib.request.build_opener(*handlers).open(request, timeout=max(seconds, 0.01))


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """A key is for the server that it was given for, and for no other that it names."""

    def redirect_request(self, *_: Any) -> None:
        return None


def _unreachable(address: Address, error: Exception) -> NotFoundError:
    code = getattr(error, "code", 0)
    hint = f"set {KEYS[0]} to the server's key" if code in (401, 403) else "check that it runs, and its address"
    return NotFoundError(f"cannot use the server {address.url}", why=_told(error), hint=hint)


def _told(error: Exception) -> str:
    """What a server or the network says is wrong, in one line."""
    if isinstance(error, urllib.error.HTTPError):
        try:
            said = _shown(json.loads(error.read(2**16)))
        except _REFUSED:
            said = error.reason
        return f"HTTP {error.code}: {said}"
    reason = getattr(error, "reason", error)
    return " ".join(str(reason).split()) or type(error).__name__


def _shown(answer: object) -> str:
    """The message in an error's JSON."""
    error = answer.get("error", answer) if isinstance(answer, dict) else answer
    message = error.get("message", error) if isinstance(error, dict) else error
    return " ".join(str(message).split())[:200]


def _same_model(wanted: str, listed: str) -> bool:
    """Whether a listed model is the one that was named; Ollama lists tags that need not be named."""
    return wanted == listed or listed.removesuffix(":latest") == wanted
