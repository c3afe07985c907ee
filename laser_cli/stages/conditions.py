"""What leads keyframes beside their prompts: conditions of ControlNets, and image prompts with their masks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from laser_cli.engine.spec import FrameConditioning
from laser_cli.models.adapter import See, shown
from laser_cli.models.conditioning import Conditioning
from laser_cli.models.control_net import COMING, HINT, WEIGHT, ControlNet, as_condition, conditioned, faded
from laser_cli.models.model import Model
from laser_cli.models.pose import Pose, between, draw_pose, held
from laser_cli.models.unet import IMAGE_MASK
from laser_cli.stages.invert import to_tensor

Condition = np.ndarray | Pose
"""A picture (h, w, 3) uint8 of edges, depth or a pose, or a pose as keypoints."""


@dataclass(frozen=True, eq=False)
class Lead:
    """What leads one keyframe: for each ControlNet a condition or None, an image prompt, and where that counts.

    Pictures are (h, w, 3) uint8; a mask counts by its brightness. Without a mask an image prompt counts everywhere.
    """

    conditions: tuple[Condition | None, ...] = ()
    image: np.ndarray | None = None
    mask: np.ndarray | None = None

    def same(self, other: Lead) -> bool:
        """Whether both are the very same pictures and poses."""
        mine, theirs = ((*lead.conditions, lead.image, lead.mask) for lead in (self, other))
        return len(mine) == len(theirs) and all(a is b for a, b in zip(mine, theirs, strict=True))


@dataclass(frozen=True)
class Courses:
    """How conditions of ControlNets go from keyframe to keyframe: poses move, pictures are blended.

    ``told``: the keyframes' conditionings, one row each; ``poses``: those of each ControlNet, None where its condition
    is a picture or is not there; ``size``: (w, h) px of what is drawn.
    """

    nets: Sequence[ControlNet] = ()
    told: Sequence[Conditioning] = ()
    poses: Sequence[Sequence[Pose | None]] = ()
    size: tuple[int, int] = (0, 0)

    def between(self, told: Conditioning, segment: int, t: Tensor) -> Conditioning:
        """The conditioning of frames at t [n] under what leads them.

        Two pictures are blended by the residuals that each makes, since two at once are neither; between two poses a
        limb moves.
        """
        spatial = dict(told.spatial)
        for i in range(len(self.nets)):
            if (poses := self._poses(i, segment)) is not None:
                drawn = [to_tensor(draw_pose(between(*poses, float(at)), self.size)) for at in t]
                spatial[f"{HINT}{i}"] = self.nets[i].hint(torch.cat(drawn).to(t.device))
            if not any(net == i for net, _ in self._changes):  # rows of one call have to be told alike
                continue
            ends = [each.spatial for each in self.told[segment : segment + 2]]
            going, coming = (end[f"{HINT}{i}"].expand(len(t), -1, -1, -1) for end in ends)
            spatial[f"{HINT}{i}{COMING}"] = coming
            spatial[f"{WEIGHT}{i}{COMING}"] = torch.zeros_like(spatial[f"{WEIGHT}{i}"])
            if (i, segment) in self._changes:
                at, (w, v) = t.to(coming).view(-1, 1, 1, 1), (end[f"{WEIGHT}{i}"] for end in ends)
                spatial |= {f"{HINT}{i}": going, f"{WEIGHT}{i}": w * (1 - at), f"{WEIGHT}{i}{COMING}": v * at}
        return replace(told, spatial=spatial)

    def _poses(self, i: int, segment: int) -> tuple[Pose, Pose] | None:
        """A net's poses at the ends of a segment, where both have one."""
        ends = [poses[i] for poses in self.poses[segment : segment + 2] if poses]
        a, b = ends if len(ends) == 2 else (None, None)
        return None if a is None or b is None else (a.at(self.size), b.at(self.size))

    @cached_property
    def _changes(self) -> frozenset[tuple[int, int]]:
        """(net, segment) wherever a picture at the end is another than at the begin."""
        hints = [[each.spatial.get(f"{HINT}{i}") for each in self.told] for i in range(len(self.nets))]
        return frozenset(
            (i, segment)
            for i, course in enumerate(hints)
            for segment, (a, b) in enumerate(pairwise(course))
            if a is not None and b is not None and not self._poses(i, segment) and not torch.equal(a, b)
        )

    def of_frames(self, text: FrameConditioning) -> FrameConditioning:
        """The conditioning of frames under their own conditions."""
        return lambda step, segment, t: self.between(text(step, segment, t), segment, t)

    def only(self, first: int, count: int) -> Courses:
        """The same of some of the keyframes."""
        part = slice(first, first + count)
        return replace(self, told=self.told[part], poses=self.poses[part])


def led(
    model: Model,
    told: Sequence[Conditioning],
    leads: Sequence[Lead],
    size: tuple[int, int],
    see: See | None = None,
) -> tuple[list[Conditioning], Courses]:
    """Keyframes' conditionings (one row each) with what leads them, at (w, h) px, and how that goes on between them.

    ``see`` (models.adapter) turns image prompts into tokens. A net that leads some keyframes only fades in and out.
    """
    nets, made = model.backbone.control_nets, list(told)
    for k, lead in enumerate(leads):
        if see and lead.image is not None:
            made[k] = shown(made[k], see([to_tensor(lead.image)[0]]))
        if any(condition is not None for condition in lead.conditions):
            drawn = [None if c is None else _drawn(c, size).to(model.device) for c in lead.conditions]
            made[k] = conditioned(made[k], nets, drawn)
    if any(lead.mask is not None for lead in leads):
        made = [_masked(model, each, lead.mask, size) for each, lead in zip(made, leads, strict=True)]
    poses = [[c if isinstance(c, Pose) else None for c in lead.conditions] for lead in leads]
    made = faded(made)
    return made, Courses(nets, made, poses, size)


def held_still(leads: Sequence[Lead]) -> Iterator[str]:
    """What of the poses at two neighbouring keyframes is seen in one of them only."""
    for a, b in pairwise(leads):
        for one, other in zip(a.conditions, b.conditions, strict=True):
            if isinstance(one, Pose) and isinstance(other, Pose):
                yield from held(one, other)


def _drawn(condition: Condition, size: tuple[int, int]) -> Tensor:
    """A condition as a picture [1, 3, h, w] in 0..1 of (w, h) px."""
    picture = draw_pose(condition, size) if isinstance(condition, Pose) else condition
    return as_condition(to_tensor(picture)[0], size)


def _masked(model: Model, told: Conditioning, mask: np.ndarray | None, size: tuple[int, int]) -> Conditioning:
    """The conditioning with a mask [1, 1, h, w] in 0..1 of its image prompt, at the latents' size."""
    width, height = size[0] // model.scale, size[1] // model.scale
    if mask is None:
        places = torch.ones(1, 1, height, width, device=model.device)
    else:
        places = as_condition(to_tensor(mask)[0], (width, height)).mean(1, keepdim=True).to(model.device)
    return replace(told, spatial={**told.spatial, IMAGE_MASK: places})
