"""The render loop: keyframes and the frames between them, in lockstep.

At every step the keyframes are evaluated once; what the frames need of them is kept for that step only. So nothing is
computed twice (published attention interpolation computes both ends for every frame: 6 (N - 2) evaluations a step, here
2 N), and memory does not grow with the number of frames.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from threading import Event

import torch
from torch import Tensor

from laser_cli.controls.aid import slerp
from laser_cli.controls.base import from_layer
from laser_cli.controls.carry import Carried
from laser_cli.controls.registry import find_controls
from laser_cli.controls.words import blend_mask
from laser_cli.engine.batches import Call, Rounds
from laser_cli.engine.router import AttentionRouter, BatchLayout, RoutedCall, RowGroup
from laser_cli.engine.schedule import guide
from laser_cli.engine.spec import (
    Finished,
    Frame,
    RenderSpec,
    RenderState,
    SamplingParams,
    Step,
    strengths_between,
    strengths_of,
    words_between,
    words_of,
)
from laser_cli.engine.workers import Workers
from laser_cli.errors import out_of_memory
from laser_cli.models.base import Backbone, NoiseLevel
from laser_cli.models.conditioning import Conditioning


def render(
    backbone: Backbone,
    levels: Sequence[NoiseLevel],
    spec: RenderSpec,
    params: SamplingParams,
    checkpoint: RenderState | None = None,
    workers: Workers | None = None,
    clean: bool = False,
) -> Iterator[Step]:
    """Renders the spec; yields after every call of the backbone, and finished pictures after those of the last step.

    The keyframes come together, before the frames, which come in order. With a ``checkpoint`` it goes on from there, to
    the same pictures. ``clean``: its states tell what the pictures are heading for. UsageError for a control that does
    not know the backbone's layers, before anything is computed.
    """
    return _Render(backbone, levels, spec, params, workers or Workers(), clean).steps(checkpoint)


def nfe(pictures: int, steps: int, guidance: float, unguided: int = 0) -> int:
    """Function evaluations of a render, at most (late frames take fewer): two a picture and step, if guided.

    ``unguided``: how many of the pictures take one, as an animation's source does.
    """
    return steps * (unguided + (pictures - unguided) * (2 if guidance != 1 else 1))


@dataclass(frozen=True)
class _Result:
    """What a call predicts of its pictures: x0 and eps [n, c, h, w], and where they may differ from the source.

    ``free`` [n, 1, h, w] in 0..1; None: everywhere.
    """

    call: Call
    x0: Tensor
    eps: Tensor
    free: Tensor | None = None


class _Render:
    """A render under way: the latents of its keyframes and frames, and what is kept for the steps under way."""

    def __init__(
        self,
        backbone: Backbone,
        levels: Sequence[NoiseLevel],
        spec: RenderSpec,
        params: SamplingParams,
        workers: Workers,
        clean: bool,
    ) -> None:
        self.backbone, self.levels, self.spec, self.params, self.workers = backbone, levels, spec, params, workers
        names = [name for k in spec.keyframes for name, strength in k.strengths.items() if strength]
        controls = find_controls(names) if spec.source is not None else []
        if (first := params.motion_from) is not None:
            controls = [from_layer(c, first, backbone.attentions) if c.name == "motion" else c for c in controls]
        self.router = AttentionRouter(backbone, controls, len(levels), params.warmup, spec.blend, spec.source)
        guided, read = params.guidance != 1, bool(controls)
        self.rounds = Rounds(spec, len(levels), guided, read, params.batch_size, workers.count)
        self.size = params.batch_size
        noises = [k.noise for k in spec.keyframes]
        self.device = noises[0].device
        self.keyframes = {0: torch.cat(noises)}
        """Latents of the keyframes at the beginning of each step under way."""
        self.offsets: dict[int, Tensor] = {}
        """How far each keyframe's stored trajectory lies from where a step led: what holds it there."""
        self.frames = noises[0].new_empty(len(spec.frames), *noises[0].shape[1:])
        for j, frame in enumerate(spec.frames):
            self.frames[j] = spec.noise(frame)[0]
        self.clean = (torch.zeros_like(self.keyframes[0]), torch.zeros_like(self.frames)) if clean else None

    def steps(self, checkpoint: RenderState | None) -> Iterator[Step]:
        """The loop."""
        begin, last = 0, len(self.levels) - 1
        if checkpoint:
            begin = checkpoint.done
            self.keyframes = {begin: checkpoint.keyframes.to(self.device, copy=True)}
            self.frames = checkpoint.frames.to(self.device, copy=True)
        for step in range(self.rounds.first(begin), last + 1):
            for j, frame in enumerate(self.spec.frames):
                if frame.arc and frame.start_step == step:
                    self.frames[j] = _on_arc(frame, self.frames, self.keyframes[step])
            yield from self._round(self.rounds.calls(step, begin, self.size), finishing=step == last)
            if step == last - 1:
                for k, latents in enumerate(self.keyframes[last + 1].split(1)):
                    yield Step(finished=Finished(latents, keyframe=k))
            if step >= begin:
                for kept in (self.keyframes, self.offsets, self.router.caches):
                    kept.pop(step, None)
                if step < last:
                    yield Step(state=self._state(step + 1))

    def _round(self, calls: Sequence[Call], finishing: bool) -> Iterator[Step]:
        """Makes calls that do not depend on each other; from where memory runs out, smaller ones, one by one."""
        for call in calls:
            self.router.begin(call.step)
        waiting, workers = list(calls), self.workers
        while waiting:
            smaller = [part for call in waiting for part in call.cut(self.size)]
            if len(smaller) > len(waiting):  # parts of a call may read each other: one after the other
                waiting, workers = smaller, Workers()
            stopped = Event()
            results = workers.map(partial(self._predict, stopped), tuple(waiting), stopped.set)
            for call in list(waiting):
                try:
                    result = next(results)
                except (RuntimeError, MemoryError) as error:
                    if not out_of_memory(error) or len(call.members) == 1:
                        raise
                    self.size = len(call.members) // 2
                    yield Step(batch_size=self.size)
                    break
                waiting.pop(0)
                self._advance(result)
                members = list(call.members)
                done = Finished(self.frames[members], first=members[0]) if finishing else None
                yield Step(sum(self.rounds.rows(call.kind, member) for member in members), done)

    def _predict(self, stopped: Event, call: Call) -> _Result:
        """What the backbone predicts of a call's pictures; in a worker's thread, until it is stopped."""
        parts, start = [], 0
        for members in self.rounds.groups(call):
            parts.append(self._rows(call, members, start))
            start = parts[-1][2].rows.stop
        x, told = torch.cat([part[0] for part in parts]), Conditioning.cat([part[1] for part in parts])
        groups = [part[2] for part in parts]
        hooks = RoutedCall(self.router, BatchLayout(call.step, groups), stopped)
        x0, eps = self.backbone.predict(x, self.levels[call.step], told, hooks)
        scale = self.params.guidance
        guided = [
            [guide(y[group.rows], scale) if group.unprompted else y[group.rows] for group in groups] for y in (x0, eps)
        ]
        return _Result(call, torch.cat(guided[0]), torch.cat(guided[1]), self._free(hooks, x0))

    def _free(self, hooks: RoutedCall, x0: Tensor) -> Tensor | None:
        """Where the pictures of a call may differ from the source, by what their words look at."""
        if not any(hooks.covers.values()):
            return None
        masks = []
        for number, group in enumerate(hooks.layout.groups):
            prompted = group.rows.stop - group.rows.start - group.unprompted
            free = x0.new_ones(prompted, 1, *x0.shape[-2:])
            if covers := hooks.covers.get(number):
                covering = [c for c in self.router.controls if c.cover and c.name in group.strengths]
                strength = torch.stack([group.strengths[c.name][group.unprompted :] for c in covering]).amax(0)
                blend = blend_mask(covers, (x0.shape[-2], x0.shape[-1]))
                free = torch.lerp(free, blend.to(free), strength.to(free).view(-1, 1, 1, 1))
            masks.append(free)
        return torch.cat(masks)

    def _rows(self, call: Call, members: Sequence[int], start: int) -> tuple[Tensor, Conditioning, RowGroup]:
        """Latents, conditioning and layout of a group: its unprompted half, if it is guided, and its prompted one."""
        spec, index, repeat = self.spec, list(members), self.rounds.rows(call.kind, members[0])
        rows, unprompted = slice(start, start + repeat * len(index)), (repeat - 1) * len(index)
        if call.kind == "keyframes":
            keyframes = [spec.keyframes[k] for k in index]
            x, told = self.keyframes[call.step][index], Conditioning.cat([k.conditioning for k in keyframes])
            read = {} if spec.source in index else strengths_of([k.strengths for k in keyframes])
            segment, t, words = -1, None, words_of(keyframes)
            blank = torch.tensor([k.blank for k in keyframes], device=self.device)
        else:
            frames = [spec.frames[j] for j in index]
            segment, t = frames[0].segment, torch.tensor([frame.t for frame in frames], device=self.device)
            x, told = self.frames[index], spec.told(call.step, segment, t)
            read, words = strengths_between(spec, frames), words_between(spec, segment, t)
            begin, end = (spec.keyframes[segment + k].blank for k in (0, 1))
            blank = begin + (end - begin) * t
        strengths = {name: s.to(self.device).repeat(repeat) for name, s in read.items()} if self.rounds.read else {}
        if unprompted:
            x, told = torch.cat([x, x]), Conditioning.cat([spec.away_from(told, blank), told])
        anchors = tuple(index) if call.kind == "keyframes" else ()
        return x, told, RowGroup(rows, unprompted, anchors, segment, t, strengths, words)

    def _advance(self, result: _Result) -> None:
        """Takes pictures one step on; keyframes with a trajectory stay on it, and frames near them follow."""
        step, index = result.call.step, list(result.call.members)
        latents = self.levels[step].step(result.x0, result.eps)
        if result.call.kind == "frames":
            segments = [self.spec.frames[j].segment for j in index]
            t = torch.tensor([self.spec.frames[j].t for j in index], device=self.device).view(-1, 1, 1, 1)
            begin, end = (self.offsets[step][[segment + k for segment in segments]] for k in (0, 1))
            carried = [self.spec.carried(self.spec.frames[j]) for j in index]
            latents = self._blended(latents + self._moved(torch.lerp(begin, end, t), carried), step, result.free)
            self.frames[index] = self._carried(latents, step, carried)
            if self.clean:
                self.clean[1][index] = result.x0
            return
        after = self.keyframes.setdefault(step + 1, torch.empty_like(self.keyframes[step]))
        offset = self.offsets.setdefault(step, torch.zeros_like(after))
        for k, x in zip(index, latents, strict=True):
            trajectory = self.spec.keyframes[k].trajectory
            if result.free is not None and k != self.spec.source:
                row = index.index(k)
                x = self._blended(x[None], step, result.free[row : row + 1])[0]
            if k != self.spec.source:
                x = self._carried(x[None], step, [self.spec.keyframes[k].carried])[0]
            after[k] = trajectory.latents[len(self.levels) - step - 1] if trajectory else x
            offset[k] = after[k] - x
        if self.clean:
            self.clean[0][index] = result.x0

    def _blended(self, x: Tensor, step: int, free: Tensor | None) -> Tensor:
        """Latents after a step with the source's where they may not differ from it (local blend)."""
        if free is None or self.spec.source is None:
            return x
        source = self.keyframes[step + 1][self.spec.source]
        return source + free * (x - source)

    def _moved(self, offsets: Tensor, how: Sequence[Carried]) -> Tensor:
        """What holds frames near their keyframes, with the subject where it is carried to."""
        carry = self.spec.carry
        if carry is None:
            return offsets
        rows = zip(offsets.split(1), how, strict=True)
        return torch.cat([carry.moved(row, each.shift, torch.zeros_like(row)) for row, each in rows])

    def _carried(self, x: Tensor, step: int, how: Sequence[Carried]) -> Tensor:
        """Latents after a step with the source's subject where it is carried to."""
        carry = self.spec.carry
        if carry is None or self.spec.source is None:
            return x
        source, done = self.keyframes[step + 1][self.spec.source][None], (step + 1) / len(self.levels)
        return torch.cat([carry.hold(row, source, each, done) for row, each in zip(x.split(1), how, strict=True)])

    def _state(self, done: int) -> RenderState:
        if self.clean:
            keyframes, frames = self.clean
            for j, frame in enumerate(self.spec.frames):
                if frame.arc and frame.start_step >= done:
                    frames[j] = _on_arc(frame, frames, keyframes)
        return RenderState(done, self.keyframes[done], self.frames, self.clean)


def _on_arc(frame: Frame, frames: Tensor, keyframes: Tensor) -> Tensor:
    """A late frame's place between its neighbours."""
    assert frame.arc is not None
    left = keyframes[frame.segment] if frame.arc.left is None else frames[frame.arc.left]
    right = keyframes[frame.segment + 1] if frame.arc.right is None else frames[frame.arc.right]
    return slerp(left, right, frame.arc.share)
