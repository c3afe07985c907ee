"""What a render is asked for: keyframes, the frames between them, and how they are sampled."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from laser_cli.controls import aid
from laser_cli.controls.base import Words
from laser_cli.controls.carry import STAYING, Carried, Carry
from laser_cli.engine.invert import Trajectory
from laser_cli.models.conditioning import Conditioning


@dataclass(frozen=True)
class Keyframe:
    """A picture that the frames beside it read: sampled from its noise [1, c, h, w] under its conditioning (one row).

    With a ``trajectory`` it is held to it at every step, at any guidance. ``strengths``: how firmly it reads the
    source, 0..1 by control name (controls.registry). ``words``: how its prompt relates to the source's, for controls
    that read that (one row). ``guided``: whether guidance leads it away from the render's base; one whose conditioning
    is the base needs none either way. ``carried``: how the source's subject is carried to its place there, if it
    is. ``blank``: how far, 0..1, guidance leads away from the spec's ``blank`` in place of its base.
    """

    noise: Tensor
    conditioning: Conditioning
    trajectory: Trajectory | None = None
    strengths: Mapping[str, float] = field(default_factory=dict)
    words: Words | None = None
    guided: bool = True
    carried: Carried = STAYING
    blank: float = 0.0


@dataclass(frozen=True)
class Arc:
    """Where a late frame starts: at ``share`` 0..1 of the arc between the latents of two frames at that step.

    ``left`` and ``right`` are their indices; None is the segment's keyframe on that side.
    """

    left: int | None
    right: int | None
    share: float


@dataclass(frozen=True)
class Frame:
    """A picture at t in 0..1 between keyframes ``segment`` and ``segment + 1``.

    It starts at ``start_step``: at 0 from noise, later on its ``arc``.
    """

    segment: int
    t: float
    start_step: int = 0
    arc: Arc | None = None


def shifted(frames: Sequence[Frame], by: int) -> list[Frame]:
    """Frames that come after ``by`` others in a render: the neighbours on their arcs have higher indices."""

    def moved(index: int | None) -> int | None:
        return None if index is None else index + by

    return [
        replace(f, arc=replace(f.arc, left=moved(f.arc.left), right=moved(f.arc.right))) if f.arc else f for f in frames
    ]


FrameConditioning = Callable[[int, int, Tensor], Conditioning]
"""(step, segment, t [n]) -> the conditioning of n frames there."""


@dataclass(frozen=True)
class RenderSpec:
    """What is rendered: keyframes, and the frames between them in order.

    ``base`` (one row): what guidance leads away from. A keyframe whose conditioning is that very object needs no
    guidance. ``source``: the keyframe that the controls read, if there is one. ``blend``: how the attention of frames
    is interpolated between their keyframes; None leaves it alone. ``conditioning`` of the frames: by default the
    interpolation between their keyframes'. ``slerp``: how their noise is. ``carry``: what the source's subject is
    carried with where it moves. ``blank``: the empty prompt, where keyframes are guided away from that in part.
    """

    keyframes: Sequence[Keyframe]
    frames: Sequence[Frame]
    base: Conditioning
    source: int | None = None
    blend: aid.Blend | None = aid.best_outer
    conditioning: FrameConditioning | None = None
    slerp: Callable[[Tensor, Tensor, float], Tensor] = aid.slerp
    carry: Carry | None = None
    blank: Conditioning | None = None

    def told(self, step: int, segment: int, t: Tensor) -> Conditioning:
        """The conditioning of frames of a segment at t [n]."""
        if self.conditioning is not None:
            return self.conditioning(step, segment, t)
        begin, end = (self.keyframes[k].conditioning for k in (segment, segment + 1))
        return begin.lerp(end, t)

    def away_from(self, told: Conditioning, blank: Tensor) -> Conditioning:
        """What guidance leads rows away from: for each the base, and by its share [n] the blank prompt."""
        base = self.base.beside(told)
        return base if self.blank is None else base.lerp(self.blank.beside(told), blank)

    def noise(self, frame: Frame) -> Tensor:
        """The noise [1, c, h, w] of a frame."""
        begin, end = (self.keyframes[frame.segment + k] for k in (0, 1))
        if self.carry is not None and self.source is not None:
            return self.carry.noise(self.keyframes[self.source].noise, self.carried(frame))
        return self.slerp(begin.noise, end.noise, frame.t)

    def carried(self, frame: Frame) -> Carried:
        """How a frame's subject is carried: evenly from its one keyframe's place and noise to the other's."""
        begin, end = (self.keyframes[frame.segment + k] for k in (0, 1))
        a, b = begin.carried, end.carried
        shift, fresh, own = (x + (y - x) * frame.t for x, y in ((a.shift, b.shift), (a.fresh, b.fresh), (a.own, b.own)))
        return Carried(shift, min(a.held, b.held), a.around and b.around, fresh, own)


