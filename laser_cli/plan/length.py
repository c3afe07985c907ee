"""How long a prompt may be: what the text encoders of CLIP read of it."""

from __future__ import annotations

import math
import re

CLIP_TOKENS = 75
"""Tokens of a prompt that a text encoder of 77 tokens reads, without the marks for beginning and end."""


def clip_tokens(prompt: str) -> int:
    """Estimate the CLIP tokens of a prompt without its vocabulary, rather too many than too few.

    It splits at punctuation and digits; common words are one token, long ones two or three, other scripts by the byte.
    """
    pieces = re.findall(r"[a-z]+|[^\W\d_]+|\d|[^\w\s]+|_+", prompt.lower())
    return sum(math.ceil(len(p) / 8) if p.isascii() and p.isalpha() else len(p.encode()) for p in pieces)


def cut(prompt: str, most: int = CLIP_TOKENS) -> tuple[str, str]:
    """Cut a prompt to `most` tokens, after a word, or after a comma if one is near; also return what was cut."""
    words = prompt.split()
    keep = len(words)
    while keep > 1 and clip_tokens(" ".join(words[:keep])) > most:
        keep -= 1
    comma = max((i + 1 for i in range(keep) if words[i].endswith((",", ";"))), default=0)
    if keep < len(words) and comma > 0.7 * keep:
        keep = comma
    kept = " ".join(words[:keep])
    while len(kept) > 1 and clip_tokens(kept) > most:  # one endless word
        kept = kept[:-1]
    return (prompt, "") if kept == prompt else (kept.rstrip(" ,;"), prompt[len(kept) :].strip())
