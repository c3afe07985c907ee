"""Model files of strangers: whatever their headers say, reading one ends soon, in a header or a NotFoundError."""

import random
import struct

import pytest

from laser_cli import limits
from laser_cli.errors import NotFoundError
from laser_cli.plan.llm.gguf import Header, read_header
from tests.tiny_gguf import write_tiny


def string(text: bytes) -> bytes:
    return struct.pack("<Q", len(text)) + text


def header(tensors: int = 0, values: int = 0, rest: bytes = b"") -> bytes:
    return b"GGUF" + struct.pack("<IQQ", 3, tensors, values) + rest


DAMAGE = {
    "values": header(values=2**60),
    "tensors": header(tensors=2**60),
    "name": header(values=1, rest=struct.pack("<Q", 2**60)),
    "text": header(values=1, rest=string(b"k") + struct.pack("<IQ", 8, 2**63) + b"x" * 100),
    "type": header(values=1, rest=string(b"k") + struct.pack("<I", 77)),
    "items": header(values=1, rest=string(b"k") + struct.pack("<IIQ", 9, 8, 2**62)),
    "numbers": header(values=1, rest=string(b"k") + struct.pack("<IIQ", 9, 0, 10_000_000)),
    "lists": header(values=1, rest=string(b"k") + struct.pack("<I", 9) + struct.pack("<IQ", 9, 1) * 5000),
    "dimensions": header(tensors=1, rest=string(b"t") + struct.pack("<I", 2**32 - 1) + b"\1" * 100_000),
    "alignment 0": header(values=1, rest=string(b"general.alignment") + struct.pack("<II", 4, 0)),
    "alignment x": header(values=1, rest=string(b"general.alignment") + struct.pack("<I", 8) + string(b"x")),
    "version": b"GGUF" + struct.pack("<IQQ", 99, 0, 0),
    "short": b"GGUF\3",
}


@pytest.mark.parametrize("name", DAMAGE)
def test_headers_that_say_the_impossible_are_refused_at_once(tmp_path, name):
    (tmp_path / "a.gguf").write_bytes(DAMAGE[name])
    with pytest.raises(NotFoundError, match=r"a\.gguf"):
        read_header(tmp_path / "a.gguf")


def test_a_text_is_only_so_long(tmp_path, monkeypatch):
    monkeypatch.setattr(limits, "GGUF_TEXT", 50)
    (tmp_path / "a.gguf").write_bytes(header(values=1, rest=string(b"k") + struct.pack("<I", 8) + string(b"x" * 51)))
    with pytest.raises(NotFoundError, match="damaged"):
        read_header(tmp_path / "a.gguf")


@pytest.mark.parametrize("count", [2000, pytest.param(10_000, marks=pytest.mark.slow)])
def test_mutated_headers_are_read_or_refused(tmp_path, count):
    whole = write_tiny(tmp_path / "tiny.gguf").read_bytes()[:40_000]
    choose = random.Random(0)
    file = tmp_path / "a.gguf"
    for _ in range(count):
        data = bytearray(whole)
        for _ in range(choose.randint(1, 6)):
            # the first bytes hold the counts and keys, the later ones the vocabulary
            at = choose.randrange(min(len(data), choose.choice([64, 1024, 40_000])))
            how = choose.randrange(4)
            if how == 0:
                data[at] = choose.randrange(256)
            elif how == 1:
                data[at : at + 8] = struct.pack("<Q", choose.choice([0, 1, 2**31, 2**63, 2**64 - 1]))
            elif how == 2:
                del data[at : at + choose.randint(1, 40)]
            else:
                data[at:at] = bytes(choose.randrange(256) for _ in range(choose.randint(1, 20)))
        file.write_bytes(data)
        try:
            read = read_header(file)
        except NotFoundError:
            continue
        assert isinstance(read, Header) and isinstance(read.template, str)
        assert isinstance(read.cache_bytes(1024), int) and isinstance(read.context, int)