@dataclass(frozen=True)
class SamplingParams:
    """How it is sampled."""

    guidance: float = 3.0
    warmup: float = 0.5
    """Share of the steps, from the first, in which the frames' attention is interpolated between their keyframes."""
    batch_size: int = 12
    """Pictures in one call of the backbone (twice as many rows when guided)."""
    motion_from: int | None = None
    """The first self-attention that the control `motion` touches; None leaves it to the control."""


@dataclass(frozen=True)
class Finished:
    """Finished latents [n, c, h, w]: of keyframe ``keyframe``, or of frames from ``first`` on."""

    latents: Tensor
    first: int = -1
    keyframe: int = -1


@dataclass(frozen=True)
class RenderState:
    """A render after ``done`` steps of its frames: what it goes on from (``render``'s ``checkpoint``).

    ``keyframes`` and ``frames`` [n, c, h, w] are the latents at that step, overwritten when the next one begins.
    ``clean``: the x0 that keyframes and frames are heading for; None where nobody asked, or of a state that was loaded.
    """

    done: int
    keyframes: Tensor
    frames: Tensor
    clean: tuple[Tensor, Tensor] | None = None


@dataclass(frozen=True)
class Step:
    """Progress of a render: ``nfe`` more function evaluations are done.

    ``finished`` is set when pictures are; ``state`` after every step of the frames but the last; ``batch_size`` when
    memory ran out and calls of so many pictures are tried from now on.
    """

    nfe: int = 0
    finished: Finished | None = None
    state: RenderState | None = None
    batch_size: int | None = None


def strengths_of(read: Sequence[Mapping[str, float]]) -> dict[str, Tensor]:
    """Strengths [n] by control of n pictures; a control that none of them reads is left out."""
    names = dict.fromkeys(name for strengths in read for name, strength in strengths.items() if strength)
    return {name: torch.tensor([strengths.get(name, 0.0) for strengths in read]) for name in names}


def strengths_between(spec: RenderSpec, frames: Sequence[Frame]) -> dict[str, Tensor]:
    """Strengths [n] by control, of frames of one segment: interpolated between its keyframes'."""
    ends = strengths_of([spec.keyframes[frames[0].segment + k].strengths for k in (0, 1)])
    t = torch.tensor([frame.t for frame in frames])
    return {name: torch.lerp(begin, end, t) for name, (begin, end) in ends.items()}


def words_of(keyframes: Sequence[Keyframe]) -> Words | None:
    """The words of keyframes, a row each; None unless all have some."""
    told = [keyframe.words for keyframe in keyframes if keyframe.words is not None]
    return Words.cat(told) if told and len(told) == len(keyframes) else None


def words_between(spec: RenderSpec, segment: int, t: Tensor) -> Words | None:
    """The words of frames of a segment at t [n]: between its keyframes'."""
    begin, end = (spec.keyframes[segment + k].words for k in (0, 1))
    return None if begin is None or end is None else begin.lerp(end, t)
