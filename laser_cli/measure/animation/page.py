"""The folder of a bench: a sheet of every edit, a table of all animations, a page with the worst ten of each kind."""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from importlib.resources import files
from pathlib import Path
from statistics import fmean
from string import Template
from typing import Any

from laser_cli.measure.animation.asked import KINDS, OURS, TRUE
from laser_cli.measure.animation.bench import Drawn, Row
from laser_cli.measure.animation.scores import Score
from laser_cli.measure.animation.table import COLUMNS, LEGEND, cell
from laser_cli.measure.figures import Figure, as_text
from laser_cli.output.frames import write_png
from laser_cli.output.sheet import contact_sheet
from laser_cli.stages.invert import to_array

WORST = 10
"""Edits of each kind that the page shows."""
SHEETS, TABLE, PAGE = "sheets", "animations.csv", "index.html"
LISTS = ("reached", "kept", "sharp", "certain", "clear", "untrue")
NUMBERS = ("first", "lost", "psnr", "ssim", "gradient", "flicker", "largest", "worth", "evaluations", "seconds")
"""Of a score, what the table tells the mean of, and what it tells as it is."""


@dataclass
class Folder:
    """Takes the edits one by one, writes each one's sheet at once, and the rest at the end."""

    path: Path
    edits: list[tuple[str, str, str, str, Mapping[str, Score]]] = field(default_factory=list)
    """Kind, name, sentence and plan of each, with its scores by method."""

    def __post_init__(self) -> None:
        (self.path / SHEETS).mkdir(parents=True, exist_ok=True)

    def add(self, drawn: Drawn) -> None:
        """An edit's sheet: a line of frames for each method."""
        columns = len(drawn.shown)
        frames, labels = [], []
        for method, pictures in drawn.pictures.items():
            frames += [(i, to_array(picture)) for i, picture in zip(drawn.shown, pictures, strict=True)]
            labels += [method, *[""] * (columns - 1)]
        write_png(self.path / SHEETS / f"{drawn.edit.name}.png", contact_sheet(frames, labels, columns))
        plan = "; ".join(f"{s.control} {s.strength:g}: {s.prompt}" for s in drawn.plan.segments)
        self.edits.append((drawn.edit.kind, drawn.edit.name, drawn.edit.sentence, plan, drawn.scores))

    def close(self, rows: Sequence[Row], figures: Sequence[Figure], about: str) -> list[Path]:
        """Writes the table and the page; returns both."""
        with (self.path / TABLE).open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["edit", "kind", "sentence", "method", *LISTS, *NUMBERS])
            for kind, name, sentence, _, scores in self.edits:
                for method, score in scores.items():
                    means = [fmean(values) if (values := getattr(score, n)) else "" for n in LISTS]
                    told = ["" if (v := getattr(score, n)) is None else v for n in NUMBERS]
                    writer.writerow([name, kind, sentence, method, *means, *told])
        page = Template((files("laser_cli.measure.animation") / "page.html").read_text("utf-8"))
        text = page.substitute(
            about=escape(about),
            figures=escape(as_text(figures)) if figures else "",
            table=_summaries(rows),
            kinds=_kinds(rows),
            legend=escape(LEGEND),
            worst=self._worst(),
        )
        (self.path / PAGE).write_text(text, encoding="utf-8", newline="\n")
        return [self.path / PAGE, self.path / TABLE]

    def _worst(self) -> str:
        by: dict[str, list[Any]] = defaultdict(list)
        for edit in self.edits:
            by[edit[0]].append(edit)
        parts = []
        for kind in (kind for kind in KINDS if kind in by):
            parts.append(f"<h2>{escape(kind)}</h2>")
            judge = OURS if OURS in by[kind][0][-1] else next(iter(by[kind][0][-1]))
            for _, name, sentence, plan, scores in sorted(by[kind], key=lambda edit: edit[-1][judge].worth)[:WORST]:
                told = ", ".join(f"{method} {100 * s.worth:.0f}" for method, s in scores.items() if method not in TRUE)
                parts.append(
                    f'<figure><figcaption><b>{escape(sentence)}</b><br><span class="hint">{escape(plan)}<br>'
                    f"{escape(told)}</span></figcaption>"
                    f'<a href="{SHEETS}/{name}.png"><img src="{SHEETS}/{name}.png" alt="{escape(name)}" loading="lazy">'
                    "</a></figure>"
                )
        return "\n".join(parts)


def _summaries(rows: Sequence[Row]) -> str:
    cells = [[row.method, *(cell(getattr(row.all, n), d) for n, (_, d) in COLUMNS.items())] for row in rows]
    return _table(["", *(head for head, _ in COLUMNS.values())], cells)


def _kinds(rows: Sequence[Row]) -> str:
    kinds = [kind for kind in KINDS if kind in rows[0].kinds]
    return _table(["", *kinds], [[row.method, *(cell(row.kinds[k].worth, 0) for k in kinds)] for row in rows])


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    head = "".join(f'<th scope="col">{escape(text)}</th>' for text in heads)
    body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>\n" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>\n{body}</tbody></table>"
