"""Checkpoints of a render: what was rendered so far, kept in a file beside the output and loaded to go on from."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import torch

from laser_cli.engine.spec import Arc, Frame, RenderState
from laser_cli.errors import parsing

FORMAT = "laser-render-3"
EVERY = 10.0
"""Seconds between checkpoints; a kill loses at most this and one step."""


@dataclass(frozen=True)
class Checkpoint:
    """When a render's frames are, as drafts had measured; and its state, if it had begun."""

    frames: list[Frame]
    state: RenderState | None


class Checkpointer:
    """Saves a render's state every few seconds under ``path``; ``fingerprint`` tells whose it is."""

    def __init__(
        self,
        path: Path,
        fingerprint: str,
        clock: Callable[[], float] = time.monotonic,
        aside: Callable[[str], AbstractContextManager[None]] = lambda what: nullcontext(),
    ) -> None:
        """``aside`` is entered around what may fail without harm to the render: saving and removing."""
        self.path, self.fingerprint, self.clock, self.aside = path, fingerprint, clock, aside
        self.last = clock()

    def load(self, device: torch.device, frames: int) -> Checkpoint | None:
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
        if not {"times", "places"} <= tensors.keys() or len(tensors["times"]) != frames:
            return None
        told = zip(tensors["times"].tolist(), tensors["places"].tolist(), strict=True)
        laid = [_frame(t, share, *places) for (t, share), places in told]
        if "keyframes" not in tensors:
            return Checkpoint(laid, None)
        return Checkpoint(laid, RenderState(int(about["done"]), tensors["keyframes"], tensors["frames"]))

    def save(self, state: RenderState | None, frames: Sequence[Frame]) -> None:
        """Saves, if the last time is long enough ago; a kill leaves the old file or the new one.

        Without a state: when the frames are, before the first step.
        """
        if self.clock() - self.last < EVERY:
            return
        from safetensors.torch import save_file

        from laser_cli.output.atomic import staged

        tensors = {
            "times": torch.tensor([(f.t, f.arc.share if f.arc else -1.0) for f in frames], dtype=torch.float64),
            "places": torch.tensor([_places(f) for f in frames], dtype=torch.int64).view(-1, 4),
        }
        if state:
            tensors |= {"keyframes": state.keyframes.cpu().contiguous(), "frames": state.frames.cpu().contiguous()}
        about = {"format": FORMAT, "fingerprint": self.fingerprint, "done": str(state.done if state else 0)}
        self.last = self.clock()
        with self.aside("the checkpoint"), parsing(f"cannot write {self.path.name}"), staged(self.path) as part:
            save_file(tensors, part, metadata=about)

    def discard(self) -> None:
        """Removes the checkpoint: the render is done."""
        with self.aside("the end of the checkpoint"):
            self.path.unlink(missing_ok=True)


def _places(frame: Frame) -> tuple[int, int, int, int]:
    """Segment, step and neighbours of a frame as whole numbers; -1 is a keyframe, or none."""
    ends = (frame.arc.left, frame.arc.right) if frame.arc else (None, None)
    left, right = (-1 if end is None else end for end in ends)
    return frame.segment, frame.start_step, left, right


def _frame(t: float, share: float, segment: int, start_step: int, left: int, right: int) -> Frame:
    begin, end = (None if index < 0 else index for index in (left, right))
    return Frame(segment, t, start_step, Arc(begin, end, share) if share >= 0 else None)
