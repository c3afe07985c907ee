"""Benchmark figures: each beside its target, as a table or as one JSON object."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import fmean
from typing import Literal


@dataclass(frozen=True)
class Figure:
    """One measured number, NaN where there was nothing to measure; without a target it is a baseline or a fact.

    `of` is on how many items it was measured.
    """

    name: str
    value: float
    unit: str = ""
    target: float | None = None
    better: Literal["lower", "higher"] = "lower"
    of: int | None = None

    @property
    def holds(self) -> bool | None:
        """Whether the target holds; None without one, or where nothing was measured."""
        if self.target is None or math.isnan(self.value):
            return None
        return self.value <= self.target if self.better == "lower" else self.value >= self.target


def mean(values: Sequence[float]) -> float:
    """The mean; NaN of none, as nothing was measured."""
    return fmean(values) if values else math.nan


def as_json(bench: str, figures: Sequence[Figure]) -> dict[str, object]:
    """What ``laser bench NAME --json`` prints, less the version."""
    rows = []
    for f in figures:
        told = {k: v for k, v in asdict(f).items() if k not in ("better", "of")} | {"holds": f.holds}
        told["value"] = f.value if math.isfinite(f.value) else None
        rows.append(told if f.of is None else {**told, "of": f.of})
    return {"bench": bench, "figures": rows}


def as_text(figures: Sequence[Figure]) -> str:
    """A table in plain text."""
    width = max(len(f.name) for f in figures)
    lines = []
    for f in figures:
        value = f"{'-' if math.isnan(f.value) else format(f.value, '.4g'):>10} {f.unit:<6}"
        measured = value + ("" if f.of is None else f" of {f.of:<5}")
        lines.append(f"{f.name:<{width}}  {measured}{_beside_target(f)}".rstrip())
    return "\n".join(lines)


def _beside_target(f: Figure) -> str:
    if f.target is None:
        return ""
    verdict = {True: "holds", False: "MISSED", None: "not measured"}[f.holds]
    return f"  target {'<=' if f.better == 'lower' else '>='} {f.target:g}  {verdict}"
