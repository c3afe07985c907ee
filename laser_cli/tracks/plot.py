"""A face track as a picture: its liveliest columns over time."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from laser_cli.tracks.names import ANGLES, PLACE
from laser_cli.tracks.schema import FaceTrack

PANELS = {
    "mouth": lambda name: name.startswith(("mouth", "jaw", "tongue", "cheek")),
    "eyes and brows": lambda name: name.startswith(("eye", "brow", "nose")),
    "head, degrees": lambda name: name in ANGLES,
    "place, centimetres": lambda name: name in PLACE,
}
MOST = 6
"""Columns in a panel: those that move most."""
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
"""Okabe and Ito's, told apart by most eyes."""
SMOOTHNESS = 2
"""Drawn this many times larger and brought down, so that lines are smooth."""
WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = (SMOOTHNESS * side for side in (1000, 240, 56, 200, 30, 30))


def plot_track(track: FaceTrack) -> Image.Image:
    """The track's panels under one another, time in seconds along the bottom."""
    chosen = {title: _liveliest(track, [n for n in track.columns if has(n)]) for title, has in PANELS.items()}
    panels = [(title, names) for title, names in chosen.items() if names]
    picture = Image.new("RGB", (WIDTH, HEIGHT * len(panels)), "white")
    for number, (title, names) in enumerate(panels):
        _panel(ImageDraw.Draw(picture), number * HEIGHT, title, names, track)
    return picture.resize((WIDTH // SMOOTHNESS, picture.height // SMOOTHNESS), Image.Resampling.LANCZOS)


def _liveliest(track: FaceTrack, names: Sequence[str]) -> list[str]:
    moves = {name: float(np.ptp(track[name])) for name in names}
    most = sorted(names, key=lambda name: -moves[name])[:MOST]
    return [name for name in names if name in most]


def _panel(draw: ImageDraw.ImageDraw, top: int, title: str, names: Sequence[str], track: FaceTrack) -> None:
    font = ImageFont.load_default(13 * SMOOTHNESS)
    values = np.stack([track[name] for name in names])
    low, high = (0.0, 1.0) if title in ("mouth", "eyes and brows") else _bounds(values)
    right, up, down = WIDTH - RIGHT, top + TOP, top + HEIGHT - BOTTOM
    duration = max(track.duration, 1 / track.fps)

    def x(seconds: float) -> float:
        return LEFT + seconds / duration * (right - LEFT)

    def y(value: float) -> float:
        return down - (value - low) / (high - low) * (down - up)

    draw.text((LEFT, top + 8 * SMOOTHNESS), title, fill="black", font=font)
    for value in np.linspace(low, high, 5).tolist():
        draw.line([(LEFT, y(value)), (right, y(value))], fill="#dddddd", width=SMOOTHNESS)
        draw.text((LEFT - 8 * SMOOTHNESS, y(value)), f"{value:g}", fill="#555555", font=font, anchor="rm")
    for seconds in np.arange(0, duration + 1e-9, _step(duration)).tolist():
        draw.text((x(seconds), down + 6 * SMOOTHNESS), f"{seconds:g} s", fill="#555555", font=font, anchor="ma")
    for i, (name, column) in enumerate(zip(names, values, strict=True)):
        heights = np.clip(column, low, high).tolist()
        points = [(x(frame / track.fps), y(value)) for frame, value in enumerate(heights)]
        # both sides of a face often move as one: the left one shows on either side of the right one
        width = (5 if name.endswith("Left") else 2) * SMOOTHNESS
        draw.line(points if len(points) > 1 else points * 2, fill=COLOURS[i], width=width, joint="curve")
        draw.text((right + 12 * SMOOTHNESS, up + 18 * SMOOTHNESS * i), name, fill=COLOURS[i], font=font)


def _bounds(values: np.ndarray) -> tuple[float, float]:
    """Round limits around the values, zero in the middle where it is among them."""
    reach = max(5.0, float(np.abs(values).max()))
    unit = 10 ** np.floor(np.log10(reach)) / 2
    if values.min() <= 0 <= values.max():
        limit = float(np.ceil(reach / unit) * unit)
        return -limit, limit
    return float(np.floor(values.min() / unit) * unit), float((np.floor(values.max() / unit) + 1) * unit)


def _step(duration: float) -> float:
    return next((step for step in (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 60, 120, 300) if duration / step <= 10), 600)
