"""How frames are shown: speed, loops, to and fro, holds, quality; and the player that puts frames in that order."""

import math
import re
import tempfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from laser_cli.errors import UsageError

Palette = Literal["global", "per-frame"]
Codec = Literal["vp9", "av1"]
Loop = int | Literal["forever"] | None
MOST_LOOPS = 65_535  # what a gif can count to


@dataclass(frozen=True)
class Look:
    """The viewer's side of an animation; UsageError for what no format can show.

    `loop`: shown so many times in all, "forever", or once (None). mp4, webm and streams have no loop flag: a number
    repeats the content there, "forever" and None are one pass. `bounce`: there and back again. `hold_first`,
    `hold_last`: so many seconds longer. `quality` 0 to 100, webp lossless at 100, gif, apng and png without it. `codec`
    is a webm's. `still`: the number of the one frame that a png shows, from the end if negative. `audio`: the file of a
    video's sound, which begins at its second `audio_from`, or so much later if that is negative.
    """

    fps: float = 12.0
    loop: Loop = "forever"
    bounce: bool = False
    hold_first: float = 0.0
    hold_last: float = 0.0
    quality: int = 80
    palette: Palette = "global"
    codec: Codec = "vp9"
    still: int = -1
    audio: Path | None = None
    audio_from: float = 0.0

    def __post_init__(self) -> None:
        if not (math.isfinite(self.fps) and self.fps > 0):
            raise UsageError(f"cannot show {self.fps:g} frames a second", hint="a number above 0")
        if self.loop not in ("forever", None) and not (isinstance(self.loop, int) and 1 <= self.loop <= MOST_LOOPS):
            raise UsageError(f"cannot loop {self.loop} times", hint=f"1 to {MOST_LOOPS}, forever or none")
        if not all(math.isfinite(hold) and hold >= 0 for hold in (self.hold_first, self.hold_last)):
            raise UsageError("cannot hold a frame for less than no time", hint="seconds, 0 or more")
        if not 0 <= self.quality <= 100:
            raise UsageError(f"there is no quality {self.quality}", hint="0 to 100")

    @property
    def plays(self) -> int:
        """How many times a format with a loop flag shows it; 0 is for ever."""
        return 0 if self.loop == "forever" else self.loop or 1

    @property
    def passes(self) -> int:
        """How many times a format without a loop flag holds it."""
        return self.loop if isinstance(self.loop, int) else 1

    @property
    def held(self) -> tuple[int, int]:
        """How many more frames the first and the last one stand."""
        return round(self.hold_first * self.fps), round(self.hold_last * self.fps)

    def picked(self, count: int) -> int:
        """The index of the frame that a still of `count` frames shows; UsageError if there is none."""
        if not -count <= self.still < count:
            raise UsageError(f"there is no frame {self.still} of {count}", hint=f"--still {-count} to {count - 1}")
        return self.still % count

    def shown(self, count: int) -> int:
        """The number of frames in one pass over `count` distinct ones."""
        return count + sum(self.held) + (max(count - 2, 0) if self.bounce else 0)


def parse_fps(text: str) -> float:
    """Frames a second as `--fps` takes them: 24, 29.97 or the ratio 30000/1001."""
    number = re.compile(r"\d{1,9}(\.\d{1,9})?")
    top, slash, bottom = text.strip().partition("/")
    parts = [part.strip() for part in (top, bottom if slash else "1")]
    if not text.isascii() or not all(number.fullmatch(part) for part in parts) or float(parts[1]) == 0:
        raise UsageError(f"cannot show {text!r} frames a second", hint="a number such as 24, or a ratio: 30000/1001")
    return float(parts[0]) / float(parts[1])


class Player:
    """Takes each distinct frame once and shows frames + frames[-2:0:-1], first and last held, `passes` times over.

    The first showing is passed on at once; what comes again is kept in a compressed file in `folder`, not in memory.
    """

    def __init__(self, show: Callable[[np.ndarray], None], look: Look, passes: int, folder: Path | None = None) -> None:
        self._show = show
        self._look = look
        self._passes = passes
        self._again = Spool(folder) if look.bounce or passes > 1 else None
        self._last: np.ndarray | None = None

    def add(self, frame: np.ndarray) -> None:
        """Show one more frame."""
        self._repeat(frame, 1 if self._last is not None else 1 + self._look.held[0])
        self._last = frame.copy()  # the renderer may use its buffer again
        if self._again is not None:
            self._again.add(frame)

    def finish(self) -> None:
        """No more frames: hold the last one, go back, begin again."""
        if self._last is None:
            return
        first_held, last_held = self._look.held
        self._repeat(self._last, last_held)
        if self._again is None:
            return
        count = len(self._again)
        for turn in range(self._passes):
            if turn:
                for index in range(count):
                    # a single frame is the first and the last one
                    times = 1 + first_held * (index == 0) + last_held * (index == count - 1)
                    self._repeat(self._again.get(index), times)
            if self._look.bounce:
                for index in range(count - 2, 0, -1):
                    self._show(self._again.get(index))

    def close(self) -> None:
        """Let go of the temporary file."""
        if self._again is not None:
            self._again.close()

    def _repeat(self, frame: np.ndarray, times: int) -> None:
        for _ in range(times):
            self._show(frame)


class Spool:
    """Frames in a nameless temporary file, lossless, to be had again in any order."""

    def __init__(self, folder: Path | None = None) -> None:
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 (close is ours)
        self._places: list[tuple[int, int]] = []
        self._shape: tuple[int, ...] = ()
        self._end = 0

    def __len__(self) -> int:
        return len(self._places)

    def add(self, frame: np.ndarray) -> None:
        """Keep a uint8 frame; all have one shape."""
        data = zlib.compress(frame.tobytes(), 1)
        self._shape = frame.shape
        self._file.seek(self._end)
        self._file.write(data)
        self._places.append((self._end, len(data)))
        self._end += len(data)

    def get(self, index: int) -> np.ndarray:
        """The frame that was added as number `index`."""
        start, length = self._places[index]
        self._file.seek(start)
        return np.frombuffer(zlib.decompress(self._file.read(length)), np.uint8).reshape(self._shape)

    def close(self) -> None:
        """Remove the file."""
        self._file.close()
