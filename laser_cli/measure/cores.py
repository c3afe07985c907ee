"""How a CPU's cores are used: one worker a core beside spinning OpenMP threads, and two runs side by side.

Each run is a process of its own, ``python -m laser_cli.measure.cores MODEL FRAMES STEPS WORKERS``: it says when it is
ready, renders when it is told to, and prints the seconds.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch

from laser_cli.engine.workers import WAITING, Workers, wait_quietly
from laser_cli.measure.figures import Figure
from laser_cli.models.model import Model

SPINNING = {"OMP_WAIT_POLICY": "ACTIVE", "KMP_BLOCKTIME": "infinite"}
Say = Callable[[str], object]


def cores(model: Model, frames: int = 24, steps: int = 8, say: Say = lambda text: None) -> list[Figure]:
    """Rendering in several processes; nothing where the model is not drawn by several workers."""
    if model.workers.count < 2:
        return []
    told = {}
    for name, count, spinning in (("ours", 1, False), ("spinning", 1, True), ("beside", 2, False)):
        say(f"cores: {count} {'run' if count == 1 else 'runs'}{', spinning threads' if spinning else ''}")
        told[name] = _seconds(model, frames, steps, count, spinning)
    return [
        Figure("rendering, one worker a core / spinning OpenMP threads", told["ours"] / told["spinning"], "x", 1.0),
        Figure("two renderings side by side / one after the other", told["beside"] / (2 * told["ours"]), "x", 1.3),
        Figure("workers", model.workers.count),
    ]


def _seconds(model: Model, frames: int, steps: int, count: int, spinning: bool) -> float:
    """From the beginning to the end of so many renderings at the same time."""
    workers = 1 if spinning else model.workers.count
    call = [sys.executable, "-m", __name__, model.name, str(frames), str(steps), str(workers)]
    quiet = {name: value for name, value in os.environ.items() if name not in WAITING}
    with _processes(call, {**quiet, **(SPINNING if spinning else WAITING)}, count) as processes:
        for process in processes:
            process.stdout.readline()
        start = time.perf_counter()
        for process in processes:
            process.stdin.write("\n")
            process.stdin.flush()
        for process in processes:
            process.stdout.readline()
        return time.perf_counter() - start


@contextmanager
def _processes(call: list[str], environment: dict[str, str], count: int) -> Iterator[list[Any]]:
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "env": environment}
    processes = [subprocess.Popen(call, **pipes) for _ in range(count)]
    try:
        yield processes
    finally:
        for process in processes:
            process.kill()
            process.communicate()


def _main(name: str, frames: int, steps: int, workers: int) -> None:
    """Renders once when a line comes in, and says so before and after."""
    from laser_cli.measure.speed import prepared, rendered
    from laser_cli.models.load import load_model

    model = load_model(name, "cpu")
    model.workers = Workers(workers)
    work = prepared(model, frames, steps)
    rendered(model, *prepared(model, 3, 1))  # so that nothing is made for the first time when it counts
    print("ready", flush=True)
    sys.stdin.readline()
    rendered(model, *work)
    print("done", flush=True)


if __name__ == "__main__":
    wait_quietly()
    with torch.inference_mode():
        _main(sys.argv[1], *(int(number) for number in sys.argv[2:]))
