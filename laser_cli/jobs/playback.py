"""How frames are shown: the settings of the viewer's side."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from laser_cli.errors import LaserError
from laser_cli.jobs.fields import PLAYING, Settings, setting

MOST_FRAMES = 100_000


def _loop(value: Any) -> Any:
    """`--loop 3` and a YAML `none` are text; both spellings mean the same."""
    return int(value) if isinstance(value, str) and value.isdecimal() and value.isascii() and len(value) < 9 else value


def _fps(value: Any) -> Any:
    """`--fps 30000/1001` and a YAML `24` are numbers all the same."""
    from laser_cli.output.look import parse_fps

    if not isinstance(value, str):
        return value
    try:
        return parse_fps(value)
    except LaserError as error:
        raise ValueError("should be a number or a ratio: 24, 29.97 or 30000/1001") from error


Times = Annotated[int, Field(ge=1, le=65_535)]


class Playback(Settings):
    """The viewer's side."""

    fps: Annotated[float, BeforeValidator(_fps)] = setting(
        12.0, PLAYING, "Frames a second, also as a ratio. (default: {default})", metavar="N|N/M", ge=0.1, le=240
    )
    loop: Annotated[Times | Literal["forever", "none"], BeforeValidator(_loop)] = setting(
        "forever",
        PLAYING,
        "forever (default), none, or how often it is shown.",
        metavar="N|forever|none",
        complete="loops",
    )
    bounce: bool = setting(False, PLAYING, "There and back again.")
    hold_first: float = setting(0.0, PLAYING, "Show the first frame so many seconds longer.", ge=0, le=3600)
    hold_last: float = setting(0.0, PLAYING, "Show the last frame so many seconds longer.", ge=0, le=3600)
    quality: int = setting(
        80, PLAYING, "Of mp4, webm and webp; webp is lossless at 100. (default: {default})", ge=0, le=100
    )
    palette: Literal["global", "per-frame"] = setting(
        "global", PLAYING, "Of a gif: one for all frames (global, default), or one each."
    )
    codec: Literal["vp9", "av1"] = setting(
        "vp9", PLAYING, "Of a webm: vp9 (default), or av1: smaller, slower; laser doctor tells if it is there."
    )
    still: int = setting(
        -1,
        PLAYING,
        "Which frame a .png is, from 0, or from the end if negative. (default: {default}, the last)",
        metavar="N",
        ge=-MOST_FRAMES,
        le=MOST_FRAMES - 1,
    )
