"""A GGUF model in llama.cpp: it answers under a grammar, within its time, and gives its memory back."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from laser_cli.errors import LaserError, MemoryExhausted, NotFoundError, UsageError
from laser_cli.plan.llm.backends.generate import Generator, usable_threads
from laser_cli.plan.llm.backends.prefix import PrefixCache
from laser_cli.plan.llm.backends.signals import held_signals
from laser_cli.plan.llm.backends.template import RECOMMENDED, Chat, chat_of
from laser_cli.plan.llm.backends.vision import MOST_TOKENS, Eyes, open_eyes
from laser_cli.plan.llm.backends.vocabulary import Vocabulary
from laser_cli.plan.llm.conversation import Deadline, NoAnswer
from laser_cli.plan.llm.forms import AnswerForm, Message
from laser_cli.plan.llm.gguf import Header, usable_memory
from laser_cli.plan.request import PlanRequest

BATCH = 512
"""The most tokens that are read in one go."""
SPARE = 192 * 2**20
"""Bytes that llama.cpp takes beside weights and context."""
TURN = 32
"""Tokens that a chat template puts around a message, at most."""
_UNUSABLE = "use another model: " + RECOMMENDED.removeprefix("use ")


class LlamaModel:
    """Answers with a model in llama.cpp; made by `open_model`."""

    def __init__(
        self, generator: Generator, chat: Chat, vocabulary: Vocabulary, form: AnswerForm, eyes: Eyes | None = None
    ) -> None:
        self._generator, self._chat, self._vocabulary = generator, chat, vocabulary
        self._form, self._eyes = form, eyes

    def answer(self, messages: list[Message], request: PlanRequest, seed: int, deadline: Deadline) -> Iterator[str]:
        """The answer piece by piece. Raises NoAnswer if time runs out, it is cut short, or llama.cpp fails."""
        opening, most = self._form.opening(request), self._form.longest(request)
        grammar = _grammar(self._form, request, self._vocabulary)
        try:
            with held_signals() as signals:
                self._read(messages, opening, request, most, lambda: bool(signals) or deadline.passed())
                pieces = self._generator.generate(
                    grammar, most, seed, request.temperature, lambda: bool(signals) or deadline.passed()
                )
                for piece in pieces:
                    yield opening + piece
                    opening = ""
        except NoAnswer as error:
            if deadline.passed():
                raise NoAnswer(f"no answer within {deadline.seconds:g} s", again=False) from error
            raise
        finally:
            grammar.free()

    def _read(
        self, messages: list[Message], opening: str, request: PlanRequest, most: int, stops: Callable[[], bool]
    ) -> None:
        """Let the model read a conversation, and the request's picture if it has one."""
        if self._eyes and request.picture is not None:
            rendered = self._chat.render(self._eyes.marked(messages)) + opening
            with self._eyes.chunks(rendered, request.picture) as chunks:
                self._fits(chunks.count + most)
                self._generator.see(chunks, stops)
            return
        rendered = self._chat.render(messages) + opening
        tokens = self._vocabulary.tokens(rendered)
        fixed = []
        for count in self._form.shared(messages):
            shared = self._vocabulary.tokens(_beginning(messages[:count], rendered))
            fixed.append(next((i for i, (a, b) in enumerate(zip(tokens, shared, strict=False)) if a != b), len(shared)))
        self._fits(len(tokens) + most)
        self._generator.read(tokens, fixed, stops)

    def _fits(self, tokens: int) -> None:
        if tokens > self._generator.room:
            raise NoAnswer("the conversation is too long for the model", again=False)


def _beginning(messages: list[Message], rendered: str) -> str:
    """A rendered conversation up to the end of its first messages."""
    content = messages[-1]["content"].strip()
    at = rendered.find(content)
    return rendered[: at + len(content)] if at >= 0 else ""


@contextmanager
def open_model(
    header: Header,
    size: int,
    request: PlanRequest,
    form: AnswerForm,
    note: Callable[[str], None],
    eyes_file: Path | None = None,
) -> Iterator[LlamaModel]:
    """A model that answers such requests in a form; on leaving the context its memory is freed.

    `size` is the bytes of its files, `eyes_file` the projector by which it sees the request's picture. Raises
    NotFoundError if it cannot be used, MemoryExhausted if it is too large, UsageError for layers on a GPU that is not
    there.
    """
    messages = form.messages(request)
    if header.embeds:
        why = "it makes embeddings of texts, and writes none"
        raise NotFoundError(f"{header.path.name} is an embedding model", why=why, hint=_UNUSABLE)
    with _quiet() as (heard, log):
        context = sum(len(message["content"]) for message in messages) // 3 + 2 * form.longest(request)
        if eyes_file:
            size, context = size + eyes_file.stat().st_size, context + MOST_TOKENS
        layers = _layers(request, header, size, context)
        model = _load(header, layers, request.layers is None, heard, note)
        try:
            vocabulary = Vocabulary(model)
            _grammar(form, request, vocabulary).free()
            opened = open_eyes(eyes_file, model, usable_threads(), bool(layers), log) if eyes_file else nullcontext()
            with opened as eyes:
                messages = eyes.marked(messages) if eyes else messages
                chat = chat_of(header.path.name, header.template, vocabulary.bos, vocabulary.eos, messages)
                for text in chat.notes:
                    note(text)
                prompt = chat.render(messages) + form.opening(request)
                first = len(vocabulary.tokens(prompt))
                if eyes and request.picture is not None:
                    with eyes.chunks(prompt, request.picture) as chunks:
                        first = chunks.count
                room = _room(header, vocabulary, request, form, first)
                with _generator(header, model, vocabulary, room, heard) as generator:
                    yield LlamaModel(generator, chat, vocabulary, form, eyes)
        finally:
            _cpp().llama_model_free(model)


