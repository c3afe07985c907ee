"""Rows of a batch file: YAML, JSON lines or CSV, each value with the line that it stands in."""

from __future__ import annotations

import csv
import io
import json
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path
from typing import Any, Literal

import yaml

from laser_cli import limits
from laser_cli.errors import BadInputError, UsageError, reason
from laser_cli.jobs.merge import Layer
from laser_cli.text import decode_text
from laser_cli.yaml_text import read_yaml

Format = Literal["auto", "yaml", "jsonl", "csv"]
ENDINGS: dict[str, Format] = {
    ".yaml": "yaml",
    ".yml": "yaml",
    ".json": "yaml",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".csv": "csv",
}
STDIN = Path("-")
DEFAULTS, JOBS = "defaults", "jobs"


class Cell(str):
    """A value that came as text, of CSV or a command line: read as YAML where its field is no text."""


@dataclass(frozen=True)
class Row:
    """A job as asked for. `name` and `line`: the file and where the row begins; `lines`: of each key, where known."""

    values: Mapping[str, Any]
    name: str = "the command line"
    line: int | None = None
    lines: Mapping[str, int] = field(default_factory=dict)
    defaults: Mapping[str, Any] = field(default_factory=dict)
    """What the file says of all its rows, beneath their own values."""
    spelled: Mapping[str, str] = field(default_factory=dict)
    """How the file writes keys that have several names."""
    config: Layer | None = None
    """What the user's settings file says of all jobs."""

    def at(self, key: str | None = None) -> str:
        """Where a key stands, as errors begin."""
        line = self.lines.get(key, self.line) if key is not None else self.line
        return self.name if line is None else f"{self.name}, line {line}"

    def with_values(self, **values: Any) -> Row:
        """The same row with other values of some keys."""
        return replace(self, values={**self.values, **values})


def read_rows(path: Path, form: Format = "auto") -> Iterator[Row | BadInputError]:
    """The rows of a batch file, stdin for `-`, one after the other; a line that cannot be read is yielded as its error.

    Raises BadInputError for a file that cannot be read at all.
    """
    name = "stdin" if path == STDIN else str(path)
    form = ENDINGS.get(path.suffix.lower(), "auto") if form == "auto" else form
    lines = _lines(path, name)
    if form == "auto":
        form, lines = _sniffed(lines)
    if form == "yaml":
        yield from _yaml_rows("".join(lines), name)
    elif form == "csv":
        yield from _csv_rows(lines, name)
    else:
        yield from json_rows(lines, name)


def json_rows(lines: Iterable[str], name: str) -> Iterator[Row | BadInputError]:
    """A row a line; one that holds `defaults` alone speaks of all that follow it."""
    defaults: dict[str, Any] = {}
    for number, text in enumerate(lines, start=1):
        if not text.strip():
            continue
        try:
            values = json_object(text, f"{name}, line {number}")
        except BadInputError as error:
            yield error
            continue
        if set(values) == {DEFAULTS} and isinstance(values[DEFAULTS], dict):
            defaults |= values[DEFAULTS]
            continue
        yield Row(values, name, number, defaults=dict(defaults))


