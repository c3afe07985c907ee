"""What each stage of a run takes: kept for estimates of the next, and told with --verbose."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from laser_cli.cli.console import Console
    from laser_cli.models.model import Model


class Watch:
    """Measures stages into `took`, (evaluations, seconds) by name, and tells them when asked to."""

    def __init__(self, console: Console, verbose: bool) -> None:
        self._console, self._verbose = console, verbose
        self.took: dict[str, tuple[int, float]] = {}
        if verbose:
            console.note(", ".join(f"{name} {version}" for name, version in versions().items()))

    @contextmanager
    def stage(self, name: str, model: Model | None = None) -> Iterator[None]:
        """Seconds of what happens inside, and the U-Net evaluations a second if it made any."""
        start, before = time.perf_counter(), model.nfe if model else 0
        yield
        seconds = time.perf_counter() - start
        rows = model.nfe - before if model else 0
        self.took[name] = (rows, seconds)
        rate = f", {rows} evaluations, {rows / seconds:.1f} a second" if rows else ""
        if self._verbose:
            self._console.note(f"{name}: {seconds:.2f} s{rate}")


def versions() -> dict[str, str]:
    """This program, Python and the libraries that decide what comes out."""
    import platform

    import laser_cli
    from laser_cli.output.record import library_versions

    return {"laser": laser_cli.__version__, "python": platform.python_version(), **library_versions()}
