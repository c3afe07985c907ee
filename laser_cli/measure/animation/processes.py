"""Edits measured side by side: on a CPU each core draws edits of its own, in a process of its own.

Two workers inside one model wait for each other at every step; two processes do not.
"""

from __future__ import annotations

import multiprocessing
import os
import pickle
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing.connection import wait
from typing import TYPE_CHECKING

from laser_cli.jobs.settings import ModelChoice

if TYPE_CHECKING:
    from laser_cli.measure.animation.bench import Drawn, Measure
    from laser_cli.measure.animation.edits import Edit

_draw: Callable[[Edit], Drawn]
"""What a process measures an edit by; set where it begins."""


def side_by_side(
    choice: ModelChoice, distance: str, how: Measure, edits: Sequence[Edit], count: int, pictures: bool = True
) -> Iterator[Drawn]:
    """Every edit in order, of which ``count`` processes measure one each at a time, on the CPU.

    ``distance`` is its full name (settings.distance). Without ``pictures`` only plans and scores come back.
    """
    context = multiprocessing.get_context("spawn")
    begin = (choice, distance, how)
    with ProcessPoolExecutor(min(count, len(edits)), context, initializer=_begin, initargs=begin) as pool:
        try:
            for done in pool.map(_measured, edits, [pictures] * len(edits)):
                yield pickle.loads(done)
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _begin(choice: ModelChoice, name: str, how: Measure) -> None:
    """A process loads what it draws with."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    from laser_cli.jobs.run import load
    from laser_cli.measure.animation.bench import drawn, needed_classifier
    from laser_cli.stages.distances import at_first_use

    global _draw
    model, classifier = load(choice, threads=1), needed_classifier()
    distance = at_first_use(name, model)
    _draw = lambda edit: drawn(model, classifier, distance, how, edit)  # noqa: E731


def _end_with_parent() -> None:
    """A process whose parent was killed would wait for its next edit for ever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)


def _measured(edit: Edit, pictures: bool) -> bytes:
    """An edit's pictures and scores, pickled by value: tensors that are sent themselves are files of their sender."""
    from dataclasses import replace

    done = _draw(edit)
    return pickle.dumps(done if pictures else replace(done, pictures={}))
