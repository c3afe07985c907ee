"""What a VAE loses of a picture, given back to the frames around it, so that nothing pops between the two."""

from __future__ import annotations

from torch import Tensor


def given_back(t: float, begin: Tensor | None, end: Tensor | None) -> Tensor | float:
    """What a frame at t of a segment gets of what was lost [3, h, w] at its two ends; 0 where neither lost anything.

    (1 - t)^2 of the one and t^2 of the other, which soon leaves detail that only one of them shows. The rest, 2 t
    (1 - t), goes to what both lost, as far as they are alike: all of it between two copies of one picture.
    """
    given: Tensor | float = 0.0
    for lost, share in ((begin, (1 - t) ** 2), (end, t**2)):
        given = given + share * lost if lost is not None else given
    if begin is not None and end is not None:
        given = given + 2 * t * (1 - t) * likeness(begin, end) * (begin + end) / 2
    return given


def likeness(a: Tensor, b: Tensor) -> float:
    """The cosine between two pictures' details, 1 if they are the same; 0 if they have nothing in common."""
    norms = float(a.norm() * b.norm())
    return max(0.0, min(1.0, float((a * b).sum()) / norms)) if norms else 0.0
