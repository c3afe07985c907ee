"""Text of every script in pictures: the default font, and the system's own where that lacks a letter.

Pillow's Raqm layout shapes Arabic and Devanagari and orders what runs from right to left, where Pillow has it.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import unicodedata
from collections.abc import Iterable, Iterator
from functools import cache, lru_cache
from itertools import groupby
from typing import TYPE_CHECKING, Any

from laser_cli.terminal import printable

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageDraw import ImageDraw

EMOJI_SIZE = 109  # px: the one size of Noto's coloured bitmaps
# fonts that systems come with, by the names of their files; Pillow looks for them where each system keeps its fonts
SYSTEM_FONTS = {
    "darwin": (
        *("Helvetica.ttc", "Arial Unicode.ttf", "PingFang.ttc", "Hiragino Sans GB.ttc", "AppleSDGothicNeo.ttc"),
        *("GeezaPro.ttc", "Kohinoor.ttc", "Apple Color Emoji.ttc"),
    ),
    "win32": (
        *("segoeui.ttf", "msyh.ttc", "YuGothM.ttc", "malgun.ttf", "Nirmala.ttc", "Nirmala.ttf", "arial.ttf"),
        *("seguiemj.ttf", "seguisym.ttf"),
    ),
    "linux": (
        *("DejaVuSans.ttf", "NotoSans-Regular.ttf", "NotoSansCJK-Regular.ttc", "wqy-microhei.ttc", "FreeSans.ttf"),
        *("NotoSansArabic-Regular.ttf", "NotoSansHebrew-Regular.ttf", "NotoSansDevanagari-Regular.ttf"),
        *("Lohit-Devanagari.ttf", "NotoColorEmoji.ttf", "unifont.ttf"),
    ),
}


class Face:
    """One font at one size; coloured bitmaps come in a size of their own and are scaled."""

    def __init__(self, font: Any, size: int) -> None:
        self._font = font
        self._scale = size / font.size if font.size != size else 1.0

    def length(self, text: str) -> float:
        """Width of a text in px."""
        return float(self._font.getlength(text)) * self._scale

    def draw(self, page: Image, place: tuple[float, float], text: str, fill: tuple[int, int, int]) -> None:
        """Draw a text, its top left at `place`."""
        from PIL import Image, ImageDraw

        if self._scale == 1.0:
            ImageDraw.Draw(page).text(place, text, fill=fill, font=self._font, embedded_color=True)
            return
        wide, high = max(1, round(self._font.getlength(text))), round(self._font.size * 1.2)
        big = Image.new("RGBA", (wide, high), (255, 255, 255, 0))
        ImageDraw.Draw(big).text((0, 0), text, fill=fill, font=self._font, embedded_color=True)
        small = big.resize((max(1, round(wide * self._scale)), max(1, round(high * self._scale))))
        page.paste(small, (round(place[0]), round(place[1])), small)

    def covers(self, letter: str) -> bool:
        """Whether the font has a letter; its sign for missing ones shows that it has not."""
        mask, missing = self._mask(letter), self._mask("\U0010ffff")
        return mask is not None and mask != missing

    @lru_cache(maxsize=4096)  # noqa: B019 (faces live as long as the process)
    def _mask(self, letter: str) -> tuple[tuple[int, int], bytes] | None:
        try:
            mask = self._font.getmask(letter)
        except (OSError, ValueError):
            return None
        return mask.size, bytes(mask)


class Typesetter:
    """Measures and draws lines of text of `size` px; each run of letters in the first font that has them."""

    def __init__(self, size: int) -> None:
        self._size = size

    def length(self, text: str) -> float:
        """Width of a line in px."""
        return sum(face.length(run) for face, run in self._runs(text))

    def draw(
        self, draw: ImageDraw, place: tuple[float, float], text: str, fill: tuple[int, int, int], wide: int
    ) -> None:
        """Draw a line at `place` (left, top) in so many px; what reads from right to left stands at the right."""
        left, top = place
        runs = list(self._runs(text))
        if _reads_leftwards(text):
            left += max(0.0, wide - self.length(text))
            runs.reverse()
        for face, run in runs:
            face.draw(draw._image, (left, top), run, fill)
            left += face.length(run)

    def _runs(self, text: str) -> Iterator[tuple[Face, str]]:
        """The parts of a line and their fonts, in the order of reading."""
        text = printable(text)
        whole = next(
            (face for face in _known_faces(self._size) if all(map(face.covers, filter(_has_shape, text)))), None
        )
        if whole is not None:
            yield whole, text
            return
        chosen: list[Face] = []
        for letter in text:
            # marks and joiners belong to the letter before them, spaces to no run that is turned round
            sticks = not _has_shape(letter) and not letter.isspace() and chosen
            chosen.append(chosen[-1] if sticks else _face_of(letter, self._size) or _default(self._size))
        for face, letters in groupby(zip(chosen, text, strict=True), key=lambda pair: pair[0]):
            yield face, "".join(letter for _, letter in letters)


def undrawable(texts: Iterable[str]) -> list[str]:
    """Words that no font of this system can draw, each once."""
    words = dict.fromkeys(word for text in texts for word in printable(text).split())
    return [word for word in words if any(_face_of(letter, 13) is None for letter in word if _has_shape(letter))]


def _has_shape(letter: str) -> bool:
    """Whether a letter has to be in a font: spaces, marks, joiners and variation selectors need not."""
    return unicodedata.category(letter)[0] not in "ZMC"


def _reads_leftwards(text: str) -> bool:
    """Whether the first letter that has a direction is one of a script written from right to left."""
    directions = (unicodedata.bidirectional(letter) for letter in text)
    return next((d in ("R", "AL") for d in directions if d in ("L", "R", "AL")), False)


@cache
def _default(size: int) -> Face:
    from PIL import ImageFont

    return Face(ImageFont.load_default(size), size)


@cache
def _system_face(name: str, size: int) -> Face | None:
    from PIL import ImageFont

    for wanted in (size, EMOJI_SIZE):
        try:
            return Face(ImageFont.truetype(name, wanted), size)
        except OSError:  # it is not there, or not in this size
            continue
    return None


def _known_faces(size: int) -> list[Face]:
    """The default font, and those that letters were found in so far."""
    return [_default(size), *_found.get(size, [])]


@cache
def _face_of(letter: str, size: int) -> Face | None:
    """The first font that has a letter: the default, the system's usual ones, then whichever fontconfig names."""
    faces = _found.setdefault(size, [])
    for face in _known_faces(size):
        if face.covers(letter):
            return face
    for name in (*system_fonts(), *_by_fontconfig(letter)):
        system = _system_face(name, size)
        if system is not None and system.covers(letter):
            if system not in faces:
                faces.append(system)
            return system
    return None


_found: dict[int, list[Face]] = {}


def system_fonts() -> tuple[str, ...]:
    """The names of the fonts that this system usually has."""
    return SYSTEM_FONTS.get(sys.platform, SYSTEM_FONTS["linux"])


def _by_fontconfig(letter: str) -> list[str]:
    """The files of fonts that have a letter, as fontconfig knows them; none where there is no fontconfig."""
    if shutil.which("fc-list") is None:
        return []
    command = ["fc-list", "--format", "%{file}\\n", f":charset={ord(letter):x}"]
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return []
    return sorted(set(done.stdout.decode("utf-8", "replace").splitlines()))
