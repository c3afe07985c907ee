"""Options that count before the command line is parsed: how its own errors and help are shown."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from typing import TextIO

COLORS = ("auto", "always", "never")
PROGRESS = ("auto", "plain", "json")


def asked(
    name: str, values: Sequence[str], argv: Sequence[str] | None = None, env: Mapping[str, str] = os.environ
) -> str:
    """The value of an option on the command line, else of its variable; the first of `values` if it is none of them.

    The parser still sees the option, and tells what is wrong with it.
    """
    argv = sys.argv[1:] if argv is None else argv
    words = [*argv[: argv.index("--")]] if "--" in argv else [*argv]
    said = env.get(f"LASER_{name.upper()}", "")
    for word, following in zip(words, [*words[1:], ""], strict=False):
        if word == f"--{name}":
            said = following
        elif word.startswith(f"--{name}="):
            said = word.partition("=")[2]
    return said if said in values else values[0]


def in_color(stream: TextIO) -> bool:
    """Whether text on a stream is coloured: by --color, else NO_COLOR and FORCE_COLOR, else on terminals."""
    choice = asked("color", COLORS)
    if choice != "auto" or os.environ.get("NO_COLOR"):
        return choice == "always"
    if os.environ.get("FORCE_COLOR"):
        return True
    return stream.isatty() and os.environ.get("TERM") != "dumb"


def mark(word: str, style: str, stream: TextIO) -> str:
    """A word with a terminal's style codes, such as "1;31", where the stream is coloured."""
    return f"\x1b[{style}m{word}\x1b[0m" if in_color(stream) else word


def color_help() -> None:
    """Have Typer show help and usage errors as --color says; called before the command line is parsed."""
    choice = asked("color", COLORS)
    if choice == "always":
        os.environ["FORCE_COLOR"] = "1"  # Typer and Rich read it when they are imported
        os.environ.pop("NO_COLOR", None)
    elif choice == "never":
        from typer import rich_utils

        os.environ["NO_COLOR"] = "1"
        rich_utils.COLOR_SYSTEM = None  # NO_COLOR alone leaves bold and dim
