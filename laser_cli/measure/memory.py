"""Peak memory of short and long work, each in a process of its own.

A module that measures itself so calls ``main`` when it is run: ``python -m MODULE MODEL FRAMES``.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable

import torch

from laser_cli.measure.figures import Figure
from laser_cli.models.load import load_model
from laser_cli.models.model import Model


def memory(
    module: str, model: str, say: Callable[[str], object] = lambda text: None, short: int = 50, long: int = 1000
) -> list[Figure]:
    """Peak memory of a module's work at two numbers of frames, and their ratio."""
    peaks = []
    for frames in (short, long):
        say(f"memory at {frames:,} frames")
        told = subprocess.run(
            [sys.executable, "-m", module, model, str(frames)], stdout=subprocess.PIPE, check=True, text=True
        )
        peaks.append(json.loads(told.stdout)["peak_mib"])
    return [
        Figure(f"peak memory at {long:,} frames / at {short}", peaks[1] / peaks[0], "x", 1.1),
        Figure(f"peak memory at {short} frames", peaks[0], "MiB"),
        Figure(f"peak memory at {long:,} frames", peaks[1], "MiB"),
    ]


def main(work: Callable[[Model, int], object]) -> None:
    """Does the work that the command line names (a model, a number of frames) and prints its peak."""
    model = load_model(sys.argv[1])
    work(model, int(sys.argv[2]))
    print(json.dumps({"peak_mib": peak_mib(model.device)}))


def peak_mib(device: torch.device) -> float:
    """This process' peak memory in MiB: the card's where there is one, else resident."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    import resource  # not on Windows

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)
