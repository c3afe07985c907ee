"""One row that stands for many: lists and ranges where one value is due, and patterns of file names."""

from __future__ import annotations

import glob
import re
from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from typing import Any

from laser_cli.batch.rows import Row
from laser_cli.batch.verbs import Verb, fits, plain
from laser_cli.errors import BadInputError

MOST_JOBS = 1_000_000
RANGE = re.compile(r"\s*(-?\d{1,18})\.\.(-?\d{1,18})(?:\.\.(\d{1,9}))?\s*")
"""1..8, both ends included, or 0..100..10 in steps."""


def expand(row: Row, verb: Verb) -> Iterator[Row]:
    """The rows that a row stands for: every combination of its choices, the last key's changing fastest.

    Raises BadInputError for an empty list, a pattern that matches nothing, and more than MOST_JOBS rows.
    """
    values = dict(row.values)
    if "images" in values:
        if "image" in values:
            raise BadInputError(f"{row.at('images')}: images: image stands beside it", hint="leave one of them out")
        at = {"image": row.lines["images"]} if "images" in row.lines else {}
        row = replace(row, lines={**row.lines, **at}, spelled={**row.spelled, "image": "images"})
        values = {"image" if k == "images" else k: _matching(row, v) if k == "images" else v for k, v in values.items()}
    choices = {key: _choices(row, verb, key, value) for key, value in values.items()}
    count = 1
    for each in choices.values():
        count *= len(each)
        if count > MOST_JOBS:
            raise BadInputError(f"{row.at()}: the row stands for over {MOST_JOBS:,} jobs")
    for chosen in product(*choices.values()):
        yield replace(row, values=dict(zip(choices, chosen, strict=True)))


def _choices(row: Row, verb: Verb, key: str, value: Any) -> list[Any]:
    """The values that one of a row can have: itself where the field takes it, else those that it lists."""
    found = verb.find(key)
    if found is None or fits(*found, value):
        return [value]
    value = plain(value)
    if isinstance(value, str) and (numbers := _range(row, key, value)) is not None:
        return numbers
    if not isinstance(value, list):
        return [value]
    if not value:
        raise BadInputError(f"{row.at(key)}: {key}: the list is empty")
    listed: list[Any] = []
    for item in value:
        numbers = _range(row, key, item) if isinstance(item, str) and not fits(*found, item) else None
        listed += [item] if numbers is None else numbers
    return listed


def _range(row: Row, key: str, text: str) -> list[Any] | None:
    """The numbers of 1..8; None for any other text."""
    parts = RANGE.fullmatch(text)
    if parts is None:
        return None
    first, last, step = int(parts[1]), int(parts[2]), int(parts[3] or 1)
    if step == 0 or abs(last - first) // step >= MOST_JOBS:
        raise BadInputError(f"{row.at(key)}: {key}: {text} is no range", why=f"of at most {MOST_JOBS:,} numbers")
    return list(range(first, last + 1, step) if first <= last else range(first, last - 1, -step))


def _matching(row: Row, value: Any) -> list[str]:
    """The files that the patterns of `images` match, sorted pattern by pattern, each once."""
    value = plain(value)
    patterns = value if isinstance(value, list) else [value]
    found: dict[str, None] = {}
    for pattern in patterns:
        if not isinstance(pattern, str) or not pattern:
            raise BadInputError(f"{row.at('images')}: images cannot be {pattern!r}", hint="images: shots/*.png")
        matched = sorted(glob.glob(pattern, recursive=True))
        if not matched:
            raise BadInputError(f"{row.at('images')}: images: nothing matches {pattern}")
        found |= dict.fromkeys(matched)
    return list(found)
