"""Where a job's frames go: into memory, or into files that appear together when all is done."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from laser_cli.errors import LaserError, reason

if TYPE_CHECKING:
    import numpy as np

    from laser_cli.jobs.outputs import Outputs
    from laser_cli.jobs.run import Rendering
    from laser_cli.output.look import Look
    from laser_cli.stages.checkpoint import Checkpointer
    from laser_cli.stages.invert import Inversion
    from laser_cli.stages.preview import PreviewWriter


Take = Callable[[int, "np.ndarray"], None]
"""Takes one frame (h, w, 3) uint8 by its number; they come in order."""


@contextmanager
def aside(what: str, warn: Callable[[str], object]) -> Iterator[None]:
    """Something beside the work: where it cannot be written the user is told, and the work goes on."""
    try:
        yield
    except BrokenPipeError:
        raise
    except (LaserError, OSError, RuntimeError, ValueError) as error:
        warn(f"{what} could not be written: {getattr(error, 'why', '') or reason(error)}")


class Sinks:
    """What a job's results go into; this one keeps them in memory."""

    def __init__(self) -> None:
        self.frames: list[np.ndarray] = []
        self.paths: Sequence[Path] = ()
        self.inversion: Inversion | None = None

    @contextmanager
    def open(self, rendering: Rendering, look: Look, count: int) -> Iterator[Take]:
        """Takes `count` frames, shown as `look` says; what it writes appears when the context ends well."""
        yield lambda index, frame: self.frames.append(frame)

    def checkpoints(self, fingerprint: str) -> Checkpointer | None:
        """Where an unfinished render is kept, if it is."""
        return None

    def preview(self) -> PreviewWriter | None:
        """What shows the frames while they are drawn, if anything does."""
        return None

    def take_inversion(self, inversion: Inversion) -> None:
        """Keep an inversion."""
        self.inversion = inversion


class FileSinks(Sinks):
    """The files of `outputs`, which depend on `read`; `stream` takes raw frames, the report prints `command`."""

    def __init__(
        self,
        outputs: Outputs,
        read: Sequence[Path] = (),
        stream: BinaryIO | None = None,
        command: str = "",
        warn: Callable[[str], object] = lambda message: None,
    ) -> None:
        super().__init__()
        self.outputs, self.read, self.stream, self.command, self.warn = outputs, read, stream, command, warn
        self.paths = outputs.paths

    @contextmanager
    def open(self, rendering: Rendering, look: Look, count: int) -> Iterator[Take]:
        """All files of the outputs; when they are in place the dependency file, which only warns if it cannot be."""
        from laser_cli.output.sink import open_sinks

        outputs = self.outputs
        with open_sinks(
            outputs.file,
            outputs.frames_dir,
            outputs.sheet,
            size=rendering.size,
            look=look,
            count=count,
            record=rendering.record,
            labels=rendering.labels,
            report=outputs.report,
            beside=rendering.beside,
            command=self.command,
            stream=(self.stream, outputs.stream) if self.stream and outputs.stream else None,
            force=outputs.force,
            warn=self.warn,
        ) as sink:
            yield sink.add
        with self.aside("the dependency file"):
            outputs.note_dependencies(self.read)

    def aside(self, what: str) -> AbstractContextManager[None]:
        """Something beside the work, as of the function of that name."""
        return aside(what, self.warn)

    def checkpoints(self, fingerprint: str) -> Checkpointer | None:
        """Beside the first output, with --resume."""
        from laser_cli.output.atomic import sweep
        from laser_cli.stages.checkpoint import Checkpointer

        if self.outputs.unfinished:
            sweep(self.outputs.unfinished)  # what a kill in the middle of a saving left; the saved render itself stays
        kept = self.outputs.unfinished if self.outputs.resume else None
        return Checkpointer(kept, fingerprint, aside=self.aside) if kept else None

    def preview(self) -> PreviewWriter | None:
        """The sheet of --preview."""
        from laser_cli.stages.preview import PreviewWriter

        def show(frames: list[tuple[int, np.ndarray]]) -> None:
            with self.aside("the preview"):
                self.outputs.show(frames)

        return PreviewWriter(show) if self.outputs.preview else None


class InversionFile(Sinks):
    """An inversion's file, which the caller stages."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path

    def take_inversion(self, inversion: Inversion) -> None:
        """Write it."""
        from laser_cli.stages.invert import save_inversion

        save_inversion(inversion, self.path)
