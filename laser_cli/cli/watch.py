"""What --verbose tells: versions, seconds of each stage, evaluations a second."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from laser_cli.cli.console import Console
    from laser_cli.engine.models import Model


class Watch:
    """Tells, when asked to, what each stage took."""

    def __init__(self, console: Console, verbose: bool) -> None:
        self._console, self._verbose = console, verbose
        if verbose:
            console.note(", ".join(f"{name} {version}" for name, version in versions().items()))

    @contextmanager
    def stage(self, name: str, model: Model | None = None) -> Iterator[None]:
        """Seconds of what happens inside, and the U-Net evaluations a second if it made any."""
        start, before = time.perf_counter(), model.rows if model else 0
        yield
        seconds = time.perf_counter() - start
        rows = model.rows - before if model else 0
        rate = f", {rows} evaluations, {rows / seconds:.1f} a second" if rows else ""
        if self._verbose:
            self._console.note(f"{name}: {seconds:.2f} s{rate}")


def versions() -> dict[str, str]:
    """This program, Python and the libraries that decide what comes out."""
    import platform
    from importlib.metadata import PackageNotFoundError, version

    import laser_cli
    from laser_cli.output.record import LIBRARIES

    found = {"laser": laser_cli.__version__, "python": platform.python_version()}
    for name in LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
