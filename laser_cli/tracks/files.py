"""Face tracks in files: YAML, JSON or CSV by the name's ending; errors name the frame and the column."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from pydantic import ValidationError

from laser_cli.errors import BadInputError
from laser_cli.tracks.capture import Capture
from laser_cli.tracks.names import known_column
from laser_cli.tracks.schema import DECIMALS, FaceTrack

HEADER = """\
# A laser face track: one line a frame, one number for each of `columns`, `fps` lines a second.
#   blendshapes       0..1, by ARKit's names; left and right are the person's own
#   pitch, yaw, roll  degrees: chin down, face to the viewer's right, tilted to the viewer's left
#   x, y, z           centimetres from the camera: right, up, towards the viewer
"""
TIME = "time"
"""The CSV's first column, in seconds."""


def is_track(path: Path) -> bool:
    """Whether a file begins as `write_track` begins one."""
    try:
        with path.open("rb") as file:
            head = file.read(100)
    except OSError:
        return False
    return head.startswith((HEADER[:21].encode(), b'{"version": ', f"{TIME},".encode()))


def parse_track(text: str, name: str) -> FaceTrack:
    """The track in a text of YAML or JSON. Raises BadInputError."""
    try:
        value = json.loads(text) if text.lstrip()[:1] == "{" else _yaml(text)
    except (ValueError, RecursionError) as error:
        raise BadInputError(f"{name} is not a face track", why=str(error)) from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        raise BadInputError(f"{name}{line}: not valid YAML", why=str(getattr(error, "problem", error))) from error
    return as_track(value, name)


def as_track(value: Any, name: str) -> FaceTrack:
    """The track in a mapping of the file format. Raises BadInputError."""
    if not isinstance(value, dict):
        raise BadInputError(
            f"{name} is not a face track",
            why="it is empty" if value is None else "it should start with keys such as `fps:` and `columns:`",
            hint="laser track writes one from a video, a capture or a plan",
        )
    try:
        return FaceTrack.model_validate(value)
    except ValidationError as error:
        details = error.errors(include_url=False)
        lines = [_explained(detail, value) for detail in details[:8]]
        more = [f"and {len(details) - 8} more"] if len(details) > 8 else []
        raise BadInputError(f"{name} is not a valid face track", why="\n".join([*lines, *more])) from error


def track_text(track: FaceTrack, suffix: str) -> str:
    """The track as a file with this ending holds it: `.csv`, `.json`, else YAML."""
    rows = [[_number(value) for value in row] for row in track.frames]
    if suffix == ".csv":
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow([TIME, *track.columns])
        writer.writerows([f"{i / track.fps:.12g}", *row] for i, row in enumerate(rows))
        return out.getvalue()
    lines = [f"[{', '.join(row)}]" for row in rows]
    head = {"version": track.version, "fps": track.fps, "source": track.source, "columns": list(track.columns)}
    if suffix == ".json":
        opening = json.dumps(head, ensure_ascii=False)[:-1]
        return opening + ', "frames": [\n' + ",\n".join(lines) + "\n]}\n"
    # quoted, so that any text is read back as it is
    source = yaml.safe_dump(track.source, default_style='"', allow_unicode=True, width=10**6).strip()
    head |= {"source": source, "columns": f"[{', '.join(track.columns)}]"}
    text = "".join(f"{key}: {value}\n" for key, value in head.items() if key != "source" or track.source)
    return HEADER + text + "frames:\n" + "".join(f"- {line}\n" for line in lines)


def write_track(track: FaceTrack, path: str | Path, *, force: bool = False) -> None:
    """Write the track to a file, which appears when it is complete. `force`: in place of a read-only one too."""
    from laser_cli.output.atomic import staged

    path = Path(path)
    with staged(path, force=force) as made:
        made.write_text(track_text(track, path.suffix.lower()), encoding="utf-8", newline="\n")


