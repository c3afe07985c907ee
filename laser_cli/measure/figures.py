"""Benchmark figures: each beside its target, as a table or as one JSON object."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Literal


@dataclass(frozen=True)
class Figure:
    """One measured number; without a target it is a baseline or a fact."""

    name: str
    value: float
    unit: str = ""
    target: float | None = None
    better: Literal["lower", "higher"] = "lower"

    @property
    def holds(self) -> bool | None:
        """Whether the target holds; None without one."""
        if self.target is None:
            return None
        return self.value <= self.target if self.better == "lower" else self.value >= self.target


def as_json(bench: str, figures: Sequence[Figure]) -> dict[str, object]:
    """What ``laser bench NAME --json`` prints, less the version."""
    rows = [{k: v for k, v in asdict(f).items() if k != "better"} | {"holds": f.holds} for f in figures]
    return {"bench": bench, "figures": rows}


def as_text(figures: Sequence[Figure]) -> str:
    """A table in plain text."""
    width = max(len(f.name) for f in figures)
    lines = []
    for f in figures:
        target = (
            ""
            if f.target is None
            else f"  target {'<=' if f.better == 'lower' else '>='} {f.target:g}  {'holds' if f.holds else 'MISSED'}"
        )
        lines.append(f"{f.name:<{width}}  {f.value:>10.4g} {f.unit:<6}{target}".rstrip())
    return "\n".join(lines)
