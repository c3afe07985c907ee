"""Files of one job that are encoded and finished in the background while the next job is drawn."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from queue import Queue
from typing import TYPE_CHECKING

from laser_cli.jobs.sinks import FileSinks, Take
from laser_cli.stages.checkpoint import Checkpointer

if TYPE_CHECKING:
    import numpy as np
    import torch

    from laser_cli.engine.spec import Frame, RenderState
    from laser_cli.jobs.outputs import Outputs
    from laser_cli.jobs.run import Rendering
    from laser_cli.output.look import Look
    from laser_cli.stages.checkpoint import Checkpoint

AHEAD = 16
"""Frames that may wait for the encoder; then the drawing waits for it."""


class Stopped(BaseException):
    """The batch was asked to end; what is drawn of this job is saved. No Exception: nobody handles it as one."""


class _Broken(BaseException):
    """The drawing failed: what was encoded so far is thrown away."""


class StoppableCheckpointer(Checkpointer):
    """Saves at once and raises Stopped when the batch shall end; keeps the file until the outputs are in place."""

    stop: threading.Event
    begun = False
    """Whether a state has been saved or loaded, so that the next step is worth waiting for."""
    done = False

    def load(self, device: torch.device, frames: int) -> Checkpoint | None:
        """What was saved of this very render."""
        found = super().load(device, frames)
        self.begun = found is not None
        return found

    def save(self, state: RenderState | None, frames: Sequence[Frame]) -> None:
        """Save every few seconds, or now if this is the end."""
        self.begun = True
        if self.stop.is_set():
            self.last = float("-inf")
            super().save(state, frames)
            raise Stopped
        super().save(state, frames)

    def discard(self) -> None:
        """The drawing is done; the files are not in place yet."""
        self.done = True

    def remove(self) -> None:
        """Remove the file of a render whose outputs are in place."""
        if self.done:
            super().discard()


class BackgroundSinks(FileSinks):
    """Takes frames at once and encodes them in a thread; `finish` waits until the files are in place."""

    def __init__(self, outputs: Outputs, read: Sequence[Path], stop: threading.Event, **more: object) -> None:
        super().__init__(outputs, read, **more)  # type: ignore[arg-type]
        self.stop = stop
        self.saved: StoppableCheckpointer | None = None
        self._frames: Queue[tuple[int, np.ndarray] | _Broken | None] = Queue(AHEAD)
        self._writer: threading.Thread | None = None
        self._error: BaseException | None = None

    @contextmanager
    def open(self, rendering: Rendering, look: Look, count: int) -> Iterator[Take]:
        """Take the frames; the context ends when the last one is handed over, not when it is written."""
        self._writer = threading.Thread(
            target=self._write, args=(rendering, look, count), name="laser-writer", daemon=True
        )
        self._writer.start()
        try:
            yield self._hand_over
        except BaseException:
            self._frames.put(_Broken())
            self._writer.join()
            raise
        self._frames.put(None)

    def finish(self) -> None:
        """Wait for the files; raises what went wrong with them."""
        if self._writer:
            self._writer.join()
        if self._error:
            raise self._error
        if self.saved:
            self.saved.remove()

    def checkpoints(self, fingerprint: str) -> Checkpointer | None:
        """Beside the first output."""
        plain = super().checkpoints(fingerprint)
        if plain is None:
            return None
        self.saved = StoppableCheckpointer(plain.path, fingerprint, aside=self.aside)
        self.saved.stop = self.stop
        return self.saved

    def _hand_over(self, index: int, frame: np.ndarray) -> None:
        if self._error:
            raise self._error
        self._frames.put((index, frame))

    def _write(self, rendering: Rendering, look: Look, count: int) -> None:
        over = False
        try:
            with FileSinks.open(self, rendering, look, count) as take:
                while (item := self._frames.get()) is not None:
                    if isinstance(item, _Broken):
                        over = True
                        raise item
                    take(*item)
                over = True
        except BaseException as error:
            self._error = error
        while not over:  # nobody shall wait for a writer that has failed
            over = not isinstance(self._frames.get(), tuple)
