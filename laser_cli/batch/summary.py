"""What became of a batch's jobs, read from its journal one by one: JSON, JUnit's XML, and the contact page."""

from __future__ import annotations

import json
import os
from array import array
from collections.abc import Iterable, Iterator
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import quote
from xml.sax.saxutils import quoteattr

from laser_cli.batch.journal import FILE, located_events
from laser_cli.batch.remote import is_address
from laser_cli.batch.schedule import Totals
from laser_cli.batch.spool import Spool
from laser_cli.batch.tasks import json_line
from laser_cli.output.atomic import staged
from laser_cli.terminal import printable

FILMS = (".mp4", ".mov", ".mkv", ".webm")
PICTURES = (".gif", ".webp", ".apng", ".png")


def results(folder: Path, spool: Spool) -> Iterator[dict[str, Any]]:
    """The result of each job of the last run, in the order of the file; what is still to be done has none."""
    offsets = array("q", [-1]) * (len(spool) + 1)
    with (folder / FILE).open("rb") as journal:
        for offset, event in located_events(journal):
            if event["event"] == "begin":
                offsets = array("q", [-1]) * (len(spool) + 1)
            elif event["event"] in ("done", "skipped", "failed"):
                offsets[event["n"]] = offset
        for place in range(len(spool)):
            if offsets[place + 1] >= 0:
                journal.seek(offsets[place + 1])
                yield _result(json.loads(journal.readline()))
            elif spool.finished[place]:
                task = spool.read(place)
                yield {
                    "n": task.number,
                    "id": task.id,
                    "where": task.where,
                    "label": task.label,
                    "status": "skipped",
                    "paths": [str(path) for path in task.paths],
                }


def _result(event: dict[str, Any]) -> dict[str, Any]:
    told = {key: event.get(key) for key in ("n", "id", "where", "label")}
    told |= {"status": event["event"], "paths": event.get("paths", []), "seconds": event.get("seconds", 0.0)}
    told |= {"evaluations": event.get("evaluations", 0), "attempts": event.get("attempts", 1)}
    told |= {key: event.get(key) for key in ("node", "fingerprint")}
    return {**told, "warnings": event.get("warnings", []), "error": event.get("failure")}


def totals_of(totals: Totals, jobs: int, skipped: int) -> dict[str, Any]:
    """The numbers of a run."""
    return {
        "jobs": jobs,
        "done": totals.done,
        "skipped": totals.skipped + skipped,
        "failed": totals.failed,
        "left": totals.left,
        "seconds": round(totals.seconds, 3),
    }


def json_parts(told: dict[str, Any], rows: Iterator[dict[str, Any]]) -> Iterator[str]:
    """One versioned object with all results, in parts, so that it is never whole in memory."""
    head = json_line({"version": 1, **told}).rstrip("}\n")
    yield head + ',"results":['
    for number, row in enumerate(rows):
        yield ("," if number else "") + json_line(row).rstrip("\n")
    yield "]}\n"


def junit(told: dict[str, Any], rows: Iterator[dict[str, Any]]) -> Iterator[str]:
    """JUnit's XML, as CI systems read it: a test case for each job."""
    yield '<?xml version="1.0" encoding="UTF-8"?>\n'
    counts = f'tests="{told["jobs"]}" failures="{told["failed"]}" skipped="{told["left"]}" time="{told["seconds"]}"'
    yield f"{SUITE} {counts}>\n"
    for row in rows:
        name = row["id"] or (row["paths"][0] if row["paths"] else f"job {row['n']}")
        attributes = f"classname={_quoted(row['where'] or 'batch')} name={_quoted(str(name))}"
        yield f'  <testcase {attributes} time="{row.get("seconds", 0.0)}"'
        if error := row.get("error"):
            text = "\n".join(part for part in (error["what"], error.get("why"), error.get("hint")) if part)
            kind = f"exit {error['exit_code']}"
            yield f">\n    <failure type={_quoted(kind)} message={_quoted(error['what'])}>"
            yield escape(_plain(text), quote=False) + "</failure>\n  </testcase>\n"
        else:
            yield "/>\n"
    yield "</testsuite>\n"


