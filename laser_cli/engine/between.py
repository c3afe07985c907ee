"""Interpolation in lockstep: the stops once a step, then the frames between them, in chunks.

A stop is a prompt drawn from its own noise, or a picture at its stored trajectory. Since at t = 0 and 1 interpolated
attention is ordinary attention, the stops do not depend on the frames and are never computed twice (AID computes both
for every frame: 6 (N - 2) evaluations a step, here 2 N).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import torch
from torch import Tensor

from laser_cli.controls.aid import Blend, slerp
from laser_cli.engine import hooks
from laser_cli.engine.endpoints import Batch, Endpoints
from laser_cli.engine.invert import Trajectory
from laser_cli.engine.render import Between, Drawn, Manner, State, Step
from laser_cli.engine.schedule import Level, NoisePredictor, ddim_step, guide, to_x0
from laser_cli.errors import out_of_memory

Prompting = Callable[[int, int, Tensor], Tensor]
"""(step, segment's end, t [n]) -> the text states [n, l, d] of frames there."""


@dataclass(frozen=True)
class Stop:
    """An end of a segment: noise [1, c, h, w], text states [1, l, d]; a picture has a trajectory, and stays on it."""

    noise: Tensor
    states: Tensor
    trajectory: Trajectory | None = None


@dataclass(frozen=True)
class Bridge:
    """Frames ``first`` to ``last``, both included, that span a jump between their two neighbours in one segment.

    They begin at step ``step`` only, on the arc between their neighbours' latents of that moment, and go on as frames
    like others. Their t are those of the neighbours.
    """

    first: int
    last: int
    step: int

    def share(self, frame: int) -> float:
        """How far along the bridge a frame stands, in 0..1."""
        return (frame - self.first + 1) / (self.last - self.first + 2)


@dataclass(frozen=True)
class Way:
    """What is to be drawn: stops, the frames between them in order, and the bridges over its jumps.

    A segment may have several runs of frames: where t falls the next one begins. ``negative`` [1, l, d]: what guidance
    leads away from; all stops have the same.
    """

    stops: Sequence[Stop]
    frames: Sequence[Between]
    negative: Tensor
    prompting: Prompting
    bridges: Sequence[Bridge] = ()


def interpolate(
    unet: Any,
    eps: NoisePredictor,
    levels: Sequence[Level],
    way: Way,
    manner: Manner,
    blend: Blend | None,
    state: State | None = None,
) -> Iterator[Step]:
    """Draws the way; yields after every U-Net call, and after the last step the stops, then the frames in order.

    ``blend`` None leaves attention alone (interpolation of text only). A picture's guided drift from its trajectory is
    given to the frames near it as well, by 1 - t, so that nothing jumps at a picture. With ``state`` it goes on from
    there, to the same pictures.
    """
    stops, frames, guided = way.stops, way.frames, manner.guidance != 1
    device, pinned = way.negative.device, [(k, s.trajectory) for k, s in enumerate(stops) if s.trajectory]
    states = torch.cat([s.states for s in stops])
    anchors = torch.cat([s.noise for s in stops])
    x = anchors.new_empty(len(frames), *anchors.shape[1:])
    for j, f in enumerate(frames):
        x[j] = slerp(stops[f.end - 1].noise[0], stops[f.end].noise[0], f.t)
    if state:
        anchors, x = state.anchors.to(device, copy=True), state.frames.to(device, copy=True)
    begin = state.done if state else 0
    clean = torch.empty_like(x)
    t = torch.tensor([f.t for f in frames], device=device)
    spans = {j: b for b in way.bridges for j in range(b.first, b.last + 1)}
    endpoints, warm, size = Endpoints(blend), int(len(levels) * manner.warmup), manner.chunk

    def predict(latents: Tensor, level: Level, prompts: Tensor) -> Tensor:
        if not guided:
            return eps(latents, level, prompts)
        both = torch.cat([way.negative.expand_as(prompts), prompts])
        return guide(eps(torch.cat([latents, latents]), level, both), manner.guidance)

    def joined(j: int) -> bool:
        """Whether frames j and j + 1 are neighbours: of one segment, and not where another run of it begins."""
        return 0 <= j < len(frames) - 1 and frames[j].end == frames[j + 1].end and frames[j].t <= frames[j + 1].t

    def lay(b: Bridge) -> None:
        """A bridge's frames between the latents of the frames, or of the segment's stops, at its two ends."""
        end = frames[b.first].end
        left = x[b.first - 1] if joined(b.first - 1) else anchors[end - 1]
        right = x[b.last + 1] if joined(b.last) else anchors[end]
        for j in range(b.first, b.last + 1):
            x[j] = slerp(left, right, b.share(j))

    def drawn(rows: list[int], i: int, level: Level, offset: Tensor) -> Tensor:
        """Some frames of one segment, one step on."""
        end, at = frames[rows[0]].end, t[rows]
        endpoints.batch = Batch(guided, (), (end - 1, end) if i < warm else None, at)
        e = predict(x[rows], level, way.prompting(i, end, at))
        clean[rows] = to_x0(e, x[rows], level.alpha)
        near = at.view(-1, 1, 1, 1)
        return ddim_step(x[rows], e, level.alpha, level.alpha_prev) + torch.lerp(offset[end - 1], offset[end], near)

    with hooks.attention(unet, endpoints.attend):
        for i, level in enumerate(levels[begin:], start=begin):
            endpoints.begin()
            for b in way.bridges:
                if b.step == i:
                    lay(b)
            before, heading = anchors, torch.empty_like(anchors)
            anchors = torch.empty_like(before)
            for rows in (slice(k, min(k + size, len(stops))) for k in range(0, len(stops), size)):
                endpoints.batch = Batch(guided, range(rows.start, rows.stop) if i < warm else ())
                e = predict(before[rows], level, states[rows])
                heading[rows] = to_x0(e, before[rows], level.alpha)
                anchors[rows] = ddim_step(before[rows], e, level.alpha, level.alpha_prev)
                yield Step((rows.stop - rows.start) * (1 + guided))
            # How far a picture's stored trajectory lies from where this step led: what pins it.
            offset = torch.zeros_like(anchors)
            for k, trajectory in pinned:
                offset[k] = trajectory.latents[len(levels) - i - 1] - anchors[k]
            anchors = anchors + offset
            live = [j for j in range(len(frames)) if j not in spans or spans[j].step <= i]
            queue = _groups(frames, live, size)
            while queue:
                group = queue.pop(0)
                try:
                    x[group] = drawn(group, i, level, offset)
                except (RuntimeError, MemoryError) as error:
                    if not out_of_memory(error) or len(group) == 1:
                        raise
                    size = len(group) // 2
                    queue = _groups(frames, [j for rows in (group, *queue) for j in rows], size)
                    yield Step(0, chunk=size)
                    continue
                yield Step(len(group) * (1 + guided))
            if i < len(levels) - 1:
                yield Step(0, state=State(i + 1, anchors, x, (heading, clean)))
    for k in range(len(stops)):
        yield Step(0, Drawn(anchors[k : k + 1], keyframe=k))
    for j in range(0, len(frames), size):
        yield Step(0, Drawn(x[j : j + size], first=j))


def evaluations(stops: int, frames: int, steps: int, guidance: float) -> int:
    """U-Net evaluations (rows) of an interpolation, at most: bridged frames begin later."""
    return steps * (stops + frames) * (2 if guidance != 1 else 1)


def _groups(frames: Sequence[Between], live: Sequence[int], size: int) -> list[list[int]]:
    """Frames that go through the U-Net together: of one segment, at most ``size``."""
    groups = []
    for _, run in groupby(live, lambda j: frames[j].end):
        rows = list(run)
        groups += [rows[k : k + size] for k in range(0, len(rows), size)]
    return groups
