"""Anchors and frames in lockstep.

At every step the anchors go first, in one batch: the source at its stored trajectory, and all keyframes. What the
frames need of them is kept for that step only. Then the frames go, in chunks, and read it. So nothing is computed
twice, and memory does not grow with the number of frames.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from laser_cli.controls.layers import layers_of
from laser_cli.engine import hooks
from laser_cli.engine.conduct import Conductor, Rows
from laser_cli.engine.invert import Trajectory
from laser_cli.engine.schedule import Level, NoisePredictor, ddim_step, guide, to_x0
from laser_cli.errors import out_of_memory


@dataclass(frozen=True)
class Keyframe:
    """A prompt's states [1, l, d] and how strongly the picture reads the source (the controls' strengths, 0..1)."""

    states: Tensor
    texture: float = 0.0
    motion: float = 0.0


@dataclass(frozen=True)
class Between:
    """A frame at t in 0..1 between keyframes ``end - 1`` and ``end``; keyframe 0 is the source."""

    end: int
    t: float


@dataclass(frozen=True)
class Score:
    """What is to be drawn: the source's trajectory, the keyframes (0 is the source), the frames between, in order.

    Into itself injection is the identity, so keyframe 0's strengths only say how the first segment begins.
    """

    source: Trajectory
    keyframes: Sequence[Keyframe]
    frames: Sequence[Between]


@dataclass(frozen=True)
class Manner:
    """How it is drawn."""

    guidance: float = 3.0
    warmup: float = 0.5
    """Share of the steps, from the first, in which the frames' attention is interpolated between their keyframes."""
    chunk: int = 12
    """Frames in one U-Net call (twice as many rows when guided)."""


@dataclass(frozen=True)
class Drawn:
    """A stretch of finished latents [n, c, h, w]: ``frames`` from ``first`` on, or keyframe ``keyframe``."""

    latents: Tensor
    first: int = -1
    keyframe: int = -1


@dataclass(frozen=True)
class State:
    """A render after ``done`` steps: latents of its anchors and frames, overwritten when the next step begins.

    ``clean`` is what the pictures are heading for (x0), the anchors' and the frames'; a loaded state has none.
    """

    done: int
    anchors: Tensor
    frames: Tensor
    clean: tuple[Tensor, Tensor] | None = None


@dataclass(frozen=True)
class Step:
    """Progress: ``rows`` more U-Net evaluations are done; ``drawn`` is set when pictures are finished by them.

    ``state`` is set after every step but the last, for those who want to go on from there another time; ``chunk`` when
    memory ran out and so many frames at a time are tried from now on.
    """

    rows: int
    drawn: Drawn | None = None
    state: State | None = None
    chunk: int | None = None


