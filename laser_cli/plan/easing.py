"""Easings: how the time within a segment runs from 0 to 1."""

from collections.abc import Callable
from typing import Literal, get_args

Easing = Literal["linear", "ease", "ease-in", "ease-out"]

_CURVES: dict[str, Callable[[float], float]] = {
    "linear": lambda t: t,
    "ease": lambda t: t * t * (3 - 2 * t),
    "ease-in": lambda t: t * t,
    "ease-out": lambda t: t * (2 - t),
}
HALVINGS = 50
assert set(_CURVES) == set(get_args(Easing))


def ease(name: str, t: float) -> float:
    """The eased time of t in 0..1; every curve rises from 0 at 0 to 1 at 1, `ease` is the smoothstep."""
    if name not in _CURVES:
        raise ValueError(f"unknown easing {name!r}; known: {', '.join(_CURVES)}")
    return _CURVES[name](min(1.0, max(0.0, t)))


def time_of(name: str, eased: float) -> float:
    """The t in 0..1 whose eased time this is."""
    low, high = 0.0, 1.0
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if ease(name, middle) < eased else (low, middle)
    return high
