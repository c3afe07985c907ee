"""The example pictures of the README: ``python -m laser_cli.storybook.examples FOLDER`` draws them."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

from laser_cli.output.frames import write_png
from laser_cli.output.record import make_record
from laser_cli.storybook.draw import draw
from laser_cli.storybook.look import SHIPPED
from laser_cli.storybook.scenes import Scene, pure
from laser_cli.storybook.words import caption

EXAMPLES = {
    "cottage": replace(Scene(subject=pure("house"), size=0.75, sway=0.3), hue=2.0),
    "balloon": Scene(subject=pure("balloon"), setting=pure("sea"), hour=9.0, size=0.8, clouds=0.2).with_colour("red"),
    "mushroom": Scene(subject=pure("mushroom"), size=0.9, hour=15.5, clouds=0.3).with_colour("purple"),
    "cup": Scene(subject=pure("cup"), setting=pure("desert"), hour=9.0, size=0.9).with_colour("blue"),
    "boat": Scene(subject=pure("boat"), setting=pure("sea"), size=0.9, clouds=0.25).with_colour("orange"),
    "car": Scene(subject=pure("car"), setting=pure("city"), size=0.35, place=-1.0, hour=15.5).with_colour("green"),
    "star": Scene(subject=pure("star"), setting=pure("mountains"), size=0.7, hour=9.0).with_colour("yellow"),
}


def save(folder: Path, size: int = SHIPPED.size) -> None:
    """Draws every example; each PNG carries its caption, so that no command needs to be told."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, scene in EXAMPLES.items():
        array = (draw([scene], size)[0] * 255).round().byte().permute(1, 2, 0).numpy()
        write_png(folder / f"{name}.png", array, make_record("draw", {"size": size}, prompt=caption(scene)))


if __name__ == "__main__":
    save(Path(sys.argv[1]))
