"""Reading and writing tokens with llama.cpp: a fixed prefix, threads by measure, the grammar asked about few tokens."""

from __future__ import annotations

import ctypes
import os
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from laser_cli.plan.llm.backends.prefix import PrefixCache
from laser_cli.plan.llm.backends.vision import Chunks
from laser_cli.plan.llm.backends.vocabulary import Grammar, Vocabulary
from laser_cli.plan.llm.conversation import NoAnswer

CHUNK = 128
"""Tokens that are read in one go; fixed, because results depend on it."""
TOP_K, TOP_P, MIN_P = 40, 0.95, 0.05
"""Which tokens may be drawn: the likeliest so many, as far as they hold this share, and this share of the likeliest."""
CANDIDATES = 256
"""Likeliest tokens that the grammar is asked about before the whole vocabulary."""
TRIALS = 3
"""Calls with either number of threads before the faster one is kept."""


class Generator:
    """A llama.cpp context that has read some tokens and goes on from there; `room` is its size in tokens."""

    def __init__(self, context: Any, vocabulary: Vocabulary, room: int, cache: PrefixCache | None) -> None:
        import llama_cpp

        self._cpp, self._context, self._vocabulary, self._cache = llama_cpp, context, vocabulary, cache
        self.room = room
        self._kept: list[int] = []
        self._question: list[int] = []
        self._answer: list[int] = []
        self._stops: Callable[[], bool] = lambda: False
        self._callback = llama_cpp.llama_cpp.ggml_abort_callback(lambda _: self._stops())
        llama_cpp.llama_set_abort_callback(context, self._callback, None)
        self._threads = ThreadChoice()

    def read(self, tokens: list[int], fixed: Sequence[int], stops: Callable[[], bool]) -> None:
        """Read a prompt whose first tokens, as many as `fixed` says, others have too. Raises NoAnswer if it is stopped.

        What was read before is kept: all of it where the prompt goes on with the conversation, else what is fixed.
        """
        self._stops = stops
        memory = self._cpp.llama_get_memory(self._context)
        known = [*self._question, *self._answer]
        shared = _common(tokens, known)
        goes_on = bool(self._question) and len(self._question) <= shared < len(tokens)
        held = _common(tokens, self._kept)
        keep = shared if goes_on else max((n for n in fixed if n <= held), default=0)
        self._question, self._answer = [], []
        if not keep or not self._cpp.llama_memory_seq_rm(memory, 0, keep, -1):
            self._cpp.llama_memory_clear(memory, True)
            keep = next((n for n in reversed(fixed) if n and self._load(tokens[:n])), 0)
        for end in (n for n in fixed if n > keep):  # each in calls of its own, as results depend on them
            self._decode(tokens[keep:end])
            keep = end
            if self._cache:
                self._cache.save(self._context, tokens[:end])
        self._kept = tokens[: fixed[-1]] if fixed else []
        self._decode(tokens[keep:])
        self._question = tokens  # only now: reading can be stopped in the middle

    def _load(self, tokens: list[int]) -> bool:
        return self._cache is not None and self._cache.load(self._context, tokens)

    def see(self, chunks: Chunks, stops: Callable[[], bool]) -> None:
        """Read a prompt with a picture, after which nothing of it is kept. Raises NoAnswer if it is stopped."""
        self._stops = stops
        self._kept, self._question, self._answer = [], [], []
        self._cpp.llama_memory_clear(self._cpp.llama_get_memory(self._context), True)
        count = self._threads.next(CHUNK)
        self._cpp.llama_set_n_threads(self._context, count, count)
        if not chunks.read(self._context, CHUNK):
            raise NoAnswer("stopped" if stops() else "llama.cpp cannot read the picture", again=False)

    def generate(
        self, grammar: Grammar, most: int, seed: int, temperature: float, stops: Callable[[], bool]
    ) -> Iterator[str]:
        """Write at most `most` tokens under a grammar; the text of each as it comes.

        Raises NoAnswer if it is stopped, or does not come to an end.
        """
        self._stops = stops
        draw = np.random.default_rng(seed % 2**64)
        piece = self._vocabulary.decoder()
        for _ in range(most):
            token = self._sample(grammar, draw, temperature)
            if self._vocabulary.ends(token):
                return
            grammar.accept(token)
            if text := piece(token):
                yield text
            self._decode([token])
            self._answer.append(token)
        raise NoAnswer("the answer did not come to an end: use short prompts and few of them")

    def _decode(self, tokens: list[int]) -> None:
        for start in range(0, len(tokens), CHUNK):
            part = tokens[start : start + CHUNK]
            if self._stops():
                raise NoAnswer("stopped", again=False)
            count = self._threads.next(len(part))
            self._cpp.llama_set_n_threads(self._context, count, count)
            array = (self._cpp.llama_token * len(part))(*part)  # a batch only points to it
            batch = self._cpp.llama_batch_get_one(array, len(part))
            begin = time.perf_counter()
            failed = self._cpp.llama_decode(self._context, batch)
            self._threads.took(len(part), count, time.perf_counter() - begin)
            if failed:
                why = "stopped" if self._stops() else f"llama.cpp failed: code {failed}"
                raise NoAnswer(why, again=False)

    def _sample(self, grammar: Grammar, draw: np.random.Generator, temperature: float) -> int:
        """The next token: drawn freely and kept if the grammar allows it, else drawn from what it allows."""
        pointer = self._cpp.llama_get_logits_ith(self._context, -1)
        if not pointer:
            raise NoAnswer("the model writes no text", again=False)
        size = self._vocabulary.size
        logits = np.ctypeslib.as_array(ctypes.cast(pointer, ctypes.POINTER(ctypes.c_float)), (size,))
        best = _likeliest(logits, min(CANDIDATES, size))
        token = _drawn(logits, best, draw, temperature)
        if grammar.allowed([token]):
            return token
        allowed = grammar.allowed(best.tolist())
        if not allowed:
            allowed = grammar.allowed(list(range(size)))
        if not allowed:
            raise NoAnswer("the grammar allows no token of the model's", again=False)
        ids = np.array(allowed)
        return _drawn(logits, ids[np.argsort(-logits[ids], kind="stable")], draw, temperature)