def json_object(text: str, where: str) -> dict[str, Any]:
    """The JSON object in a line; BadInputError for anything else."""
    if len(text) > limits.PLAN_BYTES:
        raise BadInputError(f"{where}: the line is longer than {limits.PLAN_BYTES / 1e6:g} MB")
    try:
        values = json.loads(text, object_pairs_hook=_pairs, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise BadInputError(f"{where}: not a JSON object", why=str(error) or type(error).__name__) from error
    if not isinstance(values, dict):
        raise BadInputError(
            f"{where}: not a JSON object", hint='{"image": "cottage.png", "description": "night falls"}'
        )
    return values


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(f"the key {next(key for key in keys if keys.count(key) > 1)!r} is there twice")
    return values


def _no_number(constant: str) -> None:
    raise ValueError(f"{constant} is no number")


def _lines(path: Path, name: str) -> Iterator[str]:
    """The lines of a file or of stdin, read as they are asked for, so that memory does not grow with them."""
    if path == STDIN and sys.stdin is None:
        raise BadInputError("cannot read stdin", why="it is closed")
    try:
        with nullcontext(sys.stdin.buffer) if path == STDIN else path.open("rb") as file:
            first = file.readline(limits.PLAN_BYTES + 1)
            if first[:2] in (b"\xff\xfe", b"\xfe\xff"):  # UTF-16 and 32: their line breaks are no bytes of their own
                yield from io.StringIO(decode_text(first + file.read(limits.PLAN_BYTES)))
                return
            rest = iter(lambda: file.readline(limits.PLAN_BYTES + 1), b"")
            for line in chain([first.removeprefix(b"\xef\xbb\xbf")], rest):
                yield line.decode("utf-8")
    except UnicodeDecodeError as error:
        raise BadInputError(f"cannot read {name}", why="it is not UTF-8 text", hint="save it as UTF-8") from error
    except (OSError, ValueError) as error:  # ValueError: a null character in the name
        raise BadInputError(f"cannot read the batch file {name}", why=reason(error)) from error


def _sniffed(lines: Iterator[str]) -> tuple[Format, Iterator[str]]:
    """The format by the first line that says something: an object is JSON lines, words with commas are CSV's header."""
    seen: list[str] = []
    for line in lines:
        seen.append(line)
        if line.strip() and not line.lstrip().startswith("#"):
            break
    first = seen[-1].strip() if seen else ""
    form: Format = "yaml"
    if first.startswith("{") and first.endswith("}"):
        form = "jsonl"
    elif "," in first and all(cell.strip().isidentifier() for cell in first.split(",")):
        form = "csv"
    return form, chain(seen, lines)


def _csv_rows(lines: Iterator[str], name: str) -> Iterator[Row | BadInputError]:
    reader = csv.reader(lines, skipinitialspace=True, strict=True)
    try:
        header = [key.strip() for key in next(reader, [])]
        if not any(header) or len(set(header)) < len(header):
            why = "its first line names the fields, each once: image,description,seed"
            raise BadInputError(f"{name} is not a batch file", why=why)
        begin = reader.line_num + 1
        for cells in reader:
            line, begin = begin, reader.line_num + 1  # a cell in quotes may go over several lines
            if not any(cell.strip() for cell in cells):
                continue
            if len(cells) > len(header):
                why = f"{len(cells)} cells, {len(header)} fields"
                yield BadInputError(f"{name}, line {line}: too many cells", why=why, hint="quotes around commas")
                continue
            yield Row({key: Cell(cell) for key, cell in zip(header, cells, strict=False) if key and cell}, name, line)
    except csv.Error as error:
        raise BadInputError(f"{name}, line {reader.line_num}: not valid CSV", why=str(error)) from error


def _yaml_rows(text: str, name: str) -> Iterator[Row | BadInputError]:
    """The rows of a list, of the list under `jobs` beside `defaults`, or the one row of a mapping."""
    document = read_yaml(text, name, "a batch file")
    value, root = document.value, document.root
    defaults: dict[str, Any] = {}
    if isinstance(value, dict) and JOBS in value:
        if more := [str(key) for key in value if key not in (DEFAULTS, JOBS)]:
            raise BadInputError(
                f"{name}: {more[0]!r} stands beside the jobs", hint="what all jobs share goes to defaults"
            )
        defaults = value.get(DEFAULTS) or {}
        if not isinstance(defaults, dict):
            raise BadInputError(f"{name}: defaults should have lines such as `steps: 12`")
        value, root = value[JOBS], _under(root, JOBS)
    elif isinstance(value, dict):
        value, root = [value], None if root is None else yaml.SequenceNode("", [root])
    if not isinstance(value, list):
        raise BadInputError(f"{name} is not a batch file", why="it should be a list of jobs, or have one under `jobs:`")
    nodes = root.value if isinstance(root, yaml.SequenceNode) else [None] * len(value)
    for item, node in zip(value, nodes, strict=True):
        line = node.start_mark.line + 1 if node is not None and node.start_mark else None
        if not isinstance(item, dict):
            where = name if line is None else f"{name}, line {line}"
            yield BadInputError(f"{where}: a job should have lines such as `image: cottage.png`")
            continue
        pairs = node.value if isinstance(node, yaml.MappingNode) else []
        lines = {str(key.value): key.start_mark.line + 1 for key, _ in pairs}
        yield Row({str(key): inner for key, inner in item.items()}, name, line, lines, defaults)


def _under(root: yaml.Node | None, key: str) -> yaml.Node | None:
    pairs = root.value if isinstance(root, yaml.MappingNode) else []
    return next((inner for name, inner in pairs if name.value == key), None)


def read_assignments(texts: Iterable[str]) -> dict[str, Cell]:
    """What `--set KEY=VALUE` says; UsageError for anything else."""
    values = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals or not key.strip():
            raise UsageError(f"--set {text}", why="it takes KEY=VALUE", hint="--set steps=12 --set 'seed=1..8'")
        values[key.strip().replace("-", "_")] = Cell(value)
    return values
