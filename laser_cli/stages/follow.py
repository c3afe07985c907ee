"""What every render tells and keeps on its way: progress, smaller batches, checkpoints and previews."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from laser_cli.engine.spec import Finished, Frame, Step
from laser_cli.models.model import Model
from laser_cli.stages.checkpoint import Checkpointer
from laser_cli.stages.invert import Report
from laser_cli.stages.preview import PreviewWriter

Warn = Callable[[str], object]


def finished(
    steps: Iterable[Step],
    model: Model,
    frames: Sequence[Frame],
    places: tuple[Sequence[int], Sequence[int]],
    report: Report,
    warn: Warn,
    checkpointer: Checkpointer | None,
    preview: PreviewWriter | None,
) -> Iterator[Finished]:
    """Yields what a render finishes, and sees to the rest of its steps.

    `frames` are those of its spec; `places`: the numbers of its keyframes and of its frames.
    """
    for step in steps:
        report(step.nfe)
        if step.batch_size:
            warn(smaller_batches(step.batch_size))
        if step.state and checkpointer:
            checkpointer.save(step.state, frames)
        if step.state and preview:
            preview.update(model, step.state, *places)
        if step.finished is not None:
            yield step.finished


def smaller_batches(size: int) -> str:
    """The warning shown when a batch ran out of memory and is retried at a smaller size."""
    return f"out of memory: going on with {size} frames at a time (--chunk {size} begins with that)"
