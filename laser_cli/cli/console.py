"""Console policy: stdout is the result only; notes, warnings and progress go to stderr, and --quiet silences them.

With --progress json everything on stderr is one JSON object a line: the events of output/README.md.
"""

import json as jsonlib
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from laser_cli.cli.early import mark
from laser_cli.cli.events import MOST_OFTEN, event, send
from laser_cli.cli.exits import drop_stdout
from laser_cli.errors import reason
from laser_cli.jobs.progress import Progress as Listener
from laser_cli.jobs.progress import Silent, Ticker
from laser_cli.terminal import clock_text, printable

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

HEARTBEAT_SECONDS = 10.0


class Console(Listener):
    """The one place that prints: results to stdout, everything else to stderr; `verbose` tells what stages took too.

    `progress`: auto is a bar on a terminal and a line every 10 s elsewhere, plain such lines everywhere, json events.
    """

    def __init__(
        self,
        *,
        quiet: bool = False,
        json: bool = False,
        verbose: bool = False,
        progress: str = "auto",
        stdout: TextIO | None = None,
        stderr: TextIO | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__()
        self.quiet = quiet and not verbose
        self.verbose = verbose
        self.json = json
        self.events = progress == "json"
        self._bars = progress == "auto"
        self._stdout = stdout if stdout is not None else sys.stdout
        self._stderr = stderr if stderr is not None else sys.stderr
        self._clock = clock
        self._bar: Progress | None = None

    def note(self, message: str) -> None:
        """A hint or a stage, on stderr."""
        if not self.quiet:
            self._say(message)

    def warn(self, message: str, *, always: bool = False) -> None:
        """Something is not as it should be, but the work goes on; `always`: told under --quiet too."""
        if always or not self.quiet:
            self._say(message, warning=True)

    def _say(self, message: str, *, warning: bool = False) -> None:
        if self.events:
            return send(event("warning" if warning else "note", message=message), self._stderr)
        message = printable(message, keep="\n")
        if self._bar is not None:
            # through the bar: a plain write would be overdrawn by it
            said = f"warning: {message}" if warning else message
            self._bar.console.print(said, markup=False, highlight=False, soft_wrap=True)
        else:
            _print(f"{mark('warning:', '33', self._stderr)} {message}" if warning else message, self._stderr)

    def timed(self, stage: str, evaluations: int, seconds: float) -> None:
        """Tell what a stage took, if that is asked for."""
        if self.events and not self.quiet:
            send(event("stage", name=stage, evaluations=evaluations, seconds=round(seconds, 3)), self._stderr)
        elif self.verbose:
            rate = f", {evaluations} evaluations, {evaluations / seconds:.1f} a second" if evaluations else ""
            self.note(f"{stage}: {seconds:.2f} s{rate}")

    def result(self, paths: Sequence[Path], payload: Mapping[str, Any] | None = None) -> None:
        """The written paths, one a line; with json one object `{"version": 1, "paths": [...], **payload}`."""
        if self.events:
            self.written(paths)
        text = "".join(f"{path}\n" for path in paths)
        if self.json:
            text = _versioned({"paths": [str(path) for path in paths], **(payload or {})})
        try:
            self._out(text)
        except OSError as error:  # the work is done: that nobody hears of it is no failure
            drop_stdout()
            if not isinstance(error, BrokenPipeError):
                self.warn(f"the result could not be printed: {reason(error)}")

    def written(self, paths: Sequence[Path]) -> None:
        """Outputs that are in place, on stderr: for programs, or where stdout holds frames."""
        for path in () if self.quiet else paths:
            if self.events:
                send(event("written", path=str(path)), self._stderr)
            else:
                self.note(f"written: {path}")

    def json_object(self, payload: Mapping[str, Any]) -> None:
        """One versioned JSON object on stdout, for commands whose result is not a list of files."""
        self._out(_versioned(payload))

    def parts(self, texts: Iterable[str]) -> None:
        """A result on stdout that is too long to be held at once."""
        for text in texts:
            self._stdout.write(text)
        self._stdout.flush()

    @property
    def live(self) -> bool:
        """Whether progress is a bar on a terminal."""
        return self._bars and not self.quiet and self._stderr.isatty() and os.environ.get("TERM") != "dumb"

    def _out(self, text: str) -> None:
        self._stdout.write(text)
        self._stdout.flush()

    @contextmanager
    def progress(self, total: int, label: str) -> Iterator[Ticker]:
        """Tell how far a job of `total` steps is: a bar on a terminal, else a line every 10 s; nothing under quiet."""
        if self.quiet:
            yield Silent()
        elif self.events:
            yield _Events(total, label, self._stderr, self._clock)
        elif self.live and self._bar is None:
            with self._live_bar() as bar:
                yield _Bar(bar, bar.add_task(label, total=total))
        else:
            yield _Heartbeat(total, label, self._stderr, self._clock)

    bar = progress

    @contextmanager
    def _live_bar(self) -> Iterator["Progress"]:
        from rich.console import Console as RichConsole
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        text = TextColumn("{task.description}", markup=False)
        columns = (text, BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(*columns, console=RichConsole(file=self._stderr), transient=True) as bar:
            self._bar = bar
            try:
                yield bar
            finally:
                self._bar = None


class _Bar:
    def __init__(self, bar: "Progress", task: "TaskID") -> None:
        self._bar = bar
        self._task = task

    def advance(self, n: int = 1, label: str | None = None) -> None:
        """Move the bar."""
        self._bar.update(self._task, advance=n, description=label)


class _Timed:
    """How far a job is, and how long it will take at the pace so far."""

    def __init__(self, total: int, label: str, stream: TextIO, clock: Callable[[], float]) -> None:
        self._total = total
        self._label = label
        self._stream = stream
        self._clock = clock
        self._done = 0
        self._start = self._last = clock()

    def _left(self, now: float) -> float:
        return (now - self._start) * max(self._total - self._done, 0) / max(self._done, 1)


class _Events(_Timed):
    def __init__(self, total: int, label: str, stream: TextIO, clock: Callable[[], float]) -> None:
        super().__init__(total, label, stream, clock)
        self._tell(self._start)

    def advance(self, n: int = 1, label: str | None = None) -> None:
        """Send a progress event: when the job begins, ends or is renamed, and else at most ten times a second."""
        self._done += n
        now = self._clock()
        renamed = label is not None and label != self._label
        self._label = label if label is not None else self._label
        if renamed or self._done >= self._total or now - self._last >= MOST_OFTEN:
            self._last = now
            self._tell(now)

    def _tell(self, now: float) -> None:
        remaining = round(self._left(now), 2) if self._done else None
        told = {"done": self._done, "total": self._total, "elapsed": round(now - self._start, 2)}
        send(event("progress", task=self._label, **told, remaining=remaining), self._stream)


class _Heartbeat(_Timed):
    def advance(self, n: int = 1, label: str | None = None) -> None:
        """Print `label done/total (percent) m:ss left`, if the last line is 10 s old."""
        self._done += n
        self._label = label if label is not None else self._label
        now = self._clock()
        if now - self._last < HEARTBEAT_SECONDS:
            return
        self._last = now
        percent = 100 * self._done // max(self._total, 1)
        line = f"{self._label} {self._done}/{self._total} ({percent}%) {clock_text(self._left(now))} left"
        _print(line, self._stream)


def _versioned(payload: Mapping[str, Any]) -> str:
    return jsonlib.dumps({"version": 1, **payload}, default=str) + "\n"


def _print(line: str, stream: TextIO) -> None:
    """A line for people; that nobody can read it stops no work."""
    with suppress(OSError, ValueError):
        print(line, file=stream, flush=True)
