"""Contact sheets: a few frames, evenly chosen, on one page with their numbers and prompts."""

import textwrap
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from laser_cli.output.fonts import Typesetter, undrawable
from laser_cli.output.frames import write_png

MARGIN = 10
TEXT_SIZE = 13
LINE = 17
CAPTION_LINES = 3
THUMB = 256  # px, the longer side
SMALLEST_THUMB = 96  # narrower cells leave no room for a caption
INK, GREY = (25, 25, 25), (90, 90, 90)


def contact_sheet(
    frames: Iterable[tuple[int, np.ndarray]], labels: Mapping[int, str] | Sequence[str] = (), columns: int = 0
) -> np.ndarray:
    """One (h, w, 3) uint8 page of (number, frame) pairs, in their order, with the number and caption under each.

    `labels`: captions by frame number, or in the order of the frames. `columns` 0: about as wide as high.
    """
    from PIL import Image, ImageDraw

    chosen = [(index, _thumb(frame)) for index, frame in frames]
    if not chosen:
        raise ValueError("a contact sheet needs at least one frame")
    captions = _captions([index for index, _ in chosen], labels)
    typesetter = Typesetter(TEXT_SIZE)
    wide = max(SMALLEST_THUMB, *(thumb.shape[1] for _, thumb in chosen))
    high = max(thumb.shape[0] for _, thumb in chosen)
    lines = [_wrap(text, typesetter, wide) for text in captions]
    cell = (wide + MARGIN, high + LINE * (1 + max(len(text) for text in lines)) + MARGIN)
    columns = min(columns or max(1, round((len(chosen) * cell[1] / cell[0]) ** 0.5)), len(chosen))
    rows = -(-len(chosen) // columns)
    page = Image.new("RGB", (columns * cell[0] + MARGIN, rows * cell[1] + MARGIN), "white")
    draw = ImageDraw.Draw(page)
    for place, ((index, thumb), caption) in enumerate(zip(chosen, lines, strict=True)):
        row, column = divmod(place, columns)
        left, top = MARGIN + column * cell[0], MARGIN + row * cell[1]
        page.paste(Image.fromarray(thumb), (left, top))
        typesetter.draw(draw, (left, top + high + 2), f"frame {index}", INK, wide)
        for number, line in enumerate(caption, start=1):
            typesetter.draw(draw, (left, top + high + 2 + number * LINE), line, GREY, wide)
    return np.array(page)


class SheetCollector:
    """Keeps at most `keep` evenly chosen frames of `count`, made small at once: memory stays flat for any number."""

    def __init__(
        self, count: int, keep: int = 12, labels: Mapping[int, str] | Sequence[str] = (), columns: int = 0
    ) -> None:
        self._labels = labels
        self._columns = columns
        self._wanted = set(np.linspace(0, count - 1, min(keep, count)).round().astype(int).tolist())
        self.kept: list[tuple[int, np.ndarray]] = []

    def add(self, index: int, frame: np.ndarray) -> None:
        """Take a frame, if it is one of the chosen."""
        if index in self._wanted:
            self.kept.append((index, _thumb(frame).copy()))

    def undrawable(self) -> list[str]:
        """Words of the captions that no font of this system can draw."""
        labels = self._labels if isinstance(self._labels, Mapping) else dict(enumerate(self._labels))
        return undrawable(labels.get(index, "") for index, _ in self.kept)

    def save(self, path: Path, record: Mapping[str, Any] | None = None) -> None:
        """Write the sheet as a PNG with the record inside."""
        # labels by position speak of all frames, so that they are looked up by number
        by_number = self._labels if isinstance(self._labels, Mapping) else dict(enumerate(self._labels))
        write_png(path, contact_sheet(self.kept, by_number, self._columns), record)


def _thumb(frame: np.ndarray) -> np.ndarray:
    from PIL import Image

    height, width = frame.shape[:2]
    scale = THUMB / max(height, width)
    if scale >= 1:
        return frame
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.array(Image.fromarray(frame).resize(size, Image.Resampling.LANCZOS))


def _captions(numbers: Sequence[int], labels: Mapping[int, str] | Sequence[str]) -> list[str]:
    if isinstance(labels, Mapping):
        return [labels.get(number, "") for number in numbers]
    return [labels[place] if place < len(labels) else "" for place in range(len(numbers))]


def _wrap(text: str, typesetter: Typesetter, width: int) -> list[str]:
    """At most three lines that fit `width` px; what is left out shows as an ellipsis."""
    letters = max(4, int(width / max(typesetter.length("n"), 1)))
    # the mean letter is narrower or wider than an n: shorten until it fits
    while True:
        lines = textwrap.wrap(text, letters, max_lines=CAPTION_LINES, placeholder=" ...")
        if letters <= 4 or all(typesetter.length(line) <= width for line in lines):
            return lines
        letters -= 1