def table(text: str, name: str) -> tuple[list[str], list[list[str]]]:
    """The header and the rows of a CSV, comments and empty lines left out. Raises BadInputError."""
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    if len(lines) < 2:
        raise BadInputError(f"{name} is not a face track", why="it has no line of numbers under its header")
    dialect = ";" if lines[0].count(";") > lines[0].count(",") else "\t" if "\t" in lines[0] else ","
    header, *rows = csv.reader(lines, delimiter=dialect)
    return [cell.strip() for cell in header], rows


def numbers(rows: list[list[str]], columns: dict[int, str], name: str) -> np.ndarray:
    """Cells [rows, columns] as numbers, NaN for empty or missing ones. Raises BadInputError for other text."""
    values = np.full((len(rows), len(columns)), np.nan)
    for number, row in enumerate(rows):
        for k, (i, column) in enumerate(columns.items()):
            cell = row[i].strip() if i < len(row) else ""
            if not cell or cell.lower() == "nan":
                continue
            try:
                values[number, k] = float(cell)
            except ValueError as error:
                raise BadInputError(f"{name}, row {number + 1}, {column}: {cell!r} is not a number") from error
    if np.isinf(values).any():
        raise BadInputError(f"{name}: a value is infinite")
    return values


def parse_csv(text: str, name: str) -> Capture:
    """The capture in a CSV as `track_text` writes it: `time` in seconds, then columns of a track by name."""
    header, rows = table(text, name)
    lowered = [cell.lower() for cell in header]
    if TIME not in lowered:
        raise BadInputError(
            f"{name} is not a face track", why="its CSV has neither a `time` column (seconds) nor a `Timecode`"
        )
    known = {i: column for i, cell in enumerate(header) if (column := known_column(cell))}
    if not known:
        raise BadInputError(f"{name} is not a face track", why="none of its columns has the name of a blendshape")
    if len(set(known.values())) < len(known):
        raise BadInputError(f"{name} is not a face track", why="a column is there twice")
    at = lowered.index(TIME)
    times = numbers(rows, {at: TIME}, name)[:, 0]
    if np.isnan(times).any():
        raise BadInputError(f"{name}, row {int(np.isnan(times).argmax()) + 1}: there is no time")
    if (np.diff(times) <= 0).any():
        raise BadInputError(f"{name}, row {int((np.diff(times) <= 0).argmax()) + 2}: the time does not rise")
    ignored = [cell for i, cell in enumerate(header) if i not in known and i != at]
    notes = (f"columns that are not a face's are left out: {', '.join(ignored[:6])}",) if ignored else ()
    return Capture(tuple(known.values()), times - times[0], numbers(rows, known, name), name, notes)


def _yaml(text: str) -> Any:
    # the C loader reads a thousand frames in a second where Python's takes ten
    return yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))


def _number(value: float) -> str:
    """A number without an exponent, which YAML would read as text."""
    text = f"{value:.{DECIMALS}f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def _explained(detail: Any, value: dict[str, Any]) -> str:
    """One validation error in words: `frame 3, jawOpen: ...`."""
    location, said = detail["loc"], detail["msg"].removeprefix("Value error, ")
    given = detail["input"]
    if detail["type"] == "literal_error" and location[:1] == ("columns",):
        return f"columns: {given!r} is not a blendshape, pitch, yaw, roll, x, y or z"
    if detail["type"] == "extra_forbidden":
        return f"{location[-1]}: unknown key; the keys are {', '.join(FaceTrack.model_fields)}"
    if location[:1] == ("frames",) and len(location) > 1:
        given_columns = value.get("columns")
        columns = given_columns if isinstance(given_columns, list) else []
        named = len(location) > 2 and location[2] < len(columns)
        place = f"frame {location[1]}" + (f", {columns[location[2]]}" if named else "")
    else:
        place = ".".join(map(str, location))
    shown = f"{given!r}: " if isinstance(given, int | float | str) and len(str(given)) < 40 else ""
    return f"{place}: {shown}{said[0].lower() + said[1:]}" if place else said
