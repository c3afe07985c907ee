"""Output names from templates: `{stem}-{seed}.mp4` is the name of one job's output, whichever job it is."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from pathlib import PurePath
from string import Formatter

from laser_cli.errors import UsageError
from laser_cli.jobs.fields import Frozen

Value = str | int | float
FIELDS = {
    "stem": "the input's name without its ending, or the words where there is no input",
    "words": "what is asked for, shortened",
    "n": "the job's number in a batch, else 1",
    "command": "such as animate",
    "preset": "the preset's name, or none",
    "seed": "the seed, also where it was chosen by chance",
}
"""What a template can name beside the settings of a job, and what it stands for."""
HELP = "Fields: {stem}, {words}, {n}, {seed}, {preset}, {command} and settings ({steps}, {model} …), as in {n:03}."
"""What a command's help says of templates."""
LONGEST_WORDS = 60
_SPEC = re.compile(r"[<>=^]?[+-]?0?\d{0,3}(\.\d{1,2})?[bdeEfFgGosxX]?")
_UNSAFE = re.compile(r'[\x00-\x1f\x7f<>:"/\\|?*]+')
"""Letters that some file system or shell would take for something else; templates may hold them, values may not."""


def fields(kind: type[Frozen] | None = None) -> tuple[str, ...]:
    """Every field that a template can name for jobs with these settings."""
    return tuple(dict.fromkeys((*FIELDS, *(kind.model_fields if kind else ()))))


def is_template(name: str | PurePath) -> bool:
    """Whether a name has fields, or braces that are doubled."""
    return "{" in str(name) or "}" in str(name)


def check(template: str | PurePath, known: Sequence[str]) -> None:
    """Raise UsageError for a template that cannot be read, or that names a field which is not among the `known`."""
    for name, spec in _parts(template):
        if name not in known:
            near = get_close_matches(name, known, n=1, cutoff=0.5)
            why = f"did you mean {{{near[0]}}}?" if near else f"the fields are {', '.join(known)}"
            raise UsageError(f"{template}: there is no field {{{name}}}", why=why, hint="{{ and }} stand for braces")
        if not _SPEC.fullmatch(spec):
            raise _bad_spec(template, name, spec)


def fill(template: str | PurePath, values: Mapping[str, Value]) -> str:
    """The name that a template stands for.

    Values never add a folder to it: what would steer a path in them becomes a dash. Raises UsageError as `check`.
    """
    check(template, tuple(values))
    filled = _filled(template, lambda name, spec: _text(template, name, values[name], spec))
    return filled


def ending(template: str | PurePath) -> str:
    """The ending of all names that a template stands for, in small letters: `.mp4` of `{stem}_{guidance:.1f}.mp4`."""
    return PurePath(_filled(template, lambda name, spec: "x")).suffix.lower() if _readable(template) else ""


def values_of(
    settings: Frozen | None,
    command: str,
    source: str | PurePath | None = None,
    words: str | None = None,
    *,
    preset: str | None = None,
    n: int = 1,
) -> dict[str, Value]:
    """The fields of one job: its settings, the input that it is named after, and what is asked for."""
    said = short_words(words or "")
    stem = PurePath(source).stem if source is not None and str(source) != "-" else None
    values: dict[str, Value] = {
        "stem": stem or said or "stdin" if source is not None else said or command,
        "words": said or "none",
        "n": n,
        "command": command,
        "preset": PurePath(preset).stem if preset else "none",
    }
    if settings is not None:
        told = {key: getattr(settings, key) for key in ("seed", *type(settings).model_fields) if hasattr(settings, key)}
        values |= {key: _value(key, value) for key, value in told.items()}
    values.setdefault("seed", 0)
    return values


def short_words(text: str) -> str:
    """A text as a part of a file name: its words with dashes, whole ones, at most 60 letters."""
    words = re.findall(r"\w+", text.casefold())
    short = "-".join(words)
    if len(short) <= LONGEST_WORDS:
        return short
    return short[: LONGEST_WORDS + 1].rpartition("-")[0] or short[:LONGEST_WORDS]


def _value(key: str, value: object) -> Value:
    """A setting as a part of a name: numbers stay numbers, files are their stems, what is unset is `auto`."""
    if value is None:
        return "auto"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        return value
    if isinstance(value, tuple):
        return "+".join(str(_value(key, part)) for part in value) or "none"
    text = str(value)
    path = PurePath(text)
    known = path.suffix.lower() in (".safetensors", ".ckpt", ".bin", ".pt", ".gguf", ".yaml")
    return (path.stem if known else path.name) if key in ("model", "vae", "lora", "embedding") else text


def _text(template: str | PurePath, name: str, value: Value, spec: str) -> str:
    try:
        text = format(value, spec)
    except ValueError as error:
        raise _bad_spec(template, name, spec) from error
    safe = _UNSAFE.sub("-", text)
    return safe if safe.strip(". ") else "-" * len(safe)


def _bad_spec(template: str | PurePath, name: str, spec: str) -> UsageError:
    why = "after the colon stands a width, as in {n:03}, or digits, as in {guidance:.1f}"
    return UsageError(f"{template}: {{{name}:{spec}}} cannot be written", why=why)


def _filled(template: str | PurePath, text: Callable[[str, str], str]) -> str:
    parts = Formatter().parse(str(template))
    return "".join(lead + (text(name, spec or "") if name is not None else "") for lead, name, spec, _ in parts)


def _parts(template: str | PurePath) -> list[tuple[str, str]]:
    """The fields of a template with what follows their colons; UsageError where its braces do not fit."""
    try:
        parts = list(Formatter().parse(str(template)))
    except ValueError as error:
        raise UsageError(f"{template} is no name", why=str(error), hint="{{ and }} stand for braces") from error
    for _, name, spec, conversion in parts:
        if name is not None and conversion:
            raise _bad_spec(template, f"{name}!{conversion}", spec or "")
    return [(name, spec or "") for _, name, spec, _ in parts if name is not None]


def _readable(template: str | PurePath) -> bool:
    try:
        _parts(template)
    except UsageError:
        return False
    return True
