"""The interpolation: prompts and pictures as endpoints, and the pictures between them, in order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from laser_cli.controls.aid import Blend, Kind, blend_of, slerp, slerp_rows, slerp_states
from laser_cli.engine.render import render
from laser_cli.engine.schedule import noise_like
from laser_cli.engine.spec import Frame, FrameConditioning, Keyframe, RenderSpec, RenderState, SamplingParams
from laser_cli.models.adapter import See
from laser_cli.models.conditioning import Conditioning
from laser_cli.models.model import Model
from laser_cli.stages.animate import Picture
from laser_cli.stages.checkpoint import Checkpointer
from laser_cli.stages.conditions import Courses, Lead, led
from laser_cli.stages.detail import given_back
from laser_cli.stages.follow import Warn, finished
from laser_cli.stages.invert import Report, invert_picture, to_array, to_tensor
from laser_cli.stages.preview import PreviewWriter

Method = Literal["outer", "inner", "text", "denoise", "dissolve"]
"""AID outer and inner; and what they are compared with: the text alone interpolated, the prompt changed on the way of
the denoising (late for small t), and a cross-dissolve of the endpoints' pictures."""


@dataclass(frozen=True)
class Endpoint:
    """A keyframe as asked for: what it shows, the picture (h, w, 3) uint8 if it is one, and what else leads it."""

    prompt: str
    picture: np.ndarray | None = None
    lead: Lead = field(default_factory=Lead)


@dataclass(frozen=True)
class InterpolationParams:
    """How the in-betweens are made; ``guides``: none, or a prompt for each segment (PAID)."""

    method: Method = "outer"
    fused: bool = True
    embeddings: Literal["lerp", "slerp"] = "lerp"
    noise_slerp: Literal["whole", "rows"] = "whole"
    guides: tuple[str, ...] = ()
    steps: int = 25
    sampling: SamplingParams = field(default_factory=SamplingParams)

    @property
    def blend(self) -> Blend | None:
        """The attention's interpolation, if there is one."""
        kinds: dict[str, Kind] = {"outer": "outer", "inner": "inner"}
        return blend_of(kinds[self.method], self.fused) if self.method in kinds else None


@dataclass(frozen=True)
class Endpoints:
    """Endpoints made ready: as keyframes of the engine, with the pictures that some of them are (index to [3, h, w]).

    ``base``: what guidance leads away from (one row); ``guides``: one row for each segment, or none at all.
    ``courses``: how conditions go on between the keyframes.
    """

    keyframes: Sequence[Keyframe]
    base: Conditioning
    guides: Conditioning | None
    pictures: dict[int, Tensor]
    courses: Courses = field(default_factory=Courses)


@dataclass(frozen=True)
class FrameSchedule:
    """When frames are: those between the keyframes in order, and the keyframes' numbers in the animation."""

    frames: Sequence[Frame]
    places: Sequence[int]

    @property
    def total(self) -> int:
        """Pictures, keyframes included."""
        return len(self.frames) + len(self.places)

    @property
    def late(self) -> int:
        """Frames that start late, on the arc over a jump."""
        return sum(frame.arc is not None for frame in self.frames)

    @property
    def jumps(self) -> int:
        """Jumps that are bridged by late frames."""
        arcs = [frame.arc for frame in self.frames]
        return sum(arc is not None and (i == 0 or not _same(arcs[i - 1], arc)) for i, arc in enumerate(arcs))

    @staticmethod
    def of(frames: Sequence[Frame], keyframes: int) -> FrameSchedule:
        """The schedule of these frames between so many keyframes."""
        return FrameSchedule(frames, [sum(f.segment < k for f in frames) + k for k in range(keyframes)])


def _same(a: object, b: object) -> bool:
    """Whether two arcs lead from the same frame to the same frame."""
    return a is not None and (a.left, a.right) == (b.left, b.right)  # type: ignore[attr-defined]


