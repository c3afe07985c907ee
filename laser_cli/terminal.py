"""Text of others on a terminal: shown, but not obeyed."""

import unicodedata

# they reorder what follows them on a terminal: bidirectional embeddings, overrides, isolates and marks
_DIRECTION_MARKS = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
# joiners that Persian, Hindi and emoji are spelled with
_JOINERS = frozenset("\u200c\u200d")


def printable(text: str, *, keep: str = "") -> str:
    """Escape what would steer a terminal: control characters, direction marks and bytes that are no text.

    Letters of every script stay as they are; characters in `keep` (such as a line break) too.
    """
    return "".join(letter if letter in keep or _harmless(letter) else _escaped(letter) for letter in text)


def _harmless(letter: str) -> bool:
    if letter in _DIRECTION_MARKS:
        return False
    category = unicodedata.category(letter)
    # Cc control, Cs lone surrogates, Zl and Zp line separators; Cf formats, of which the joiners are letters' parts
    return category not in ("Cc", "Cs", "Zl", "Zp") and (category != "Cf" or letter in _JOINERS)


def _escaped(letter: str) -> str:
    code = ord(letter)
    if 0xDC80 <= code <= 0xDCFF:  # a byte of a file name that is not UTF-8
        return f"\\x{code - 0xDC00:02x}"
    return letter.encode("unicode_escape").decode("ascii")


def clock_text(seconds: float) -> str:
    """Seconds as `m:ss`, or `h:mm:ss` from an hour on."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
