"""The header of a GGUF file: what a model file says of itself, and whether all of it is there; no weights are read."""

from __future__ import annotations

import math
import mmap
import os
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from laser_cli import limits
from laser_cli.errors import NotFoundError

# struct codes of the value types by their number; 8 is a string, 9 a list
_SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_STRING, _LIST = 8, 9
BLOCKS: dict[int, tuple[int, int]] = {
    0: (1, 4), 1: (1, 2), 2: (32, 18), 3: (32, 20), 6: (32, 22), 7: (32, 24), 8: (32, 34), 10: (256, 84),
    11: (256, 110), 12: (256, 144), 13: (256, 176), 14: (256, 210), 15: (256, 292), 16: (256, 66), 17: (256, 74),
    18: (256, 98), 19: (256, 50), 20: (32, 18), 21: (256, 110), 22: (256, 82), 23: (256, 136), 29: (256, 56),
    30: (1, 2),
}  # fmt: skip
"""Numbers in a block and bytes of a block, by the tensor types that models are published in."""
_SPLIT = re.compile(r"^(.*)-(\d{5})-of-(\d{5})\.gguf$")
DOWNLOAD = "download or copy it again"


@dataclass(frozen=True)
class Header:
    """What a model file says of itself: its values (lists are told by their lengths), bytes there and bytes needed."""

    path: Path
    values: dict[str, Any]
    size: int

    def number(self, key: str, default: int = 0) -> int:
        """A value of the architecture: `block_count`, `context_length` and so on."""
        value = self.values.get(f"{self.values.get('general.architecture')}.{key}", default)
        return value if isinstance(value, int) else default

    @property
    def context(self) -> int:
        """Tokens that the model was trained to read; 0 if it does not say."""
        return self.number("context_length")

    @property
    def embeds(self) -> bool:
        """Whether the model makes embeddings of texts instead of writing."""
        architecture = str(self.values.get("general.architecture", ""))
        return "bert" in architecture or architecture == "t5encoder" or self.number("pooling_type") > 0

    @property
    def template(self) -> str:
        """Its chat template; empty if it has none."""
        value = self.values.get("tokenizer.chat_template")
        return value if isinstance(value, str) else ""

    def cache_bytes(self, tokens: int) -> int:
        """Bytes that keys and values of so many tokens take, as 16-bit numbers."""
        heads = self.number("attention.head_count", 1)
        width = self.number("embedding_length") // max(heads, 1)
        keys, values = self.number("attention.key_length", width), self.number("attention.value_length", width)
        return 2 * tokens * self.number("block_count") * self.number("attention.head_count_kv", heads) * (keys + values)


def parts(path: Path) -> list[Path]:
    """All files of a model: one, or those that it was split into (…-00001-of-00003.gguf)."""
    found = _SPLIT.match(path.name)
    if not found:
        return [path]
    stem, count = found[1], int(found[3])
    return [path.with_name(f"{stem}-{i:05}-of-{count:05}.gguf") for i in range(1, count + 1)]


def read_model(path: Path) -> tuple[Header, int]:
    """The header of a model's first file, and the bytes of all its files; NotFoundError if one is not whole."""
    files = parts(path)
    headers = [read_header(file) for file in files]
    return headers[0], sum(header.size for header in headers)


def read_header(path: Path) -> Header:
    """The header of a file; NotFoundError if it is missing, not GGUF, or ends too early."""
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            magic = file.read(4)
            if magic != b"GGUF":
                raise _refused(path, _what_instead(magic, size))
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
                return _parse(path, data, size)
    except FileNotFoundError as error:
        raise NotFoundError(f"there is no model file {path}", hint="--planner FILE.gguf or hf:REPO") from error
    except OSError as error:
        raise NotFoundError(f"cannot read the model {path}", why=error.strerror or str(error)) from error
    except (struct.error, IndexError) as error:
        raise NotFoundError(f"{path} is truncated", why="it ends within its header", hint=DOWNLOAD) from error
    except _Damaged as error:
        raise NotFoundError(f"{path} is damaged", why=str(error), hint=DOWNLOAD) from error


def _refused(path: Path, why: str) -> NotFoundError:
    return NotFoundError(f"{path} is not a GGUF model", why=why, hint="a planner is an instruct model in a .gguf file")


def _what_instead(magic: bytes, size: int) -> str:
    if not size:
        return "it is empty"
    if magic.startswith(b"vers") and size < 1000:
        return "it is a pointer of Git LFS: the model itself was not downloaded"
    if magic.lstrip()[:1] == b"<":
        return "it is a web page: the download failed"
    return "it does not begin with the letters GGUF"


