"""Going on with a broken render: what was drawn so far, kept in a file beside the output and loaded again."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from laser_cli.engine.render import Score, State

FORMAT = "laser-render-1"
EVERY = 10.0
"""Seconds between two savings: what a kill can cost at most, beside one step."""


@dataclass(frozen=True)
class Saved:
    """A render's state with the times of its frames, which a draft had measured."""

    state: State
    times: Sequence[float]

    def timed(self, score: Score) -> Score:
        """The score with these times in place of its own."""
        return replace(score, frames=[replace(f, t=t) for f, t in zip(score.frames, self.times, strict=True)])


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
        if tensors.keys() != {"anchors", "frames", "times"} or len(tensors["frames"]) != frames:
            return None
        state = State(int(about["done"]), tensors["anchors"], tensors["frames"])
        return Saved(state, tensors["times"].tolist())

    def keep(self, state: State, score: Score) -> None:
        """Saves, if the last time is long enough ago; a kill leaves the old file or the new one."""
        if self.clock() - self.last < EVERY:
            return
        from safetensors.torch import save_file

        from laser_cli.output.atomic import staged

        tensors = {
            "anchors": state.anchors.cpu().contiguous(),
            "frames": state.frames.cpu().contiguous(),
            "times": torch.tensor([f.t for f in score.frames], dtype=torch.float64),
        }
        about = {"format": FORMAT, "fingerprint": self.fingerprint, "done": str(state.done)}
        with staged(self.path) as part:
            save_file(tensors, part, metadata=about)
        self.last = self.clock()

    def forget(self) -> None:
        """Removes what was saved: the render is done."""
        self.path.unlink(missing_ok=True)
