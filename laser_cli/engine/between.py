"""Interpolation in lockstep: the stops once a step, then the frames between them, in chunks.

A stop is a prompt drawn from its own noise, or a picture at its stored trajectory. Since at t = 0 and 1 interpolated
attention is ordinary attention, the stops do not depend on the frames and are never computed twice (AID computes both
for every frame: 6 (N - 2) evaluations a step, here 2 N).
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
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

    They begin at step ``step`` only, on the arc between their neighbours' latents of that moment, and from then on read
    the neighbours' keys and values instead of the stops', to the end. Their t are those of the neighbours.
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

    ``negative`` [1, l, d]: what guidance leads away from; all stops have the same.
    """

    stops: Sequence[Stop]
    frames: Sequence[Between]
    negative: Tensor
    prompting: Prompting
    bridges: Sequence[Bridge] = ()


@dataclass(frozen=True)
class _Group:
    """Frames that go through the U-Net together: all read the same two ends."""

    rows: list[int]
    end: int
    bridge: Bridge | None
    gates: bool = False


def interpolate(
    unet: Any, eps: NoisePredictor, levels: Sequence[Level], way: Way, manner: Manner, blend: Blend | None
) -> Iterator[Step]:
    """Draws the way; yields after every U-Net call, and after the last step the stops, then the frames in order.

    ``blend`` None leaves attention alone (interpolation of text only). A picture's guided drift from its trajectory is
    given to the frames near it as well, by 1 - t, so that nothing jumps at a picture.
    """
    stops, frames, guided = way.stops, way.frames, manner.guidance != 1
    device, pinned = way.negative.device, [(k, s.trajectory) for k, s in enumerate(stops) if s.trajectory]
    states = torch.cat([s.states for s in stops])
    anchors = torch.cat([s.noise for s in stops])
    x = anchors.new_empty(len(frames), *anchors.shape[1:])
    for j, f in enumerate(frames):
        x[j] = slerp(stops[f.end - 1].noise[0], stops[f.end].noise[0], f.t)
    clean = torch.empty_like(x)
    t = torch.tensor([f.t for f in frames], device=device)
    spans = {j: b for b in way.bridges for j in range(b.first, b.last + 1)}
    endpoints, warm, size = Endpoints(blend), int(len(levels) * manner.warmup), manner.chunk

    def predict(latents: Tensor, level: Level, prompts: Tensor) -> Tensor:
        if not guided:
            return eps(latents, level, prompts)
        both = torch.cat([way.negative.expand_as(prompts), prompts])
        return guide(eps(torch.cat([latents, latents]), level, both), manner.guidance)

    def neighbours(b: Bridge) -> tuple[Hashable, Hashable]:
        """A bridge's two ends, by the names under which their attention is kept: frames, or the segment's stops."""
        end = frames[b.first].end
        left = b.first - 1 if b.first and frames[b.first - 1].end == end else ("stop", end - 1)
        right = b.last + 1 if b.last + 1 < len(frames) and frames[b.last + 1].end == end else ("stop", end)
        return left, right

    def latents_of(name: Hashable) -> Tensor:
        return x[name] if isinstance(name, int) else anchors[name[1]]  # type: ignore[index]

    def drawn(group: _Group, i: int, level: Level, offset: Tensor) -> Tensor:
        """One group of frames, one step on."""
        rows, end, at = group.rows, group.end, t[group.rows]
        keep = tuple(rows) if group.gates else ()
        if group.bridge:
            share = torch.tensor([group.bridge.share(j) for j in rows], device=device)
            endpoints.batch = Batch(guided, keep, neighbours(group.bridge), share)
        else:
            endpoints.batch = Batch(guided, keep, (("stop", end - 1), ("stop", end)) if i < warm else None, at)
        e = predict(x[rows], level, way.prompting(i, end, at))
        clean[rows] = to_x0(e, x[rows], level.alpha)
        near = at.view(-1, 1, 1, 1)
        return ddim_step(x[rows], e, level.alpha, level.alpha_prev) + torch.lerp(offset[end - 1], offset[end], near)

    with hooks.attention(unet, endpoints.attend):
        for i, level in enumerate(levels):
            endpoints.begin()
            for b in way.bridges:
                if b.step == i:
                    left, right = (latents_of(name).clone() for name in neighbours(b))
                    for j in range(b.first, b.last + 1):
                        x[j] = slerp(left, right, b.share(j))
            reading = blend is not None and (i < warm or any(b.step <= i for b in way.bridges))
            before, heading = anchors, torch.empty_like(anchors)
            anchors = torch.empty_like(before)
            for rows in (slice(k, min(k + size, len(stops))) for k in range(0, len(stops), size)):
                names = tuple(("stop", k) for k in range(rows.start, rows.stop)) if reading else ()
                endpoints.batch = Batch(guided, names)
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
            gates: set[Hashable] = {
                name for b in way.bridges if b.step <= i for name in neighbours(b) if isinstance(name, int)
            }
            queue = _groups(frames, live, gates, spans, size)
            while queue:
                group = queue.pop(0)
                try:
                    x[group.rows] = drawn(group, i, level, offset)
                except (RuntimeError, MemoryError) as error:
                    if not out_of_memory(error) or len(group.rows) == 1:
                        raise
                    size = len(group.rows) // 2
                    queue = _groups(frames, [j for g in (group, *queue) for j in g.rows], gates, spans, size)
                    yield Step(0, chunk=size)
                    continue
                yield Step(len(group.rows) * (1 + guided))
            if i < len(levels) - 1:
                yield Step(0, state=State(i + 1, anchors, x, (heading, clean)))
    for k in range(len(stops)):
        yield Step(0, Drawn(anchors[k : k + 1], keyframe=k))
    for j in range(0, len(frames), size):
        yield Step(0, Drawn(x[j : j + size], first=j))


def evaluations(stops: int, frames: int, steps: int, guidance: float) -> int:
    """U-Net evaluations (rows) of an interpolation, at most: bridged frames begin later."""
    return steps * (stops + frames) * (2 if guidance != 1 else 1)


def _groups(
    frames: Sequence[Between], live: Sequence[int], gates: set[Hashable], spans: dict[int, Bridge], size: int
) -> list[_Group]:
    """Frames by what they read, at most ``size`` together; those that others read (``gates``) go first."""
    groups = []
    for gated in (True, False):
        chosen = sorted(j for j in live if (j in gates) == gated)
        for (end, bridge), run in groupby(chosen, lambda j: (frames[j].end, spans.get(j))):
            rows = list(run)
            groups += [_Group(rows[k : k + size], end, bridge, gated) for k in range(0, len(rows), size)]
    return groups
