"""Going on with a broken render: what was drawn so far, kept in a file beside the output and loaded again."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from laser_cli.engine.between import Bridge
from laser_cli.engine.render import Between, State

FORMAT = "laser-render-2"
EVERY = 10.0
"""Seconds between two savings: what a kill can cost at most, beside one step."""


@dataclass(frozen=True)
class Saved:
    """When a render's frames are and what is bridged, as drafts had measured; and how far it got, if it had begun."""

    frames: list[Between]
    bridges: list[Bridge]
    state: State | None


class Keeper:
    """Saves a render's state every few seconds under ``path``; ``fingerprint`` tells whose it is."""

    def __init__(self, path: Path, fingerprint: str, clock: Callable[[], float] = time.monotonic) -> None:
        self.path, self.fingerprint, self.clock = path, fingerprint, clock
        self.last = clock()

    def load(self, device: torch.device, frames: int) -> Saved | None:
        """What was saved of this very render; None if there is nothing, or it is another's or damaged."""
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(self.path, "pt", device=str(device)) as file:
                about = file.metadata() or {}
                tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        except (OSError, SafetensorError):
            return None
        if about.get("format") != FORMAT or about.get("fingerprint") != self.fingerprint:
            return None
        if not {"times", "ends", "bridges"} <= tensors.keys() or len(tensors["times"]) != frames:
            return None
        times, ends, bridges = (tensors[key].tolist() for key in ("times", "ends", "bridges"))
        state = State(int(about["done"]), tensors["anchors"], tensors["frames"]) if "anchors" in tensors else None
        between = [Between(end, t) for end, t in zip(ends, times, strict=True)]
        return Saved(between, [Bridge(*bridge) for bridge in bridges], state)

    def keep(self, state: State | None, frames: Sequence[Between], bridges: Sequence[Bridge] = ()) -> None:
        """Saves, if the last time is long enough ago; a kill leaves the old file or the new one.

        Without a state: when the frames are, before the first step.
        """
        if self.clock() - self.last < EVERY:
            return
        from safetensors.torch import save_file

        from laser_cli.output.atomic import staged

        tensors = {
            "times": torch.tensor([f.t for f in frames], dtype=torch.float64),
            "ends": torch.tensor([f.end for f in frames], dtype=torch.int64),
            "bridges": torch.tensor([(b.first, b.last, b.step) for b in bridges], dtype=torch.int64).view(-1, 3),
        }
        if state:
            tensors |= {"anchors": state.anchors.cpu().contiguous(), "frames": state.frames.cpu().contiguous()}
        about = {"format": FORMAT, "fingerprint": self.fingerprint, "done": str(state.done if state else 0)}
        with staged(self.path) as part:
            save_file(tensors, part, metadata=about)
        self.last = self.clock()

    def forget(self) -> None:
        """Removes what was saved: the render is done."""
        self.path.unlink(missing_ok=True)
