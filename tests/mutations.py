"""Files as strangers send them: a good one with a few of its bytes, or of its values, changed."""

import copy
import random
import struct
from typing import Any

ODD_BYTES = (
    b"\0" * 8,
    b"\xff" * 8,
    b"{",
    b"[" * 40,
    b"9" * 400,
    b"-1",
    b"1e999",
    b"NaN",
    b'"',
    b"\\u0000",
    b"\xed\xa0\x80",
)
ODD_VALUES: tuple[Any, ...] = (
    None, True, -1, 0, 2**63, 10**400, 1.5, "", "x" * 300, "x" * 5000, "../" * 9 + "etc/passwd", "/dev/zero",
    "~nosuchuser/x", "\x1b[2J", "\u202e", "\udce9", "\ud800", "a\0b", [], {}, [[]], [{}], {"": None}, "NaN", "-",
    "https://a.example/b.png",
)  # fmt: skip


def mutated(choose: random.Random, whole: bytes, most: int = 5) -> bytes:
    """Bytes replaced, removed, repeated, swapped in numbers, cut off."""
    data = bytearray(whole)
    for _ in range(choose.randint(1, most)):
        at, size = choose.randrange(len(data) + 1), choose.randint(1, 40)
        how = choose.randrange(7)
        if how == 0:
            data[at : at + 1] = bytes([choose.randrange(256)])
        elif how == 1:
            del data[at : at + size]
        elif how == 2:
            data[at:at] = data[max(0, at - size) : at] * choose.randint(1, 20)
        elif how == 3:
            data[at:at] = choose.choice(ODD_BYTES)
        elif how == 4:
            data[at : at + 4] = struct.pack(
                choose.choice("<>") + "I", choose.choice([0, 1, 255, 2**16, 2**31, 2**32 - 1])
            )
        elif how == 5:
            data[at : at + size] = bytes(choose.randrange(256) for _ in range(size))
        elif choose.random() < 0.3:
            del data[at:]
    return bytes(data)


def mutated_value(choose: random.Random, whole: Any) -> Any:
    """A value of JSON with a few of its parts replaced, removed or added."""
    value = copy.deepcopy(whole)
    for _ in range(choose.randint(1, 3)):
        place = value
        for _ in range(choose.randrange(6)):
            parts = list(place.values()) if isinstance(place, dict) else place
            inner = [part for part in parts if isinstance(part, dict | list) and part]
            if not inner:
                break
            place = choose.choice(inner)
        if not place:
            continue
        key = choose.choice(list(place)) if isinstance(place, dict) else choose.randrange(len(place))
        how = choose.randrange(4)
        if how == 0:
            del place[key]
        elif how == 1 and isinstance(place, dict):
            place[choose.choice(["x", "seed", "frames", "prompt", "name", "sha256", ""])] = choose.choice(ODD_VALUES)
        else:
            place[key] = copy.deepcopy(choose.choice(ODD_VALUES))
    return value
