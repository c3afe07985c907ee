"""Looks of the storybook world: the size and proportions of its pictures, which no caption tells.

Weights know the look they were trained on, so a new look is drawn beside the shipped one until weights for it ship.
"""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Look:
    """Proportions in units of half a picture's side, unless said otherwise."""

    size: int = 128
    """Side of a picture in pixels."""
    radius: tuple[float, float] = (0.28, 0.56)
    """Half the height of a small and of a large subject."""
    foot: tuple[float, float] = (0.58, 0.86)
    """Where a small and a large subject stand, downwards from the middle."""
    margin: float = 10.0
    """How far from the middle a subject may reach to the side."""
    line: float = 1.0
    """Factor on the thickness of thin parts: strings, stems, legs, rain, brows."""
    glow: float = 0.0
    """Share of a subject's light that does not depend on the hour: at night its colour still shows."""
    small: float = 1.0
    """Share of the sampled small subjects that are kept."""
    refined: bool = False
    """Whiskers, evenly scattered drops, a light pencil, exact edges, dark rims, brows that hair and hats leave free."""


FIRST = Look()
"""128 px, the world of the weights of 21 November 2026."""
SECOND = Look(256, (0.34, 0.66), (0.60, 0.88), margin=0.97, line=1.35, glow=0.35, small=0.5, refined=True)
"""256 px, subjects a third to two thirds of the height, thin parts thicker."""
LOOKS = (FIRST, SECOND)
SHIPPED = SECOND
"""The look that the shipped weights were trained on; changes with them."""


def look_of(size: int) -> Look:
    """The look of weights that draw pictures of this side; of any other size, the shipped one in that size."""
    return next((look for look in (SHIPPED, *LOOKS) if look.size == size), replace(SHIPPED, size=size))