def render(
    unet: Any,
    eps: NoisePredictor,
    levels: Sequence[Level],
    score: Score,
    manner: Manner,
    state: State | None = None,
) -> Iterator[Step]:
    """Draws the score; yields after every U-Net call, and finished pictures with the calls of the last step.

    Frames come in order; the keyframes come together before the first of them. Guidance leads away from the source's
    own prompt (negative-prompt inversion), so the source itself needs none. With ``state`` it goes on from there, to
    the same pictures.
    """
    source, keyframes, frames = score.source, score.keyframes, score.frames
    guided, n = manner.guidance != 1, len(keyframes) - 1
    device = source.latents.device
    states = torch.cat([k.states for k in keyframes])
    strengths = torch.tensor([(k.texture, k.motion) for k in keyframes], device=device)
    reads = [(k.texture > 0, k.motion > 0) for k in keyframes]
    conductor = Conductor(layers_of(getattr(unet, "attn_processors", {})), len(levels), manner.warmup)
    size = manner.chunk
    anchor_strengths = torch.cat([torch.zeros(1, 2, device=device), *[strengths[1:]] * (1 + guided)])
    anchor_rows = Rows(anchor_strengths, _either(reads[1:]), True, guided)
    anchors = source.noise.expand(1 + n, -1, -1, -1).clone()
    x = source.noise.expand(len(frames), -1, -1, -1).clone()
    clean = torch.empty_like(x)
    if state:
        anchors, x = state.anchors.to(device, copy=True), state.frames.to(device, copy=True)
    begin = state.done if state else 0

    def predict(latents: Tensor, level: Level, prompts: Tensor) -> Tensor:
        if not guided:
            return eps(latents, level, prompts)
        both = torch.cat([states[:1].expand_as(prompts), prompts])
        return guide(eps(torch.cat([latents, latents]), level, both), manner.guidance)

    def drawn(rows: slice, level: Level, offset: Tensor) -> Tensor:
        """The frames of one chunk, one step on."""
        end, t = frames[rows.start].end, torch.tensor([f.t for f in frames[rows]], device=device)
        share = t.view(-1, 1)
        blend = torch.lerp(strengths[end - 1].expand(len(t), -1), strengths[end].expand(len(t), -1), share)
        either = _either(reads[end - 1 : end + 1])
        conductor.rows = Rows(blend.repeat(1 + guided, 1), either, False, guided, end, t)
        begin, target = (states[i].expand(len(t), -1, -1) for i in (end - 1, end))
        e = predict(x[rows], level, torch.lerp(begin, target, share[..., None].to(states)))
        clean[rows] = to_x0(e, x[rows], level.alpha)
        latents = ddim_step(x[rows], e, level.alpha, level.alpha_prev)
        # A frame close to the source follows it all the way, so that nothing jumps after frame 0.
        return latents + (1 - share)[..., None, None] * offset if end == 1 else latents

    with (
        hooks.attention(unet, conductor.attend),
        hooks.features(unet, conductor.layers.features if n else (), conductor.feature),
    ):
        for i, level in enumerate(levels[begin:], start=begin):
            conductor.begin(i)
            last = i == len(levels) - 1
            if source.pinned:
                anchors[0] = source.latents[len(levels) - i]
            conductor.rows = anchor_rows
            e = _anchor_noise(eps, anchors, level, states, manner.guidance)
            heading = to_x0(e, anchors, level.alpha)
            anchors = ddim_step(anchors, e, level.alpha, level.alpha_prev)
            # How far the stored trajectory lies from where this step led: what pins the source to it.
            offset = source.latents[len(levels) - i - 1] - anchors[0] if source.pinned else torch.zeros_like(anchors[0])
            anchors[0] += offset
            yield Step(1 + n * (1 + guided))
            if last:
                for k in range(1 + n):
                    yield Step(0, Drawn(anchors[k : k + 1], keyframe=k))
            at = 0
            while at < len(frames):
                rows = _chunk(frames, at, size)
                try:
                    x[rows] = drawn(rows, level, offset)
                except (RuntimeError, MemoryError) as error:
                    if not out_of_memory(error) or rows.stop - at == 1:
                        raise
                    size = (rows.stop - at) // 2
                    yield Step(0, chunk=size)
                    continue
                at = rows.stop
                yield Step((rows.stop - rows.start) * (1 + guided), Drawn(x[rows], first=rows.start) if last else None)
            if not last:
                yield Step(0, state=State(i + 1, anchors, x, (heading, clean)))


def evaluations(pictures: int, steps: int, guidance: float) -> int:
    """U-Net evaluations (rows) of a render: the source once a step, every other picture once or, guided, twice."""
    return steps * (1 + (pictures - 1) * (2 if guidance != 1 else 1))


def _either(reads: Sequence[tuple[bool, bool]]) -> tuple[bool, bool]:
    return any(r[0] for r in reads), any(r[1] for r in reads)


def _anchor_noise(eps: NoisePredictor, anchors: Tensor, level: Level, states: Tensor, guidance: float) -> Tensor:
    """The anchors' noise in one batch [source | keyframes unprompted | keyframes prompted]."""
    if guidance == 1 or len(anchors) == 1:
        return eps(anchors, level, states)
    others = anchors[1:]
    e = eps(torch.cat([anchors, others]), level, torch.cat([states[:1], states[:1].expand_as(states[1:]), states[1:]]))
    return torch.cat([e[:1], guide(e[1:], guidance)])


def _chunk(frames: Sequence[Between], start: int, size: int) -> slice:
    """At most ``size`` frames from ``start`` on that lie in one segment."""
    stop = start + 1
    while stop < min(len(frames), start + size) and frames[stop].end == frames[start].end:
        stop += 1
    return slice(start, stop)