def _cpp() -> Any:
    import llama_cpp

    llama_cpp.llama_backend_init()
    return llama_cpp


@contextmanager
def _quiet() -> Iterator[tuple[list[str], Any]]:
    """llama.cpp's warnings and errors go into a list instead of the console; also the callback that puts them there."""
    import llama_cpp
    from llama_cpp import _logger

    heard: list[str] = []

    def hear(level: int, text: bytes, _: object) -> None:
        if level in (3, 4) and len(heard) < 50:  # warnings and errors
            heard.append(text.decode("utf-8", "replace").strip())

    callback = llama_cpp.llama_log_callback(hear)
    llama_cpp.llama_log_set(callback, None)
    try:
        yield heard, callback
    finally:
        llama_cpp.llama_log_set(_logger.llama_log_callback, None)


def _unusable(header: Header, heard: list[str]) -> NotFoundError:
    why = next((line for line in heard if "error" in line.lower()), heard[-1] if heard else "")
    return NotFoundError(f"llama.cpp cannot load {header.path}", why=why, hint=_UNUSABLE)


def _grammar(form: AnswerForm, request: PlanRequest, vocabulary: Vocabulary) -> Any:
    """The grammar of the form, tried: llama.cpp takes any JSON where it cannot follow one, and says nothing."""
    from llama_cpp import LlamaGrammar

    gbnf, schema = form.grammar(request), form.schema(request)
    try:
        if gbnf is None:
            gbnf = LlamaGrammar.from_json_schema(json.dumps(schema), verbose=False)._grammar
    except (ValueError, KeyError, AssertionError, TypeError, RecursionError) as error:
        raise LaserError("no grammar could be made for plans", why=str(error), hint="--planner rules") from error
    grammar = vocabulary.grammar(gbnf)
    if grammar is None:
        why = "llama.cpp rejects the grammar of plans"
        raise LaserError("no grammar could be made for plans", why=why, hint="--planner rules")
    return grammar


def _room(header: Header, vocabulary: Vocabulary, request: PlanRequest, form: AnswerForm, first: int) -> int:
    """Tokens that a question of `first` tokens and its answer need, and a second question after it and its answer."""
    most = form.longest(request)
    told = form.again([{"role": "user", "content": ""}], "", ["x" * 400])
    second = first + most + sum(len(vocabulary.tokens(message["content"])) + TURN for message in told)
    room = header.context or 2**20
    if first + most > room:
        why = f"the request needs {first + most} tokens, the model reads {room}"
        raise NotFoundError(f"the context of {header.path.name} is too short", why=why, hint=_UNUSABLE)
    wanted = (second if request.retries else first) + most
    return min(-(-wanted // 256) * 256, room)


def _layers(request: PlanRequest, header: Header, size: int, context: int) -> int:
    """Layers to offload (-1: all); without a GPU the model has to fit into memory."""
    offload = bool(_cpp().llama_supports_gpu_offload())
    if request.layers and not offload:
        why = "this build of llama.cpp computes on the CPU only"
        raise UsageError("--planner-gpu-layers: there is no GPU for it", why=why, hint="leave the option out, or 0")
    if offload and request.layers != 0:
        return -1 if request.layers is None else request.layers
    needed, free = size + header.cache_bytes(context) + SPARE, usable_memory()
    if free is not None and needed > free:
        raise MemoryExhausted(
            f"{header.path.name} is too large for this machine's memory",
            why=f"it needs about {needed / 2**30:.1f} GiB, {free / 2**30:.1f} GiB are free",
            hint="a smaller model or quantization, for example Q4_K_M; or --planner rules",
        )
    return 0


def _load(header: Header, layers: int, auto: bool, heard: list[str], note: Callable[[str], None]) -> Any:
    """The weights; on the CPU if they do not fit on the GPU and nobody asked for layers there."""
    cpp = _cpp()
    del heard[:]
    parameters = cpp.llama_model_default_params()
    parameters.n_gpu_layers = 999 if layers < 0 else layers
    with held_signals():
        model = cpp.llama_model_load_from_file(os.fsencode(header.path), parameters)
    if model:
        return model
    if layers and auto:
        note("the planner does not fit on the GPU: it runs on the CPU")
        return _load(header, 0, False, heard, note)
    if any("alloc" in line for line in heard):
        what = f"{header.path.name} is too large for this machine's memory"
        raise MemoryExhausted(what, why=heard[-1], hint="a smaller model or quantization")
    raise _unusable(header, heard)


@contextmanager
def _generator(header: Header, model: Any, vocabulary: Vocabulary, room: int, heard: list[str]) -> Iterator[Generator]:
    cpp = _cpp()
    parameters = cpp.llama_context_default_params()
    parameters.n_ctx, parameters.n_batch, parameters.n_ubatch = room, BATCH, BATCH
    with held_signals():
        context = cpp.llama_init_from_model(model, parameters)
    if not context:
        if any("alloc" in line for line in heard):
            what = f"{header.path.name} is too large for this machine's memory"
            raise MemoryExhausted(what, why=heard[-1], hint="a smaller model or quantization")
        raise _unusable(header, heard)
    try:
        cache = PrefixCache(header) if header.cache_bytes(1) else None
        yield Generator(context, vocabulary, room, cache)
    finally:
        cpp.llama_free(context)
