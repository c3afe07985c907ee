"""Text from files and stdin in any Unicode encoding that says which it is, and text on stdout in UTF-8."""

import codecs
import sys
from pathlib import Path

from laser_cli import limits
from laser_cli.errors import BadInputError

# UTF-32 first: its little-endian mark begins with that of UTF-16
_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def decode_text(data: bytes) -> str:
    """Decode UTF-8, or UTF-16 and UTF-32 that begin with a byte-order mark; the mark is not part of the text.

    Raises UnicodeDecodeError for anything else.
    """
    encoding = next((name for mark, name in _MARKS if data.startswith(mark)), "utf-8")
    return data.decode(encoding)


def read_text(path: Path, what: str = "", limit: int = limits.TEXT_BYTES) -> str:
    """Read a whole text file of at most `limit` bytes; `what` names its kind in errors ("the plan ").

    Raises BadInputError if it cannot be read, is too large or is not text.
    """
    try:
        with path.open("rb") as file:
            data = file.read(limit + 1)
    except (OSError, ValueError) as error:  # ValueError: a name with a null character
        why = getattr(error, "strerror", None) or str(error)
        raise BadInputError(f"cannot read {what}{path}", why=why) from error
    if len(data) > limit:
        raise BadInputError(f"cannot read {what}{path}", why=f"it is larger than {limit / 1e6:g} MB")
    try:
        return decode_text(data)
    except UnicodeDecodeError as error:
        why = "it is not UTF-8 text" if b"\0" not in data[:1024] else "it is not text"
        hint = "save it as UTF-8" if b"\0" not in data[:1024] else ""
        raise BadInputError(f"cannot read {what}{path}", why=why, hint=hint) from error


def read_stdin(what: str, limit: int = limits.TEXT_BYTES) -> str:
    """Read all of stdin as text, as `read_text` reads a file; BadInputError if it is closed, too large or no text."""
    if sys.stdin is None:
        raise BadInputError(f"cannot read {what}from stdin", why="it is closed")
    binary = getattr(sys.stdin, "buffer", None)
    data = binary.read(limit + 1) if binary is not None else sys.stdin.read()
    if len(data) > limit:
        raise BadInputError(f"cannot read {what}from stdin", why=f"it is larger than {limit / 1e6:g} MB")
    try:
        return data if isinstance(data, str) else decode_text(data)
    except UnicodeDecodeError as error:
        raise BadInputError(f"cannot read {what}from stdin", why="it is not UTF-8 text") from error


def write_stdout(text: str) -> None:
    """Write text to stdout as UTF-8 with plain line breaks, whatever its encoding is set to; a closed one is a sink.

    Bytes of file names that are no text come out as they are. BrokenPipeError propagates.
    """
    if sys.stdout is None:
        return
    binary = getattr(sys.stdout, "buffer", None)
    if binary is None:  # a test's or a notebook's
        sys.stdout.write(text)
    else:
        sys.stdout.flush()
        try:
            data = text.encode("utf-8", "surrogateescape")
        except UnicodeEncodeError:
            data = text.encode("utf-8", "backslashreplace")
        binary.write(data)
    sys.stdout.flush()
