"""The report: one web page that needs nothing else, with a player, the plan, how much changes, and the settings."""

import base64
import json
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from io import BytesIO
from pathlib import Path
from string import Template
from typing import Any

import numpy as np

from laser_cli.output.look import Look
from laser_cli.output.record import to_json, to_page
from laser_cli.terminal import printable

KEEP = 96  # frames on the page
LARGEST = 512  # px, the longer side of a frame on the page
QUALITY = 90
PLOT = {"left": 44, "top": 8, "width": 700, "height": 140}
DRIVE = '<img id="drive" src="{}" alt="what drives it" title="what drives it">'
POINTS = 2000  # a longer curve is thinned out


class ReportCollector:
    """Keeps at most `keep` evenly chosen frames of `count`, compressed, and one number for each neighbouring pair."""

    def __init__(
        self,
        count: int,
        look: Look,
        record: Mapping[str, Any],
        command: str = "",
        keep: int = KEEP,
        beside: Iterator[np.ndarray] | None = None,
    ) -> None:
        """`beside`: a picture for each frame that is shown next to it, such as what drives it."""
        self._count = count
        self._look = look
        self._record = record
        self._command = command
        self._wanted = set(np.linspace(0, count - 1, min(keep, count)).round().astype(int).tolist())
        self._kept: list[tuple[int, str]] = []
        self._beside, self._drives = beside, list[str]()
        self._size = (0, 0)
        self._before: np.ndarray | None = None
        self.distances: list[float] = []

    def add(self, index: int, frame: np.ndarray) -> None:
        """Take a frame: measure how far it is from the one before, and keep it if it is one of the chosen."""
        if self._before is not None:
            self.distances.append(float(np.abs(frame.astype(np.int16) - self._before).mean()))
        self._before = frame.astype(np.int16)
        drive = next(self._beside) if self._beside else None
        if index in self._wanted:
            self._size = (frame.shape[1], frame.shape[0])
            self._kept.append((index, _data_uri(frame)))
            if drive is not None:
                self._drives.append(_data_uri(drive))

    def save(self, path: Path) -> None:
        """Write the page, the record inside."""
        from importlib.resources import files

        page = Template((files("laser_cli.output") / "report.html").read_text("utf-8"))
        forth = list(range(len(self._kept)))
        frames = {
            "pictures": [uri for _, uri in self._kept],
            "drives": self._drives,
            "numbers": [number for number, _ in self._kept],
            "order": forth + (forth[-2:0:-1] if self._look.bounce else []),
            "count": self._count,
            "fps": self._look.fps,
            "holds": [self._look.hold_first, self._look.hold_last],
            "plot": PLOT,
        }
        settings = dict(self._record.get("settings") or {})
        plan = settings.pop("plan", None)
        plan = plan if isinstance(plan, Mapping) else {}
        all_of_them = len(self._kept) == self._count
        text = page.substitute(
            title=escape(printable(str(plan.get("description") or self._record.get("prompt") or "laser"))),
            first=self._kept[0][1],
            width=self._size[0],
            height=self._size[1],
            embedded="" if all_of_them else f"{len(self._kept)} of {self._count} frames are on this page.",
            drive=DRIVE.format(self._drives[0]) if self._drives else "",
            plan=_plan(plan),
            plot=_plot(self.distances),
            command=escape(printable(self._command or "not recorded")),
            settings=_rows(_flat({**self._record, "settings": settings})),
            record=to_page(to_json(self._record)),
            frames=json.dumps(frames),
        )
        path.write_text(text, encoding="utf-8", newline="\n")


def _data_uri(frame: np.ndarray) -> str:
    from PIL import Image

    picture, made = Image.fromarray(frame), BytesIO()
    picture.thumbnail((LARGEST, LARGEST), Image.Resampling.LANCZOS)
    picture.save(made, "WEBP", quality=QUALITY)
    return "data:image/webp;base64," + base64.b64encode(made.getvalue()).decode("ascii")


def _plan(plan: Mapping[str, Any]) -> str:
    """The keyframes' prompts and every key of their segments, with the numbers of the frames between them."""
    segments = [segment for segment in plan.get("segments") or [] if isinstance(segment, Mapping)]
    if not segments:
        return ""
    keys = [key for key in dict.fromkeys(key for segment in segments for key in segment) if key != "frames"]
    rows: list[Sequence[Any]] = [["0", plan.get("source", ""), *[""] * (len(keys) - 1)]]
    first = 0
    for segment in segments:
        last = first + int(segment.get("frames") or 2) - 1
        rows.append([f"{first} to {last}", *[segment.get(key, "") for key in keys]])
        first = last
    return f'<h2>Plan</h2>\n<div class="scroll">{_table(["frames", *keys], rows)}</div>'


def _plot(distances: Sequence[float]) -> str:
    """Mean absolute difference (levels of 255) between each frame and the one before, as inline SVG."""
    if not distances:
        return "<p>There is only one frame.</p>"
    left, top, width, height = PLOT["left"], PLOT["top"], PLOT["width"], PLOT["height"]
    most = max(distances)
    chosen = np.linspace(0, len(distances) - 1, min(POINTS, len(distances))).round().astype(int).tolist()
    # distance i lies between frames i and i + 1: it stands at the later one
    points = " ".join(
        f"{left + width * (i + 1) / len(distances):.1f},{top + height * (1 - distances[i] / (most or 1)):.1f}"
        for i in chosen
    )
    low = top + height
    return (
        f'<svg viewBox="0 0 {left + width + 10} {low + 24}" role="img" aria-label="mean absolute difference">'
        f'<path class="axis" fill="none" d="M{left} {top}V{low}H{left + width}"/>'
        f'<line id="now" x1="{left}" x2="{left}" y1="{top}" y2="{low}"/>'
        f'<polyline class="curve" points="{points}"/>'
        f'<text x="{left - 6}" y="{top + 9}" text-anchor="end">{most:.2f}</text>'
        f'<text x="{left - 6}" y="{low}" text-anchor="end">0</text>'
        f'<text x="{left}" y="{low + 16}">frame 0</text>'
        f'<text x="{left + width}" y="{low + 16}" text-anchor="end">frame {len(distances)}</text></svg>\n'
        f'<p class="hint">Mean absolute difference to the frame before, in levels of 255: '
        f"{np.mean(distances):.2f} on average, {most:.2f} at most.</p>"
    )


def _flat(record: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    """Nested mappings as dotted names; what is not set is left out."""
    rows: list[tuple[str, Any]] = []
    for key, value in record.items():
        if isinstance(value, Mapping):
            rows += _flat(value, f"{prefix}{key}.")
        elif value is not None:
            rows.append((f"{prefix}{key}", value))
    return rows


def _rows(rows: Sequence[tuple[str, Any]]) -> str:
    return _table(["setting", "value"], rows)


def _table(heads: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    head = "".join(f'<th scope="col">{escape(str(text))}</th>' for text in heads)
    body = "".join("<tr>" + "".join(f"<td>{escape(_text(cell))}</td>" for cell in row) + "</tr>\n" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>\n{body}</tbody></table>"


def _text(value: Any) -> str:
    return printable(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False), keep="\n")
