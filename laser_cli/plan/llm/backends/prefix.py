"""What a model has read of instructions and worked examples, kept on disk: they are the same for every plan."""

from __future__ import annotations

import ctypes
import hashlib
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from laser_cli.plan.llm.gguf import Header

MOST_BYTES = 256 * 2**20
"""The largest state that is kept; reading again is as fast as loading more."""
KEPT_BYTES = 512 * 2**20
"""Bytes of all states that are kept, those used last."""
SUFFIX = ".state"


class PrefixCache:
    """The states of one model in the user's cache; whatever goes wrong with them, the model only reads again."""

    def __init__(self, header: Header) -> None:
        self._header = header

    def load(self, context: Any, tokens: Sequence[int]) -> bool:
        """Put the state after these tokens into a context, if it is kept."""
        import llama_cpp

        path = self._path(tokens)
        if path is None or not path.is_file():
            return False
        found, count = (llama_cpp.llama_token * len(tokens))(), ctypes.c_size_t(0)
        read = llama_cpp.llama_state_seq_load_file(
            context, os.fsencode(path), 0, found, len(tokens), ctypes.byref(count)
        )
        if not read or list(found[: count.value]) != list(tokens):
            llama_cpp.llama_memory_clear(llama_cpp.llama_get_memory(context), True)
            return False
        os.utime(path)
        return True

    def save(self, context: Any, tokens: Sequence[int]) -> None:
        """Keep the state of a context that has read these tokens."""
        import llama_cpp

        path = self._path(tokens)
        if path is None or self._header.cache_bytes(len(tokens)) > MOST_BYTES:
            return
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            handle, part = tempfile.mkstemp(dir=path.parent)
            os.close(handle)
            written = llama_cpp.llama_state_seq_save_file(
                context, os.fsencode(part), 0, (llama_cpp.llama_token * len(tokens))(*tokens), len(tokens)
            )
            if written:
                os.replace(part, path)
            else:
                os.unlink(part)
            states = sorted(path.parent.glob(f"*{SUFFIX}"), key=lambda kept: kept.stat().st_mtime, reverse=True)
            left = KEPT_BYTES
            for kept in states:
                left -= kept.stat().st_size
                if left < 0:
                    kept.unlink(missing_ok=True)
        except OSError:
            return  # a full or read-only disk costs time, not the plan

    def _path(self, tokens: Sequence[int]) -> Path | None:
        """The file for a model, its llama.cpp and these tokens."""
        from importlib.metadata import version

        from platformdirs import user_cache_path

        try:
            place = self._header.path.resolve()
            facts = [str(place), place.stat().st_size, place.stat().st_mtime_ns, version("llama-cpp-python")]
            name = hashlib.sha256(repr((facts, list(tokens))).encode()).hexdigest()[:32]
            named = os.environ.get("LASER_CACHE")
            folder = Path(named) if named else user_cache_path("laser", appauthor=False)
            return folder / "planner" / f"{name}{SUFFIX}" if os.path.isabs(folder) or named else None
        except (OSError, RuntimeError):
            return None
