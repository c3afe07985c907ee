"""A portrait before it is drawn: what moves each frame, what each is said to show, and the noise they come from."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate, pairwise

import torch
from torch import Tensor

from laser_cli.controls.aid import slerp
from laser_cli.controls.knit.backbone import driven, undriven
from laser_cli.controls.knit.driven import FaceMotion
from laser_cli.controls.knit.portrait import Portrait
from laser_cli.engine.spec import Frame, Keyframe, RenderSpec
from laser_cli.models.conditioning import Conditioning
from laser_cli.plan.easing import ease
from laser_cli.plan.schema import Plan, Segment

CLOSE = 1e-4
"""Moments nearer to a frame are that frame."""
READ = 2
"""Evaluations of the U-Net that read a picture: without it, and with it."""


@dataclass(frozen=True)
class Said:
    """What a part of the frames is said to end with: its prompt, its frames with both ends, and its easing."""

    prompt: str
    frames: int
    easing: str = "linear"


@dataclass(frozen=True)
class Words:
    """What the portrait is said to show, what it is to show nothing of, and what it becomes while the face moves."""

    prompt: str
    negative: str = ""
    parts: tuple[Said, ...] = ()

    @classmethod
    def of(cls, plan: Plan, negative: str = "") -> Words:
        """The prompts of a plan."""
        return cls(plan.source, negative, tuple(Said(s.prompt, s.frames, s.easing) for s in plan.segments))

    @property
    def prompts(self) -> list[str]:
        """The prompt of every keyframe: two at least."""
        return [self.prompt, *(part.prompt for part in self.parts or (Said(self.prompt, 0),))]

    def places(self, count: int) -> list[int]:
        """The numbers of the keyframes among `count` frames. Raises ValueError for parts of another length."""
        if not self.parts:
            return [0, count - 1]
        places = list(accumulate((part.frames - 1 for part in self.parts), initial=0))
        if places[-1] != count - 1:
            raise ValueError(f"words for {places[-1] + 1} frames, a motion of {count}")
        return places


@dataclass(frozen=True)
class Sitting:
    """The portrait under a motion and words. `prompts` has a row for each of the words', `negative` and `noise` one.

    `size`: height and width of the pictures. `held`: the portrait's own noise, which holds what it shows; `fresh` 0..1
    is the share of `noise` beside it, which grows from none in frame 0 to all of that in frame `settled`.
    """

    portrait: Portrait
    motion: FaceMotion
    words: Words
    prompts: Conditioning
    negative: Conditioning
    noise: Tensor
    size: tuple[int, int]
    held: Tensor | None = None
    fresh: float = 1.0
    settled: int = 0

    @property
    def count(self) -> int:
        """How many frames there are."""
        return len(self.motion.coefficients)

    @cached_property
    def places(self) -> list[int]:
        """The frames at which the words' prompts are reached."""
        return self.words.places(self.count)

    @cached_property
    def keyframes(self) -> list[int]:
        """The frames that are drawn as keyframes: those, and where the noise has settled."""
        settled = {self.settled} if self.held is not None and self.settled < self.count else set()
        return sorted({*self.places, *settled}) if self.count > 1 else [0]

    def noise_of(self, number: int, fresh: Tensor | None = None) -> Tensor:
        """The noise of a frame, of which a part is `noise`, or another fresh one."""
        noise = self.noise if fresh is None else fresh
        if self.held is None:
            return noise
        turned = 1.0 if number >= self.settled else number / self.settled
        return slerp(self.held, noise, self.fresh * turned)

    @cached_property
    def base(self) -> Conditioning:
        """What guidance leads away from: no drive and no reference."""
        drive = self.motion.drive([0], *self.size, self.portrait.nets.maps)
        return undriven(self.negative, drive, self.portrait.pdfgc)

    def told(self, numbers: Sequence[float], aside: bool = False) -> Conditioning:
        """What frames are said to show, a row each: their prompts' embeddings blended or, `aside`, both prompts."""
        parts, t = self._said(numbers)
        begin, end = self.prompts.select(parts), self.prompts.select([part + 1 for part in parts])
        return begin.reading(end, t) if aside else begin.lerp(end, t)

    def _said(self, numbers: Sequence[float]) -> tuple[list[int], Tensor]:
        """Which part of the words each frame is in, and how far."""
        parts = [max(0, min(bisect_right(self.places, n), len(self.places) - 1) - 1) for n in numbers]
        shares = []
        for number, part in zip(numbers, parts, strict=True):
            begin, end = self.places[part], self.places[part + 1]
            easing = self.words.parts[part].easing if self.words.parts else "linear"
            shares.append(ease(easing, (number - begin) / (end - begin)) if end > begin else 0.0)
        return parts, torch.tensor(shares, device=self.prompts.prompt_embeds.device)

    def conditioning(self, numbers: Sequence[float], aside: bool = False) -> Conditioning:
        """The same under what drives each frame."""
        return driven(self.told(numbers, aside), self.motion.drive(numbers, *self.size, self.portrait.nets.maps))

    def spec(self) -> RenderSpec:
        """The motion as a render: keyframes, and the others between them, each under the drive of its moment.

        What a frame shows comes from its drive, the reference and its prompt; between two prompts it reads both.
        """
        places, rest, aside = self.keyframes, [], len(set(self.words.prompts)) > 1

        def conditioning(_step: int, segment: int, t: Tensor) -> Conditioning:
            begin, end = places[segment], places[segment + 1]
            moments = [begin + share * (end - begin) for share in t.tolist()]
            # whole frames stay whole, whatever t's precision
            return self.conditioning([round(m) if abs(m - round(m)) < CLOSE else m for m in moments], aside)

        keyframes = [Keyframe(self.noise_of(number), self.conditioning([number], aside)) for number in places]
        for number in sorted({*range(self.count)}.difference(places)):
            segment = bisect_right(places, number) - 1
            begin, end = places[segment : segment + 2]
            rest.append(Frame(segment, (number - begin) / (end - begin)))
        return RenderSpec(keyframes, rest, self.base, blend=None, conditioning=conditioning)

    @property
    def segments(self) -> tuple[Segment, ...]:
        """Its segments for an even pace: where the noise settles is no stage, but a keyframe on the way of one."""
        return tuple(
            Segment(prompt="on the way", frames=end - begin + 1, via=end not in self.places)
            for begin, end in pairwise(self.keyframes)
        )