def _common(a: Sequence[int], b: Sequence[int]) -> int:
    """How many first tokens two prompts share."""
    return next((i for i, (one, other) in enumerate(zip(a, b, strict=False)) if one != other), min(len(a), len(b)))


def usable_threads() -> int:
    """The threads that the user names, else as many as this machine computes with at best."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    # two processors of a core share its units
    return _named_threads() or (usable if usable <= 4 else min(usable // 2, 16))


def _named_threads() -> int:
    """The threads that the user names; 0 if none are."""
    named = os.environ.get("LASER_THREADS") or os.environ.get("OMP_NUM_THREADS") or ""
    return int(named) if named.isdecimal() else 0


class ThreadChoice:
    """How many threads to compute with: as the user says, else one or all, whichever was faster at first.

    llama.cpp's threads wait for each other in a busy loop, so that more of them can be slower on a busy machine.
    """

    def __init__(self) -> None:
        self._most = usable_threads()
        self._fixed = _named_threads() or (1 if self._most == 1 else 0)
        self._times: dict[tuple[bool, int], list[float]] = {}

    def next(self, tokens: int) -> int:
        """The threads for a call with so many tokens."""
        if self._fixed:
            return self._fixed
        reading = tokens > 1
        for count in (self._most, 1):
            if len(self._times.get((reading, count), ())) < (1 if reading else TRIALS):
                return count
        return min((self._most, 1), key=lambda count: min(self._times[reading, count]))

    def took(self, tokens: int, threads: int, seconds: float) -> None:
        """Remember what a call took."""
        self._times.setdefault((tokens > 1, threads), []).append(seconds / max(tokens, 1))


def _likeliest(logits: np.ndarray[Any, Any], count: int) -> np.ndarray[Any, Any]:
    """The `count` tokens of the highest logits, the likeliest first; of equal ones the lowest number."""
    found = np.sort(np.argpartition(-logits, count - 1)[:count])
    return found[np.argsort(-logits[found], kind="stable")]


def _drawn(
    logits: np.ndarray[Any, Any], best: np.ndarray[Any, Any], draw: np.random.Generator, temperature: float
) -> int:
    """One of the likeliest tokens at random, or the likeliest at temperature 0; `best` is sorted."""
    if temperature <= 0:
        return int(best[0])
    best = best[:TOP_K]
    shares = np.exp((logits[best] - logits[best[0]]).astype(np.float64))
    shares /= shares.sum()
    keep = np.cumsum(shares) - shares < TOP_P
    keep &= shares >= MIN_P * shares[0]
    shares = shares[keep] ** (1 / temperature)
    return int(best[keep][draw.choice(len(shares), p=shares / shares.sum())])
