"""Models that stay loaded while memory allows, and how much of it there is: measured, not guessed."""

from __future__ import annotations

import gc
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

from laser_cli.jobs.settings import ModelChoice

if TYPE_CHECKING:
    from laser_cli.jobs.progress import Progress
    from laser_cli.models.model import Model

SPARE = 1.2
"""How much more memory than what was measured has to be free before more of the same is begun."""


class Models:
    """The models of a station, by all that decides what they are; the ones used last stay while memory allows."""

    def __init__(self, threads: int | None = None) -> None:
        self.threads = threads
        self._loaded: dict[str, Model] = {}
        self._taken: dict[str, float] = {}

    def get(self, settings: ModelChoice, progress: Progress) -> Model:
        """The model that settings name; loaded if it is not there yet."""
        from laser_cli.jobs.run import load

        key = json.dumps(settings.model_dump(mode="json", include=set(ModelChoice.model_fields)), sort_keys=True)
        model = self._loaded.pop(key, None)
        if model is None:
            self._make_room()
            before = used_mib()
            model = load(settings, progress, self.threads)
            self._taken[key] = used_mib() - before
        self._loaded[key] = model  # the last one used is the last one to go
        return model

    def free(self) -> None:
        """Give up all models, and the memory that the device's allocator keeps."""
        self._loaded.clear()
        self._taken.clear()
        _collect()

    def peak_mib(self) -> int:
        """The most memory that this process has taken so far, on the device of its models."""
        from laser_cli.measure.memory import peak_mib

        return round(max((peak_mib(model.device) for model in self._loaded.values()), default=0))

    def _make_room(self) -> None:
        """Give up the models used longest ago until another as large as the largest so far would fit."""
        while self._loaded and free_mib() < SPARE * max(self._taken.values(), default=0):
            oldest = next(iter(self._loaded))
            del self._loaded[oldest]
            self._taken.pop(oldest, None)
            _collect()


def _collect() -> None:
    import torch

    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def used_mib() -> float:
    """Memory that this process holds now: the card's where there is one, else resident."""
    import psutil
    import torch

    if torch.cuda.is_available():
        return torch.cuda.memory_allocated() / 2**20
    return float(psutil.Process().memory_info().rss) / 2**20


def free_mib() -> float:
    """Memory that another model could take here: the card's where there is one, else the machine's."""
    import torch

    if torch.cuda.is_available():
        return torch.cuda.mem_get_info()[0] / 2**20
    return machine_free_mib()


def machine_free_mib(root: Path = Path("/sys/fs/cgroup")) -> float:
    """Memory of the machine that is free, or what the control group leaves of it (version 2, else 1)."""
    import psutil

    free = float(psutil.virtual_memory().available)
    for limit, current, told, idle in (
        ("memory.max", "memory.current", "memory.stat", "inactive_file"),
        ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes", "memory/memory.stat", "total_inactive_file"),
    ):
        try:
            left = int((root / limit).read_text()) - int((root / current).read_text())
            cached = re.search(rf"^{idle} (\d+)$", (root / told).read_text(), re.MULTILINE)
            free = min(free, left + (int(cached[1]) if cached else 0))  # files in memory make room when it is needed
            break
        except (OSError, ValueError):  # "max": no limit
            continue
    return max(free, 0.0) / 2**20
