"""The render loop: keyframes and the frames between them, in lockstep.

At every step the keyframes are evaluated once; what the frames need of them is kept for that step only. So nothing is
computed twice (published attention interpolation computes both ends for every frame: 6 (N - 2) evaluations a step, here
2 N), and memory does not grow with the number of frames.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from laser_cli.controls.aid import slerp
from laser_cli.controls.registry import find_controls
from laser_cli.engine.batches import Item, Plan, calls, groups
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
) -> Iterator[Step]:
    """Renders the spec; yields after every call of the backbone, and finished pictures after those of the last step.

    The keyframes come together, before the frames, which come in order. With a ``checkpoint`` it goes on from there, to
    the same pictures. UsageError for a control that does not know the backbone's layers, before anything is computed.
    """
    return _Render(backbone, levels, spec, params, workers or Workers()).steps(checkpoint)


def nfe(pictures: int, steps: int, guidance: float, unguided: int = 0) -> int:
    """Function evaluations of a render, at most (late frames take fewer): two a picture and step, if guided.

    ``unguided``: how many of the pictures take one, as an animation's source does.
    """
    return steps * (unguided + (pictures - unguided) * (2 if guidance != 1 else 1))


@dataclass(frozen=True)
class _Result:
    """What a call predicts of a group's pictures: x0 and eps [n, c, h, w]."""

    items: Sequence[Item]
    x0: Tensor
    eps: Tensor