def _parse(path: Path, data: mmap.mmap, size: int) -> Header:
    reader = _Reader(data)
    version, tensors, count = reader.take("I", 4), reader.take("Q"), reader.take("Q")
    if not 2 <= version <= 3:
        raise _refused(
            path, "it is written for big-endian machines" if version > 2**16 else f"version {version} of GGUF"
        )
    if max(tensors, count) > limits.GGUF_ENTRIES:
        raise _Damaged(f"its header would have {max(tensors, count):,} entries, over {limits.GGUF_ENTRIES:,}")
    values = {}
    for _ in range(count):
        key = reader.string()
        values[key] = reader.value(reader.take("I"))
    ends = list(_ends(reader, tensors))
    alignment = values.get("general.alignment", 32)
    if not isinstance(alignment, int) or not 1 <= alignment <= 2**20:
        raise _Damaged(f"its alignment is {str(alignment)[:40]}")
    begin = math.ceil(reader.at / alignment) * alignment
    needed = max(ends, default=0) + begin
    if size < needed:
        why = f"{size:,} of {needed:,} bytes are there"
        raise NotFoundError(f"{path} is truncated", why=why, hint=DOWNLOAD)
    return Header(path, values, size)


def _ends(reader: _Reader, tensors: int) -> Iterator[int]:
    """Where each tensor ends, counted from the first; where it begins if its type is not known."""
    for _ in range(tensors):
        reader.string()
        dimensions = reader.take("I")
        if dimensions > limits.GGUF_DIMENSIONS:
            raise _Damaged(f"a tensor has {dimensions:,} dimensions")
        shape = [reader.take("Q") for _ in range(dimensions)]
        numbers, size = BLOCKS.get(reader.take("I"), (1, 0))
        yield reader.take("Q") + math.prod(shape) // numbers * size


class _Damaged(Exception):
    """The header says what no model's does."""


class _Reader:
    """Reads on through a file in memory; struct.error or IndexError where it ends."""

    def __init__(self, data: mmap.mmap) -> None:
        self._data = data
        self.at = 0

    def take(self, code: str, at: int | None = None) -> Any:
        layout = struct.Struct(f"<{code}")
        self.at = self.at if at is None else at
        (value,) = layout.unpack_from(self._data, self.at)
        self.at += layout.size
        return value

    def string(self) -> str:
        length = self._length()
        text = self._data[self.at : self.at + length].decode("utf-8", "replace")
        self.at += length
        return text

    def value(self, kind: int) -> Any:
        """A value of a type; of a list only its length, for vocabularies are long."""
        if kind == _STRING:
            return self.string()
        if kind != _LIST:
            if kind not in _SCALARS:
                raise _Damaged(f"a value has the unknown type {kind}")
            return self.take(_SCALARS[kind])
        inner, count = self.take("I"), self.take("Q")
        if count > limits.GGUF_ITEMS:
            raise _Damaged(f"it holds a list of {count:,} items")
        if inner in _SCALARS:
            self.at += count * struct.calcsize(f"<{_SCALARS[inner]}")
            if self.at > len(self._data):
                raise IndexError
        elif inner == _STRING:
            self.at = self._after_texts(count)
        else:
            raise _Damaged("it holds a list of lists")
        return count

    def _after_texts(self, count: int) -> int:
        """Where the texts of a list end; a vocabulary has hundreds of thousands."""
        at, unpack, data = self.at, struct.Struct("<Q").unpack_from, self._data
        for _ in range(count):
            (length,) = unpack(data, at)
            if length > limits.GGUF_TEXT:
                self._check(length, at + 8)
            at += 8 + length
        if at > len(data):
            raise IndexError
        return at

    def _length(self) -> int:
        """The bytes of the text that follows."""
        length = int(self.take("Q"))
        self._check(length, self.at)
        return length

    def _check(self, length: int, at: int) -> None:
        if at + length > len(self._data):
            raise IndexError
        if length > limits.GGUF_TEXT:
            raise _Damaged(f"it holds a text of {length:,} bytes")


def usable_memory() -> int | None:
    """Bytes of memory that are free for use on this machine; None if it does not tell."""
    try:
        with open("/proc/meminfo", encoding="ascii") as lines:
            found = re.search(r"MemAvailable:\s+(\d+) kB", lines.read())
        if found:
            return int(found[1]) * 1024
    except OSError:
        pass
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return None