@torch.inference_mode()
def prepare(
    model: Model,
    asked: Sequence[Endpoint],
    params: InterpolationParams,
    seeds: Sequence[int],
    size: tuple[int, int],
    report: Report = lambda nfe: None,
    see: See | None = None,
    negative: str = "",
) -> Endpoints:
    """Encodes all prompts, inverts the pictures, and gives the prompts their noise, at (w, h) px.

    With ``see`` (models.adapter) every endpoint is rendered, and inverted, under its image prompt as well.

    One seed: all prompts share one noise, that of the first picture if there is one (so that they keep its layout),
    else the seed's. As many seeds as endpoints: each has its own, a picture's is not used.
    """
    told = model.encode_prompts([negative, *(a.prompt for a in asked), *params.guides])
    alone = [told.select([1 + k]) for k in range(len(asked))]
    conditionings, courses = led(model, alone, [a.lead for a in asked], size, see)
    shape = (model.vae.config.latent_channels, size[1] // model.scale, size[0] // model.scale)
    pictures = {k: to_tensor(a.picture)[0].to(model.device) for k, a in enumerate(asked) if a.picture is not None}
    inverted = {
        k: invert_picture(
            model, a.picture, a.prompt, params.steps, report=report, conditioning=conditionings[k]
        ).trajectory
        for k, a in enumerate(asked)
        if a.picture is not None
    }
    shared = next((t.noise for t in inverted.values()), None)
    keyframes = []
    for k in range(len(asked)):
        if k in inverted:
            noise = inverted[k].noise
        elif len(seeds) == 1:
            noise = noise_like(shape, seeds[0])[None].to(model.device) if shared is None else shared
        else:
            noise = noise_like(shape, seeds[k])[None].to(model.device)
        keyframes.append(Keyframe(noise, conditionings[k], inverted.get(k)))
    guides = told.select(slice(1 + len(asked), None)) if params.guides else None
    return Endpoints(keyframes, told.select([0]), guides, pictures, courses)


def spec_of(endpoints: Endpoints, params: InterpolationParams, frames: Sequence[Frame]) -> RenderSpec:
    """The render of these frames; a cross-dissolve renders its endpoints alone."""
    frames = [] if params.method == "dissolve" else frames
    conditioning = frame_conditioning(endpoints, params)
    way = slerp_rows if params.noise_slerp == "rows" else slerp
    return RenderSpec(
        endpoints.keyframes, frames, endpoints.base, blend=params.blend, conditioning=conditioning, slerp=way
    )


def single_frame(endpoints: Endpoints, at: float) -> tuple[Endpoints, FrameSchedule]:
    """The two endpoints around a place ``at`` 0..1 of the whole way, and the one picture there between them."""
    segments = len(endpoints.keyframes) - 1
    k = min(segments - 1, int(at * segments))
    pictures = {i - k: picture for i, picture in endpoints.pictures.items() if i in (k, k + 1)}
    guides = endpoints.guides.select([k]) if endpoints.guides else None
    two = replace(
        endpoints,
        keyframes=endpoints.keyframes[k : k + 2],
        guides=guides,
        pictures=pictures,
        courses=endpoints.courses.only(k, 2),
    )
    return two, FrameSchedule([Frame(0, at * segments - k)], (0, 2))


def frame_conditioning(endpoints: Endpoints, params: InterpolationParams) -> FrameConditioning:
    """The text of a frame: lerp or slerp of its endpoints', the guide's, or one endpoint's after the other's.

    A guide has no image prompt and no conditions: those are its endpoints'.
    """
    blend = slerp_states if params.embeddings == "slerp" else torch.lerp

    def text(step: int, segment: int, t: Tensor) -> Conditioning:
        begin, end = (endpoints.keyframes[k].conditioning for k in (segment, segment + 1))
        if endpoints.guides is not None:
            guide = endpoints.guides.select([segment]).expand(len(t))
            between = begin.lerp(end, t)
            return replace(guide, image_embeds=between.image_embeds, spatial=between.spatial)
        if params.method == "denoise":
            # the last t of all steps see the end's prompt; where it changes within a step, its share of that
            t = (step + 1 - (1 - t) * params.steps).clamp(0, 1)
        return begin.lerp(end, t, blend)

    return endpoints.courses.of_frames(text)


@torch.inference_mode()
def interpolate(
    model: Model,
    endpoints: Endpoints,
    params: InterpolationParams,
    schedule: FrameSchedule,
    exact: bool = True,
    report: Report = lambda nfe: None,
    warn: Warn = lambda text: None,
    preview: PreviewWriter | None = None,
    checkpointer: Checkpointer | None = None,
    state: RenderState | None = None,
) -> Iterator[Picture]:
    """Yields endpoints and frames in order, each once.

    With ``exact``, an endpoint that is a picture is exactly that: what the VAE loses of it is given back to the frames
    near it (stages.detail). With a ``checkpointer`` every state is saved; ``state`` is one that was, to go on from.
    """
    spec, levels = spec_of(endpoints, params, schedule.frames), model.schedule.levels(params.steps)
    numbers = [i for i in range(schedule.total) if i not in set(schedule.places)]
    at = dict(zip(numbers, schedule.frames, strict=True))
    ends: dict[int, Tensor] = {}
    lost: dict[int, Tensor] = {}
    waiting: dict[int, Tensor] = {}
    due = 0
    steps = render(model.backbone, levels, spec, params.sampling, state, model.workers, clean=preview is not None)
    places = (schedule.places, numbers if spec.frames else [])
    for done in finished(steps, model, schedule.frames, places, report, warn, checkpointer, preview):
        if done.keyframe >= 0:
            k = done.keyframe
            ends[k] = model.decode(done.latents)[0]
            if exact and k in endpoints.pictures:
                lost[k] = endpoints.pictures[k] - ends[k]
        else:
            waiting.update(zip(numbers[done.first :], model.decode(done.latents), strict=False))
        while len(ends) == len(spec.keyframes) and due < schedule.total:
            if due in schedule.places:
                picture = _whole(ends, lost, schedule.places.index(due))
            elif params.method == "dissolve":
                f = at[due]
                picture = torch.lerp(_whole(ends, lost, f.segment), _whole(ends, lost, f.segment + 1), f.t)
            elif due in waiting:
                f = at[due]
                picture = waiting.pop(due) + given_back(f.t, lost.get(f.segment), lost.get(f.segment + 1))
            else:
                break
            yield Picture(due, to_array(picture.clamp(0, 1)))
            due += 1


def _whole(ends: dict[int, Tensor], lost: dict[int, Tensor], k: int) -> Tensor:
    """An endpoint's picture with what the VAE loses of it."""
    return ends[k] + lost[k] if k in lost else ends[k]