class _Render:
    """A render under way: the latents of its keyframes and frames, and what is kept for the steps under way."""

    def __init__(
        self,
        backbone: Backbone,
        levels: Sequence[NoiseLevel],
        spec: RenderSpec,
        params: SamplingParams,
        workers: Workers,
    ) -> None:
        self.backbone, self.levels, self.spec, self.params, self.workers = backbone, levels, spec, params, workers
        self.plan = Plan(spec, len(levels), params.guidance != 1)
        names = [name for k in spec.keyframes for name, strength in k.strengths.items() if strength]
        controls = find_controls(names) if spec.source is not None else []
        self.router = AttentionRouter(backbone, controls, len(levels), params.warmup, spec.blend, spec.source)
        self.size = params.batch_size
        noises = [k.noise for k in spec.keyframes]
        self.device = noises[0].device
        self.keyframes = {0: torch.cat(noises)}
        """Latents of the keyframes at the beginning of each step under way."""
        self.offsets: dict[int, Tensor] = {}
        """How far each keyframe's stored trajectory lies from where a step led: what holds it there."""
        ways = [(noises[f.segment], noises[f.segment + 1], f.t) for f in spec.frames]
        self.frames = torch.cat([slerp(*way) for way in ways]) if ways else torch.empty_like(noises[0][:0])
        self.clean = (torch.zeros_like(self.keyframes[0]), torch.zeros_like(self.frames))

    def steps(self, checkpoint: RenderState | None) -> Iterator[Step]:
        """The loop."""
        begin, last = 0, len(self.levels) - 1
        if checkpoint:
            begin = checkpoint.done
            self.keyframes = {begin: checkpoint.keyframes.to(self.device, copy=True)}
            self.frames = checkpoint.frames.to(self.device, copy=True)
        for step, items in self.plan.rounds(begin):
            for j, frame in enumerate(self.spec.frames):
                if frame.arc and frame.start_step == step:
                    self.frames[j] = _on_arc(frame, self.frames, self.keyframes[step])
            yield from self._round(items, finishing=step == last)
            if step == last - 1:
                for k, latents in enumerate(self.keyframes[last + 1].split(1)):
                    yield Step(finished=Finished(latents, keyframe=k))
            if step >= begin:
                for kept in (self.keyframes, self.offsets, self.router.caches):
                    kept.pop(step, None)
                if step < last:
                    yield Step(state=self._state(step + 1))

    def _round(self, items: Sequence[Item], finishing: bool) -> Iterator[Step]:
        """Evaluates pictures that do not depend on each other; where memory runs out, in smaller calls."""
        for item in items:
            self.router.begin(item.step)
        done = 0
        while done < len(items):
            cut = calls(items[done:], self.size, self.workers.count)
            results = self.workers.map(self._predict, cut)
            for call in cut:
                try:
                    told = next(results)
                except (RuntimeError, MemoryError) as error:
                    if not out_of_memory(error) or len(call) == 1:
                        raise
                    self.size = len(call) // 2
                    yield Step(batch_size=self.size)
                    break
                for result in told:
                    self._advance(result)
                done += len(call)
                frames = [item.index for item in call if item.kind == "frame"]
                finished = Finished(self.frames[frames], first=frames[0]) if finishing and frames else None
                yield Step(sum(item.rows for item in call), finished)

    def _predict(self, call: Sequence[Item]) -> list[_Result]:
        """What the backbone predicts of a call's pictures, by group; in a worker's thread."""
        latents: list[Tensor] = []
        conditionings: list[Conditioning] = []
        levels: list[NoiseLevel] = []
        layout: list[RowGroup] = []
        runs = groups(call, self.spec)
        for run in runs:
            x, told, group = self._rows(run, start=len(levels))
            latents.append(x)
            conditionings.append(told)
            levels += [self.levels[run[0].step]] * len(x)
            layout.append(group)
        x = torch.cat(latents)
        hooks = RoutedCall(self.router, BatchLayout(layout))
        x0, eps = self.backbone.predict(x, NoiseLevel.stack(levels, x), Conditioning.cat(conditionings), hooks)
        results = []
        for run, group in zip(runs, layout, strict=True):
            clean, noise = x0[group.rows], eps[group.rows]
            if group.unprompted:
                clean, noise = guide(clean, self.params.guidance), guide(noise, self.params.guidance)
            results.append(_Result(run, clean, noise))
        return results

    def _rows(self, run: Sequence[Item], start: int) -> tuple[Tensor, Conditioning, RowGroup]:
        """Latents, conditioning and layout of a group: its unprompted half, if it is guided, and its prompted one."""
        spec, step, index = self.spec, run[0].step, [item.index for item in run]
        repeat = run[0].rows
        rows, unprompted = slice(start, start + repeat * len(run)), (repeat - 1) * len(run)
        if run[0].kind == "keyframe":
            x, told = self.keyframes[step][index], Conditioning.cat([spec.keyframes[k].conditioning for k in index])
            read = {} if spec.source in index else self._strengths(index)
            group = RowGroup(step, rows, unprompted, index, strengths=_repeated(read, repeat))
        else:
            frames = [spec.frames[j] for j in index]
            t = torch.tensor([frame.t for frame in frames], device=self.device)
            x, told = self.frames[index], spec.told(step, frames[0].segment, t)
            read = {name: s.to(self.device) for name, s in strengths_between(spec, frames).items()}
            read = read if spec.source is not None else {}
            group = RowGroup(step, rows, unprompted, (), frames[0].segment, t, _repeated(read, repeat))
        if unprompted:
            x, told = torch.cat([x, x]), Conditioning.cat([spec.base.expand(len(run)), told])
        return x, told, group

    def _strengths(self, keyframes: Sequence[int]) -> dict[str, Tensor]:
        told = {
            c.name: [self.spec.keyframes[k].strengths.get(c.name, 0.0) for k in keyframes] for c in self.router.controls
        }
        return {name: torch.tensor(s, device=self.device) for name, s in told.items() if any(s)}

    def _advance(self, result: _Result) -> None:
        """Takes a group one step on; keyframes with a trajectory stay on it, and frames near them follow."""
        step, level = result.items[0].step, self.levels[result.items[0].step]
        index, latents = [item.index for item in result.items], level.step(result.x0, result.eps)
        if result.items[0].kind == "frame":
            segment = self.spec.frames[index[0]].segment
            t = torch.tensor([self.spec.frames[j].t for j in index], device=self.device).view(-1, 1, 1, 1)
            offset = self.offsets[step]
            self.frames[index] = latents + torch.lerp(offset[segment], offset[segment + 1], t)
            self.clean[1][index] = result.x0
            return
        after = self.keyframes.setdefault(step + 1, torch.empty_like(self.keyframes[step]))
        offset = self.offsets.setdefault(step, torch.zeros_like(after))
        for k, x in zip(index, latents, strict=True):
            trajectory = self.spec.keyframes[k].trajectory
            after[k] = trajectory.latents[len(self.levels) - step - 1] if trajectory else x
            offset[k] = after[k] - x
        self.clean[0][index] = result.x0

    def _state(self, done: int) -> RenderState:
        keyframes, frames = self.clean
        for j, frame in enumerate(self.spec.frames):
            if frame.arc and frame.start_step >= done:
                frames[j] = _on_arc(frame, frames, keyframes)
        return RenderState(done, self.keyframes[done], self.frames, (keyframes, frames))


def _on_arc(frame: Frame, frames: Tensor, keyframes: Tensor) -> Tensor:
    """A late frame's place between its neighbours."""
    assert frame.arc is not None
    left = keyframes[frame.segment] if frame.arc.left is None else frames[frame.arc.left]
    right = keyframes[frame.segment + 1] if frame.arc.right is None else frames[frame.arc.right]
    return slerp(left, right, frame.arc.share)


def _repeated(strengths: dict[str, Tensor], times: int) -> dict[str, Tensor]:
    return {name: strength.repeat(times) for name, strength in strengths.items()}
