"""All outputs of one run behind one `add`: video or still, frames, sheet, report, stream; all appear, or none."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from laser_cli.errors import LaserError, UsageError
from laser_cli.output.atomic import check_frames_dir, check_target, staged, staged_dir
from laser_cli.output.frames import frame_name, write_png
from laser_cli.output.look import Look
from laser_cli.output.pictures import ignore
from laser_cli.output.record import to_json
from laser_cli.output.report import ReportCollector
from laser_cli.output.sheet import SheetCollector
from laser_cli.output.stream import StreamFormat, open_stream
from laser_cli.output.video import STILL, check_video, open_video

MOST_WORDS = 8  # that a warning names


class FrameSink:
    """Takes `count` frames, numbered from 0 in order; `paths` names what is written, the primary output first."""

    def __init__(self, count: int, takers: Sequence[Callable[[int, np.ndarray], None]], paths: list[Path]) -> None:
        self.count = count
        self.paths = paths
        self.taken = 0
        self._takers = takers

    def add(self, index: int, frame: np.ndarray) -> None:
        """Hand one (h, w, 3) uint8 frame to every output."""
        if index != self.taken or index >= self.count:
            raise ValueError(f"frame {index} came where {self.taken} of {self.count} was due")
        for take in self._takers:
            take(index, frame)
        self.taken += 1


class Still:
    """Writes one frame of all as a PNG at `path`, the record inside."""

    def __init__(self, path: Path, wanted: int, record: Mapping[str, Any]) -> None:
        self._path = path
        self._wanted = wanted
        self._record = record

    def add(self, index: int, frame: np.ndarray) -> None:
        """Take a frame, if it is the one."""
        if index == self._wanted:
            write_png(self._path, frame, self._record)


@contextmanager
def open_sinks(
    out: Path | None,
    frames_dir: Path | None = None,
    sheet: Path | None = None,
    *,
    size: tuple[int, int],
    look: Look,
    count: int,
    record: Mapping[str, Any],
    labels: Mapping[int, str] | Sequence[str] = (),
    keep: int = 12,
    columns: int = 0,
    report: Path | None = None,
    beside: Callable[[], Iterator[np.ndarray]] | None = None,
    command: str = "",
    stream: tuple[BinaryIO, StreamFormat] | None = None,
    force: bool = False,
    warn: Callable[[str], object] = ignore,
) -> Iterator[FrameSink]:
    """A sink for `count` distinct frames of `size` (w, h); outputs that are None are left out.

    When the context ends well the frames appear, then the report and the sheet, and the video last; else nothing does.
    Video and stream show the frames as `look` says, a .png the one that it names, the others each once. `labels` are
    captions of the sheet by frame number; it shows at most `keep` frames. `command` is the line to print in the report,
    which shows the pictures of `beside` next to the frames.
    `force`: replace read-only files. `warn` hears of words that no font can draw.
    """
    check_sinks(out, frames_dir, sheet, look=look, count=count, report=report, force=force)
    takers: list[Callable[[int, np.ndarray], None]] = []
    # each context ends before the ones entered earlier: encoders first, then frames, sheet and video move into place
    with ExitStack() as stack:
        video_path = stack.enter_context(staged(out, force=force)) if out else None
        sheet_path = stack.enter_context(staged(sheet, force=force)) if sheet else None
        report_path = stack.enter_context(staged(report, force=force)) if report else None
        folder = stack.enter_context(staged_dir(frames_dir)) if frames_dir else None
        if folder:
            takers.append(lambda index, frame: write_png(folder / frame_name(index), frame, record))
        if sheet_path:
            collector = SheetCollector(count, keep, labels, columns)
            takers.append(collector.add)
        if report_path:
            page = ReportCollector(count, look, record, command, beside=beside() if beside else None)
            takers.append(page.add)
        if video_path and video_path.suffix.lower() == STILL:
            takers.append(Still(video_path, look.picked(count), record).add)
        elif video_path:
            video = stack.enter_context(open_video(video_path, size, look, to_json(record)))
            takers.append(lambda index, frame: video.add(frame))
        if stream:
            raw = stack.enter_context(open_stream(*stream, size, look))
            takers.append(lambda index, frame: raw.add(frame))
        sink = FrameSink(count, takers, [path for path in (out, frames_dir, sheet, report) if path])
        yield sink
        if sink.taken != count:
            raise LaserError(f"only {sink.taken} of {count} frames were made")
        if sheet_path:
            collector.save(sheet_path, record)
            if missing := collector.undrawable():
                warn(f"no font on this machine can draw {', '.join(missing[:MOST_WORDS])}: the sheet shows boxes there")
        if report_path:
            page.save(report_path)


def check_sinks(
    out: Path | None,
    frames_dir: Path | None,
    sheet: Path | None,
    *,
    look: Look,
    count: int,
    report: Path | None = None,
    force: bool = False,
) -> None:
    """Raise for outputs that cannot be written or that overwrite each other; call it before the work."""
    if out and out.suffix.lower() == STILL:
        look.picked(count)
    elif out:
        check_video(out, look)
    if sheet and sheet.suffix.lower() != ".png":
        raise UsageError(f"cannot write {sheet.name}: a contact sheet is a PNG", hint="a name that ends in .png")
    if report and report.suffix.lower() not in (".html", ".htm"):
        raise UsageError(f"cannot write {report.name}: a report is a web page", hint="a name that ends in .html")
    named = [os.path.realpath(path) for path in (out, frames_dir, sheet, report) if path]
    if len(set(named)) != len(named):
        raise UsageError("two outputs have the same name")
    for path in (out, sheet, report):
        if path:
            check_target(path, force=force)
    if frames_dir:
        check_frames_dir(frames_dir)
