"""A GGUF model in llama.cpp that answers under a grammar, within its time, and gives its memory back."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from typing import Any

from laser_cli.errors import LaserError, MemoryExhausted, NotFoundError, UsageError
from laser_cli.plan.llm.backends.signals import held_signals
from laser_cli.plan.llm.backends.template import RECOMMENDED, Chat, chat_of
from laser_cli.plan.llm.conversation import NoAnswer
from laser_cli.plan.llm.forms import AnswerForm, Message
from laser_cli.plan.llm.gguf import Header, usable_memory
from laser_cli.plan.request import PlanRequest

BATCH = 512
"""Tokens read in one go; fixed, because the results depend on it."""
SPARE = 192 * 2**20
"""Bytes that llama.cpp takes beside weights and context."""
_UNUSABLE = "use another model: " + RECOMMENDED.removeprefix("use ")


def threads() -> int:
    """The threads to compute with, fixed for a machine: its cores, as far as this process may use them."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return usable if usable <= 4 else min(usable // 2, 16)  # two processors of a core share its units


class LlamaModel:
    """Answers with a model in llama.cpp, in `most` tokens at most; made by `open_model`."""

    def __init__(
        self, llama: Any, chat: Chat, grammar: Any, request: PlanRequest, vocabulary: Vocabulary, most: int
    ) -> None:
        self._llama, self._chat, self._grammar, self._request, self._most = llama, chat, grammar, request, most
        self._vocabulary = vocabulary
        self._deadline = float("inf")
        self._signals: list[int] = []
        self._callback = _abort_callback(self._stops)
        import llama_cpp

        # between tokens a deadline is watched below; this one ends the reading of a long prompt as well
        llama_cpp.llama_set_abort_callback(llama.ctx, self._callback, None)

    def answer(self, messages: list[Message], seed: int, deadline: float) -> Iterator[str]:
        """The answer piece by piece; NoAnswer if time runs out, it is cut short, or llama.cpp fails."""
        self._deadline = deadline
        self._llama.reset()  # reusing what it read before can change the answer
        tokens = self._vocabulary.tokens(self._chat.render(messages))
        if len(tokens) + self._most > self._llama.n_ctx():
            raise NoAnswer("the conversation is too long for the model", again=False)
        with held_signals() as self._signals:
            finish = yield from self._pieces(tokens, self._most, seed, deadline)
        if finish != "stop":
            raise NoAnswer("the answer did not come to an end: use short prompts and few segments")

    def _pieces(self, tokens: list[int], most: int, seed: int, deadline: float) -> Generator[str, None, str | None]:
        """The pieces, and why they end; a signal ends them at once."""
        finish = None
        try:
            for part in self._llama.create_completion(
                tokens,
                max_tokens=most,
                temperature=self._request.temperature,
                seed=seed % 2**32,
                repeat_penalty=1.0,  # a plan says things again and again
                grammar=self._grammar,
                stream=True,
            ):
                choice = part["choices"][0]
                finish = choice["finish_reason"] or finish
                if choice["text"]:
                    yield choice["text"]
                if self._stops():
                    break
        except (RuntimeError, ValueError, UnicodeDecodeError) as error:
            if not self._stops():
                raise NoAnswer(f"llama.cpp failed: {error}", again=False) from error
        if finish is None and not self._signals and time.monotonic() > deadline:
            raise self._late()
        return finish

    def _late(self) -> NoAnswer:
        return NoAnswer(f"no answer within {self._request.timeout:g} s", again=False)

    def _stops(self) -> bool:
        return bool(self._signals) or time.monotonic() > self._deadline


def _abort_callback(stops: Callable[[], bool]) -> Any:
    from llama_cpp import llama_cpp

    return llama_cpp.ggml_abort_callback(lambda _: stops())


class Vocabulary:
    """A model's vocabulary, loaded without its weights."""

    def __init__(self, model: Any) -> None:
        import llama_cpp

        self._cpp = llama_cpp
        self._vocab = llama_cpp.llama_model_get_vocab(model)
        self._bos = llama_cpp.llama_vocab_bos(self._vocab)
        self.bos, self.eos = self._text(self._bos), self._text(llama_cpp.llama_vocab_eos(self._vocab))

    def tokens(self, text: str) -> list[int]:
        """The tokens of a prompt, marks of the template included; the mark for beginnings is there once, if wanted."""
        data = text.encode("utf-8", "replace")
        space = (self._cpp.llama_token * (len(data) + 8))()
        count = self._cpp.llama_tokenize(self._vocab, data, len(data), space, len(space), False, True)
        found = list(space[: max(count, 0)])
        if self._cpp.llama_vocab_get_add_bos(self._vocab) and self._bos >= 0 and found[:1] != [self._bos]:
            found.insert(0, self._bos)
        return found

    def accepts(self, grammar: str) -> bool:
        """Whether llama.cpp can follow a grammar with this vocabulary; asked for wrong ones it would crash."""
        made = self._cpp.llama_sampler_init_grammar(self._vocab, grammar.encode("utf-8"), b"root")
        if not made:
            return False
        self._cpp.llama_sampler_free(made)
        return True

    def _text(self, token: int) -> str:
        if token < 0:
            return ""
        return str(self._cpp.llama_vocab_get_text(self._vocab, token).decode("utf-8", "replace"))


