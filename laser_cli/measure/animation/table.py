"""The tables of `laser bench animate`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from math import isfinite

from laser_cli.measure.animation.asked import KINDS
from laser_cli.measure.animation.bench import Row
from laser_cli.measure.animation.scores import UNITS
from laser_cli.measure.figures import Figure


def as_figures(rows: Sequence[Row]) -> list[Figure]:
    """Every cell of the table, of all edits and of every kind."""
    return [
        Figure(f"{row.method}, {kind}: {f.name}", float(getattr(told, f.name)), UNITS.get(f.name, ""))
        for row in rows
        for kind, told in {"all": row.all, **row.kinds}.items()
        for f in fields(told)
    ]


COLUMNS: dict[str, tuple[str, int]] = {
    "reached": ("reached", 0),
    "kept": ("kept", 0),
    "even": ("<=1.5", 0),
    "smooth": ("<=2", 0),
    "worth": ("r x k x s", 0),
    "clear": ("clear", 0),
    "certain": ("certain", 0),
    "sharp": ("sharp", 0),
    "untrue": ("untrue", 3),
    "frechet": ("Frechet", 2),
    "first": ("frame 0", 1),
    "psnr": ("PSNR", 1),
    "ssim": ("SSIM", 3),
    "gradient": ("gradient", 0),
    "flicker": ("flicker", 2),
    "evaluations": ("evals", 1),
    "seconds": ("s", 2),
}
"""What the table shows of a summary, its heading and decimals."""
LEGEND = """\
reached: attributes asked for (a wink on its way), kept: those not asked for, read at the end, %; <=1.5, <=2:
animations whose largest / median distance of neighbours is at most that, %; r x k x s: reached x kept x smooth (<=2),
%; clear: in-betweens read as one subject, certain: certainty of the reading, sharp: gradient energy / the true one's,
all %; untrue: distance to the nearest true in-between; Frechet: to the true animations' frames; frame 0: PSNR beside
the picture, dB; PSNR (dB), SSIM, gradient distance (%), flicker (second differences, levels): where the truth stands
still; evals, s: U-Net evaluations and seconds a picture"""


def table(rows: Sequence[Row]) -> str:
    """Method by measure, then reached x kept x smooth by kind, in plain text."""
    wide = max(len(row.method) for row in rows)
    lines = [" " * wide + "".join(f"{head:>10}" for head, _ in COLUMNS.values())]
    for row in rows:
        cells = [cell(getattr(row.all, name), decimals) for name, (_, decimals) in COLUMNS.items()]
        lines.append(f"{row.method:<{wide}}" + "".join(f"{cell:>10}" for cell in cells))
    kinds = [kind for kind in KINDS if kind in rows[0].kinds]
    lines += ["", LEGEND, "", "reached x kept x smooth, by kind"]
    lines.append(" " * wide + "".join(f"{kind:>14}" for kind in kinds))
    for row in rows:
        lines.append(f"{row.method:<{wide}}" + "".join(f"{cell(row.kinds[kind].worth, 0):>14}" for kind in kinds))
    return "\n".join(lines)


def cell(value: float, decimals: int) -> str:
    """A number with so many decimals; a dash where nothing could be measured."""
    return f"{value:.{decimals}f}" if isfinite(value) else "-"