def _quoted(text: str) -> str:
    return quoteattr(_plain(text))


def _plain(text: str) -> str:
    """Text without what XML cannot hold."""
    return printable(text, keep="\n")


GENERATOR = '<meta name="generator" content="laser batch">'
SUITE = '<testsuite name="laser batch"'
STYLE = """
:root { color-scheme: light dark; }
body { font: 15px/1.4 system-ui, sans-serif; margin: 2rem auto; max-width: 90rem; padding: 0 1rem; }
main { display: grid; grid-template-columns: repeat(auto-fill, minmax(14rem, 1fr)); gap: 1rem; }
figure { margin: 0; border: 1px solid #8886; border-radius: 6px; overflow: hidden; }
video, img { display: block; width: 100%; aspect-ratio: 1; object-fit: contain; background: #8882; }
figcaption { padding: .5rem .75rem; overflow-wrap: anywhere; font-size: .85rem; }
.failed { border-color: #c2410c; } .failed p { color: #c2410c; }
p { margin: .25rem 0; } small { opacity: .7; } .none { padding: 3rem 1rem; text-align: center; background: #8882; }
"""


def page(told: dict[str, Any], rows: Iterator[dict[str, Any]], here: Path, root: str) -> Iterator[str]:
    """The contact page: every output, shown where it lies beside the page, and every failure with its reason.

    `here`: the folder of the page; `root`: that of the batch, by which the outputs are named.
    """
    done = told["done"] + told["skipped"]
    title = f"{done} of {told['jobs']} jobs" + (f", {told['failed']} failed" if told["failed"] else "")
    yield '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
    yield f"{GENERATOR}\n"
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
    yield f"<title>{title}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<h1>{title}</h1>\n<main>\n"
    for row in rows:
        yield _card(row, here, root)
    yield "</main>\n</body>\n</html>\n"


def write_parts(path: Path, parts: Iterable[str]) -> None:
    """Write a text whose parts come one by one; it appears whole. Folders above it are made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with staged(path) as part, part.open("w", encoding="utf-8", newline="\n") as file:
        file.writelines(parts)


def is_summary(path: Path) -> bool:
    """Whether a file is a page or a JUnit summary of a batch."""
    try:
        with path.open("rb") as file:
            head = file.read(1000).decode("utf-8", "replace")
    except OSError:
        return False
    return GENERATOR in head or SUITE in head


def _card(row: dict[str, Any], here: Path, root: str) -> str:
    error = row.get("error")
    shown = "" if error else "".join(_shown(path, here, root) for path in row["paths"][:1])
    names = "".join(
        f'<a href="{_href(path, here, root)}">{_text(path)}</a> ' for path in ([] if error else row["paths"])
    )
    why = f"<p>{_text(': '.join(p for p in (error['what'], error.get('why')) if p))}</p>" if error else ""
    about = f"job {row['n']}" + (f", {row['seconds']:.1f} s" if row.get("seconds") else "")
    return (
        f'<figure class="{escape(row["status"])}">{shown or "<div class=none>" + escape(row["status"]) + "</div>"}'
        f"<figcaption>{_text(row.get('label') or '')}{why}<p>{names}</p><small>{about}</small></figcaption></figure>\n"
    )


def _shown(path: str, here: Path, root: str) -> str:
    ending, href = Path(path).suffix.lower(), _href(path, here, root)
    if ending in FILMS:
        return f'<video src="{href}" muted loop controls playsinline preload="metadata"></video>'
    if ending in PICTURES:
        return f'<img src="{href}" loading="lazy" alt="">'
    return ""


def _href(path: str, here: Path, root: str) -> str:
    """The address of an output as seen from the page."""
    if is_address(root):
        return escape(f"{root.rstrip('/')}/{quote(path)}")
    return escape(quote(Path(os.path.relpath(Path(root, path), here)).as_posix(), safe="/"))


def _text(text: str) -> str:
    return escape(printable(text))
