"""How a training process uses the machine: memory kept by the allocator, and work that stands back for others."""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import torch

_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD = -1, -2, -3  # malloc.h


def keep_memory() -> None:
    """Make glibc keep freed memory: large tensors that are mapped anew fault in page by page, a sixth of a step."""
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_MMAP_THRESHOLD, 1 << 30)
        mallopt(_TRIM_THRESHOLD, (1 << 31) - 1)
        mallopt(_TOP_PAD, 1 << 28)


def stand_back() -> None:
    """One thread, and only when no other process wants the core (SCHED_IDLE, where the system has it)."""
    torch.set_num_threads(1)
    if hasattr(os, "SCHED_IDLE"):
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    else:
        os.nice(19)


@contextmanager
def threads(count: int) -> Iterator[None]:
    """So many threads in each operation of the calling thread, for as long as nothing else works."""
    before = torch.get_num_threads()
    torch.set_num_threads(max(count, before))
    try:
        yield
    finally:
        torch.set_num_threads(before)