@contextmanager
def open_model(
    header: Header,
    size: int,
    request: PlanRequest,
    form: AnswerForm,
    note: Callable[[str], None],
) -> Iterator[LlamaModel]:
    """A model that answers such requests in a form; on leaving the context its memory is freed.

    `size` is the bytes of its files. Raises NotFoundError if it cannot be used, MemoryExhausted if it is too large,
    UsageError for layers on a GPU that is not there.
    """
    messages = form.messages(request)
    with _quiet() as heard, _vocabulary(header, heard) as vocabulary:
        chat = chat_of(header.path.name, header.template, vocabulary.bos, vocabulary.eos, messages)
        for text in chat.notes:
            note(text)
        most = form.longest(request)
        grammar = _grammar(form, request, vocabulary)
        context = _context(header, vocabulary, chat, request, form, messages)
        layers = _layers(request, header, size, context)
        with held_signals():
            llama = _load(header, context, layers, request.layers is None, heard, note)
        try:
            yield LlamaModel(llama, chat, grammar, request, vocabulary, most)
        finally:
            llama.close()


@contextmanager
def _quiet() -> Iterator[list[str]]:
    """llama.cpp's errors go into a list instead of the console."""
    import llama_cpp
    from llama_cpp import _logger

    heard: list[str] = []

    def hear(level: int, text: bytes, _: object) -> None:
        if level in (3, 4) and len(heard) < 50:  # warnings and errors
            heard.append(text.decode("utf-8", "replace").strip())

    callback = llama_cpp.llama_log_callback(hear)
    llama_cpp.llama_log_set(callback, None)
    try:
        yield heard
    finally:
        llama_cpp.llama_log_set(_logger.llama_log_callback, None)


@contextmanager
def _vocabulary(header: Header, heard: list[str]) -> Iterator[Vocabulary]:
    import llama_cpp

    llama_cpp.llama_backend_init()
    wanted = llama_cpp.llama_model_default_params()
    wanted.vocab_only = True
    with held_signals():
        model = llama_cpp.llama_model_load_from_file(os.fsencode(header.path), wanted)
    if not model:
        raise _unusable(header, heard)
    try:
        yield Vocabulary(model)
    finally:
        llama_cpp.llama_model_free(model)


def _unusable(header: Header, heard: list[str]) -> NotFoundError:
    why = next((line for line in heard if "error" in line.lower()), heard[-1] if heard else "")
    return NotFoundError(f"llama.cpp cannot load {header.path}", why=why, hint=_UNUSABLE)


def _grammar(form: AnswerForm, request: PlanRequest, vocabulary: Vocabulary) -> Any:
    """The grammar of the form, built here and tried: llama.cpp takes any JSON where it is not, and says nothing."""
    from llama_cpp import LlamaGrammar

    schema = form.schema(request)
    try:
        if schema is not None:
            grammar = LlamaGrammar.from_json_schema(json.dumps(schema), verbose=False)
        else:
            grammar = LlamaGrammar.from_string(form.grammar(request) or "", verbose=False)
    except (ValueError, KeyError, AssertionError, TypeError, RecursionError) as error:
        raise LaserError("no grammar could be made for plans", why=str(error), hint="--planner rules") from error
    if not vocabulary.accepts(grammar._grammar):
        why = "llama.cpp rejects the grammar of plans"
        raise LaserError("no grammar could be made for plans", why=why, hint="--planner rules")
    return grammar


def _context(
    header: Header, vocabulary: Vocabulary, chat: Chat, request: PlanRequest, form: AnswerForm, messages: list[Message]
) -> int:
    """Tokens that question and answer need, and a second question with that answer in it and the second answer."""
    most = form.longest(request)
    first = len(vocabulary.tokens(chat.render(messages)))
    second = len(vocabulary.tokens(chat.render(form.again(messages, "", ["x" * 400])))) + most
    room = header.context or 2**20
    if first + most > room:
        why = f"the request needs {first + most} tokens, the model reads {room}"
        raise NotFoundError(f"the context of {header.path.name} is too short", why=why, hint=_UNUSABLE)
    wanted = (second if request.retries else first) + most
    return min(-(-wanted // 256) * 256, room)


def _layers(request: PlanRequest, header: Header, size: int, context: int) -> int:
    """Layers to offload (-1: all); without a GPU the model has to fit into memory."""
    import llama_cpp

    offload = bool(llama_cpp.llama_supports_gpu_offload())
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


@contextmanager
def _no_templates() -> Iterator[None]:
    """Keep llama-cpp-python from compiling a file's chat templates in this process, where nothing limits them."""
    from llama_cpp import llama_chat_format

    class Unused:
        def __init__(self, **options: Any) -> None:
            """Take the template, and leave it alone: prompts are made by `render_chat`."""

        def to_chat_handler(self) -> None:
            """No handler: chats are asked for as completions."""

    library: Any = llama_chat_format
    formatter = library.Jinja2ChatFormatter
    library.Jinja2ChatFormatter = Unused
    try:
        yield
    finally:
        library.Jinja2ChatFormatter = formatter


def _load(header: Header, context: int, layers: int, auto: bool, heard: list[str], note: Callable[[str], None]) -> Any:
    import llama_cpp

    del heard[:]
    count = threads()
    options: dict[str, Any] = {
        "n_ctx": context,
        "n_batch": BATCH,
        "n_threads": count,
        "n_threads_batch": count,
        "verbose": False,
    }
    try:
        with _no_templates():
            return llama_cpp.Llama(str(header.path), n_gpu_layers=layers, seed=1, **options)
    except (ValueError, RuntimeError, OSError, UnicodeDecodeError) as error:
        if layers and auto:
            note("the planner does not fit on the GPU: it runs on the CPU")
            return _load(header, context, 0, False, heard, note)
        if any("alloc" in line for line in heard):
            what = f"{header.path.name} is too large for this machine's memory"
            raise MemoryExhausted(what, why=heard[-1], hint="a smaller model or quantization") from error
        raise _unusable(header, heard) from error
