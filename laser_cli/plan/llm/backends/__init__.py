"""What runs a language model: llama.cpp in this process, or a server; one is chosen by how the model is named."""

from __future__ import annotations

import gc
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from threading import Event
from typing import NamedTuple

from laser_cli.plan.llm import find
from laser_cli.plan.llm.conversation import ChatModel
from laser_cli.plan.llm.forms import AnswerForm
from laser_cli.plan.llm.gguf import read_model
from laser_cli.plan.request import PlanRequest


class Opened(NamedTuple):
    """A model that is ready to answer, and how plans record it."""

    model: ChatModel
    name: str
    version: str
    sha256: Callable[[], str | None] = lambda: None


def is_model(name: str) -> bool:
    """Whether a planner's name means a language model."""
    return name.startswith("openai:") or find.is_model(name)


def sees(name: str) -> bool:
    """Whether a model can be shown pictures, as far as that is known without loading or downloading it."""
    if name.startswith("openai:"):
        from laser_cli.plan.llm.backends.openai import server_sees

        return server_sees(name)
    if name.startswith("hf:"):
        here = any(known == name or known.startswith(f"{name}:") for known in find.cached())
    else:
        here = Path(os.path.expanduser(name)).exists()
    return here and find.projector(find.find(name, lambda text: None)) is not None


@contextmanager
def open_chat(
    name: str, requests: Sequence[PlanRequest], form: AnswerForm, note: Callable[[str], None]
) -> Iterator[Opened]:
    """The model of that name, ready for these requests; its memory is free again on leaving the context.

    Raises NotFoundError if it cannot be used, or sees no pictures where a request has one, MemoryExhausted if it is too
    large, UsageError for no address.
    """
    if name.startswith("openai:"):
        from laser_cli.plan.llm.backends.openai import open_server

        server = open_server(name, form)
        yield Opened(server, server.name, "openai")
        return
    path = find.find(name, note)
    header, size = read_model(path)
    eyes = find.find_projector(name, path, note) if any(request.picture is not None for request in requests) else None
    from laser_cli.plan.llm.backends.llama_cpp import open_model

    longest = max(requests, key=lambda request: len(form.question(request)))
    with ThreadPoolExecutor(1) as beside, open_model(header, size, longest, form, note, eyes) as model:
        # hashing takes as long as loading, and is done while the model reads
        stop = Event()
        sha256 = beside.submit(find.digest, path, stop.is_set).result
        try:
            yield Opened(model, path.name, f"llama-cpp-python {version('llama-cpp-python')}", sha256)
        except BaseException:
            stop.set()
            raise
    del model
    gc.collect()  # rendering needs its memory
