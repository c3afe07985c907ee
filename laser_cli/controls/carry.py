"""A subject carried elsewhere: its noise, and in the first steps its latents, are the source's, moved along.

What was behind it is drawn from other noise, and all around it may stay the source's (local blend). Inverted noise
tells a picture's layout, so that a prompt alone seldom moves anything. So a subject that stays in another scene keeps
more of its noise than there is around it. No published method; laser's own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from laser_cli.controls.aid import slerp

HELD = 0.6
"""The share of the steps in which a subject's latents are the source's, at strength 1."""
EDGE = 2
"""Latent pixels within a subject's mask in which it keeps no noise of its own."""


class Carried(NamedTuple):
    """How a picture's subject is carried: ``shift`` in latent pixels to the right, and how long it is held.

    ``held``: the share of the steps, from the first, in which its latents are the source's. ``around``: whether all but
    the subject's two places stays the source's. ``fresh``: how much of the picture's noise is fresh, as far as more
    changes than where the subject is; ``own``: how far the subject goes without that.
    """

    shift: float = 0.0
    held: float = 0.0
    around: bool = False
    fresh: float = 0.0
    own: float = 0.0


STAYING = Carried()


@dataclass(frozen=True)
class Carry:
    """What the subjects of a render's pictures are carried with.

    ``mask`` [1, 1, h, w] in 0 and 1: where the source's subject is; ``behind`` [1, c, h, w]: noise for what was behind
    it; ``fresh``: that of which pictures take their share.
    """

    mask: Tensor
    behind: Tensor
    fresh: Tensor

    def noise(self, source: Tensor, how: Carried) -> Tensor:
        """The source's noise [1, c, h, w] with its subject moved, and a share of it fresh, less where that is."""
        moved = self.moved(source, how.shift, self.behind.to(source))
        if not how.fresh:
            return moved
        return slerp(moved, self.fresh.to(source), how.fresh * (1 - how.own * _core(self.there(how.shift))))

    def moved(self, x: Tensor, shift: float, behind: Tensor) -> Tensor:
        """What is of the source, [1, c, h, w], with its subject moved and ``behind`` where that was."""
        if not shift:
            return x
        return torch.where(self.there(shift) > 0, along(x, shift), torch.where(self.mask > 0, behind, x))

    def hold(self, latents: Tensor, source: Tensor, how: Carried, done: float) -> Tensor:
        """Latents [1, c, h, w] after a step of a picture whose subject is carried, ``done`` the share of steps done.

        ``source``: the source's after the same step.
        """
        if not how.shift:
            return latents
        there = self.there(how.shift)
        if done <= how.held:
            latents = torch.where(there > 0, along(source, how.shift), latents)
        if how.around:
            free = F.max_pool2d(torch.maximum(self.mask, there), 3, stride=1, padding=1)
            latents = torch.where(free > 0, latents, source)
        return latents

    def there(self, shift: float) -> Tensor:
        """Where the subject is once moved, [1, 1, h, w] in 0 and 1."""
        reach = F.pad(self.mask, (self.mask.shape[-1],) * 2)
        moved = along(reach, shift)[..., self.mask.shape[-1] : -self.mask.shape[-1]]
        return (moved > 0.5).to(self.mask)


def _core(mask: Tensor) -> Tensor:
    """What of a mask [1, 1, h, w] is well inside, fading out towards its edge, where snow may come to lie."""
    for _ in range(EDGE):
        mask = -F.max_pool2d(-mask, 3, stride=1, padding=1)
    return F.avg_pool2d(mask, 3, stride=1, padding=1, count_include_pad=False)


def along(x: Tensor, shift: float) -> Tensor:
    """Latents [n, c, h, w] moved to the right by parts of pixels too, by their phases: noise stays white noise.

    Beyond its edges a picture is its own mirror image.
    """
    width = x.shape[-1]
    wide = torch.cat([x, x.flip(-1)], dim=-1).float()
    turn = torch.exp(-2j * torch.pi * shift * torch.fft.rfftfreq(2 * width, device=x.device))
    return torch.fft.irfft(torch.fft.rfft(wide, dim=-1) * turn, n=2 * width, dim=-1)[..., :width].to(x)
