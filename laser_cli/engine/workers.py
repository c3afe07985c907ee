"""Threads that each run calls of a model on one core.

On CPUs a step's rows are shared out among workers of one torch thread each: two such draw more rows a second than two
OpenMP threads inside every operation, which wait for each other at the end of each, and spin while they wait.
"""

from __future__ import annotations

import ctypes
import math
import os
import sys
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

WAITING = {"OMP_WAIT_POLICY": "PASSIVE", "KMP_BLOCKTIME": "0", "GOMP_SPINCOUNT": "0"}
"""How GNU's, LLVM's and Intel's OpenMP are told to sleep, not spin, while they wait."""
AHEAD = 2
"""Calls of each worker that are under way, or done and not yet taken."""
M_MMAP_THRESHOLD, M_TRIM_THRESHOLD = -3, -1
KEPT = {M_MMAP_THRESHOLD: 2**30, M_TRIM_THRESHOLD: 2**31 - 1}
"""mallopt of glibc: blocks up to 1 GiB come from the heap, and freed memory stays the process'. Otherwise every large
tensor is mapped anew, and its pages cleared, at each operation."""


def wait_quietly() -> None:
    """Tells OpenMP to sleep while it waits, where the user has not said otherwise; works before torch is imported."""
    for name, value in WAITING.items():
        os.environ.setdefault(name, value)


def keep_freed_memory() -> None:
    """Lets glibc's allocator keep what is freed, where that is the allocator and the user has not set it up."""
    if not sys.platform.startswith("linux") or any(name.startswith("MALLOC_") for name in os.environ):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        for option, value in KEPT.items():
            mallopt(option, value)


def available_cores() -> int:
    """Cores this process may use: its affinity, and its control group's quota, rounded up."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = cgroup_quota()
    return max(1, min(cores, math.ceil(quota)) if quota else cores)


def cgroup_quota(root: Path = Path("/sys/fs/cgroup")) -> float | None:
    """Cores that the control group grants (version 2, else 1); None if it sets no limit."""
    try:
        limit, period = (root / "cpu.max").read_text().split()
    except (OSError, ValueError):
        try:
            limit, period = (
                (root / "cpu" / name).read_text().strip() for name in ("cpu.cfs_quota_us", "cpu.cfs_period_us")
            )
        except (OSError, ValueError):
            return None
    try:
        cores = int(limit) / int(period)
    except (ValueError, ZeroDivisionError):
        return None
    return cores if cores > 0 else None


class Workers:
    """``count`` threads; with one, everything runs in the caller's own thread."""

    def __init__(self, count: int = 1) -> None:
        self.count = max(1, count)
        self._pool: ThreadPoolExecutor | None = None

    def map(
        self, work: Callable[[Item], Result], items: Sequence[Item], stop: Callable[[], object] = lambda: None
    ) -> Iterator[Result]:
        """Results in the order of the items; an exception comes where its result would.

        At most AHEAD results a worker wait for the caller, so that memory does not grow with the number of items.
        A caller that stops early leaves nothing running: what has not begun is dropped, the rest is told to ``stop``
        and waited for. A single item is worked on by a worker too: how many there are does not show in the bits.
        """
        if self.count == 1:
            for item in items:
                yield work(item)
            return
        here, threads = _with_modes_of_this_thread(work), self._threads()
        waiting: deque[Future[Result]] = deque()
        try:
            for item in items:
                if len(waiting) == AHEAD * self.count:
                    yield waiting.popleft().result()
                waiting.append(threads.submit(here, item))
            while waiting:
                yield waiting.popleft().result()
        finally:
            begun = [future for future in waiting if not future.cancel()]
            if not all(future.done() for future in begun):
                stop()
            for future in begun:
                future.exception()

    def _threads(self) -> ThreadPoolExecutor:
        if self._pool is None:
            self._pool = ThreadPoolExecutor(self.count, "laser-worker", initializer=_one_torch_thread)
        return self._pool


def _one_torch_thread() -> None:
    import torch

    torch.set_num_threads(1)


def _with_modes_of_this_thread(work: Callable[[Any], Result]) -> Callable[[Any], Result]:
    """Whether gradients are recorded is a setting of each thread: the workers' is their caller's."""
    import torch

    inference, gradients = torch.is_inference_mode_enabled(), torch.is_grad_enabled()

    def run(item: Any) -> Result:
        with torch.inference_mode(inference), torch.set_grad_enabled(gradients and not inference):
            return work(item)

    return run
