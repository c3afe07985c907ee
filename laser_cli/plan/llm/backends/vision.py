"""The eyes of a multimodal model in llama.cpp: a projector makes embeddings of a picture, which a prompt then holds."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from laser_cli.errors import NotFoundError
from laser_cli.plan.llm.conversation import NoAnswer
from laser_cli.plan.llm.forms import Message

MOST_TOKENS = 4096
"""The most that a picture may take of a model's context; what it takes depends on the projector and the size."""


class Eyes:
    """A loaded projector; made by `open_eyes`."""

    def __init__(self, pointer: Any) -> None:
        from llama_cpp import mtmd_cpp

        self._mtmd, self._pointer = mtmd_cpp, pointer
        self._marker: str = mtmd_cpp.mtmd_default_marker().decode("ascii")

    def marked(self, messages: list[Message]) -> list[Message]:
        """The messages with the mark for a picture at the head of the first question."""
        first = next(i for i, message in enumerate(messages) if message["role"] == "user")
        shown = {**messages[first], "content": f"{self._marker}\n{messages[first]['content']}"}
        return [*messages[:first], shown, *messages[first + 1 :]]

    @contextmanager
    def chunks(self, prompt: str, picture: np.ndarray) -> Iterator[Chunks]:
        """A prompt with a mark, and the picture (h, w, 3) uint8 in its place; freed on leaving the context."""
        mtmd, data = self._mtmd, prompt.encode("utf-8", "replace")
        pixels = np.ascontiguousarray(picture)
        height, width = pixels.shape[:2]
        bitmap = mtmd.mtmd_bitmap_init(width, height, pixels.ctypes.data_as(ctypes.POINTER(ctypes.c_uint8)))
        made = mtmd.mtmd_input_chunks_init()
        try:
            asked = mtmd.mtmd_input_text(data, len(data), True, True)
            if mtmd.mtmd_tokenize(self._pointer, made, ctypes.byref(asked), (ctypes.c_void_p * 1)(bitmap), 1):
                raise NoAnswer("the projector cannot read the picture", again=False)
            yield Chunks(self._pointer, made)
        finally:
            mtmd.mtmd_input_chunks_free(made)
            mtmd.mtmd_bitmap_free(bitmap)


class Chunks:
    """Text and picture of a prompt, made ready; `count` is the tokens that they take of a context."""

    def __init__(self, eyes: Any, pointer: Any) -> None:
        from llama_cpp import mtmd_cpp

        self._mtmd, self._eyes, self._pointer = mtmd_cpp, eyes, pointer
        self.count = int(mtmd_cpp.mtmd_helper_get_n_tokens(pointer))

    def read(self, context: Any, batch: int) -> bool:
        """Let an empty llama.cpp context read them; False if it fails."""
        import llama_cpp

        end = llama_cpp.llama_pos(0)
        failed = self._mtmd.mtmd_helper_eval_chunks(
            self._eyes, context, self._pointer, 0, 0, batch, True, ctypes.byref(end)
        )
        return not failed


@contextmanager
def open_eyes(path: Path, model: Any, threads: int, gpu: bool, log: Any) -> Iterator[Eyes]:
    """A projector's file, opened for a loaded model; its memory is free again on leaving the context.

    `log` is llama.cpp's callback for what it has to say. Raises NotFoundError if it is none for this model.
    """
    from llama_cpp import mtmd_cpp

    mtmd_cpp.mtmd_log_set(log, None)
    mtmd_cpp.mtmd_helper_log_set(log, None)
    wanted = mtmd_cpp.mtmd_context_params_default()
    wanted.use_gpu, wanted.n_threads, wanted.print_timings, wanted.warmup = gpu, threads, False, False
    wanted.image_max_tokens = MOST_TOKENS
    pointer = mtmd_cpp.mtmd_init_from_file(os.fsencode(path), model, wanted)
    if not pointer or not mtmd_cpp.mtmd_support_vision(pointer):
        if pointer:
            mtmd_cpp.mtmd_free(pointer)
        why = "it sees no pictures, or belongs to another model"
        raise NotFoundError(f"{path.name} is no projector for this model", why=why, hint="take the one it came with")
    try:
        yield Eyes(pointer)
    finally:
        mtmd_cpp.mtmd_free(pointer)
