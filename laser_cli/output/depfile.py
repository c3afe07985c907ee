"""Dependency files for Make: rules that name files and can do nothing else, whatever the files are called."""

import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from laser_cli.errors import UsageError
from laser_cli.output.atomic import staged

# GNU Make has no escape for these: they end the line, or turn the rule into a command or the assignment of a variable
# (a!=b runs b)
_NEVER = {
    "\n": "a line break",
    "\r": "a carriage return",
    "\v": "a vertical tab",
    "\f": "a form feed",
    "=": "=",
    ";": ";",
}
_SPECIAL = re.compile(r"\.[A-Z_]+")  # .PHONY, .WAIT and the like
_DIRECTIVES = frozenset(("define", "undefine", "export", "unexport", "override", "private"))  # of target variables
_ARCHIVE_MEMBER = re.compile(r"[^(]+\(.*\)")


def check_names(target: Path, dependencies: Iterable[Path]) -> None:
    """Raise UsageError for a name that no rule of a Makefile can hold; call it before the work."""
    _as_target(target)
    for path in dependencies:
        _as_prerequisite(path)


def is_depfile(path: Path) -> bool:
    """Whether a file is a dependency file, laser's or a compiler's: one rule for one target."""
    try:
        with path.open("rb") as file:
            text = file.read(1 << 20)
    except OSError:
        return False
    return bool(re.fullmatch(rb"(?:\\.|[^\\\n:])+:(?:[^\\\n]|\\.|\\\n)*\n?", text, re.DOTALL))


def write_depfile(path: Path, target: Path, dependencies: Sequence[Path], *, force: bool = False) -> None:
    """Write the rule that GCC's -MD writes: `target` depends on `dependencies`; Make reads it by `include`.

    Raises UsageError as `check_names` does.
    """
    rule = " \\\n ".join([_as_target(target) + ":", *map(_as_prerequisite, dependencies)])
    with staged(path, force=force) as made:
        # names may be bytes that are no text
        made.write_bytes(os.fsencode(rule + "\n"))


def _as_target(path: Path) -> str:
    name = str(path)
    if "\t" in name:
        raise _refused(name, "a tab in the name of a target")
    if name.endswith("&"):
        raise _refused(name, "& at the end of a target")
    # | is only special among prerequisites; backslashes at the end stand before the colon
    return re.sub(r"(\\+)$", r"\1\1", _escaped(name, r"[ \t#%:*?\[]"))


def _as_prerequisite(path: Path) -> str:
    name = str(path)
    if name.endswith((" ", "\t", "\\")):
        raise _refused(name, "a space or backslash at its end")
    escaped = _escaped(name, r"[ \t#:*?\[|]")
    return f"./{escaped}" if escaped in _DIRECTIVES else escaped


def _escaped(name: str, special: str) -> str:
    """A name as Make reads it; backslashes count only before `special` characters, which they escape."""
    for letter, told in _NEVER.items():
        if letter in name:
            raise _refused(name, told)
    if _ARCHIVE_MEMBER.fullmatch(name):
        raise _refused(name, "a name that ends in parentheses")
    if name.startswith("~"):
        raise _refused(name, "~ at its start as anything but a home folder")
    if _SPECIAL.fullmatch(name):
        raise _refused(name, "a name that Make gives a meaning")
    return re.sub(rf"(\\*)({special})", r"\1\1\\\2", name).replace("$", "$$")


def _refused(name: str, what: str) -> UsageError:
    return UsageError(f"{name} cannot stand in a dependency file", why=f"Make cannot read {what}", hint="rename it")
