"""The interpolation: prompts and pictures as stops, and the pictures between them, in order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from laser_cli.controls.aid import Blend, Kind, blend_of, slerp_states
from laser_cli.engine.adapter import See, shown
from laser_cli.engine.between import Bridge, Prompting, Stop, Way, interpolate
from laser_cli.engine.models import Model
from laser_cli.engine.render import Between, Manner, State
from laser_cli.engine.schedule import noise_like
from laser_cli.stages.animate import Picture, Warn, fewer
from laser_cli.stages.invert import Report, invert_picture, to_array, to_tensor
from laser_cli.stages.preview import Glimpse
from laser_cli.stages.resume import Keeper, Saved

Method = Literal["outer", "inner", "text", "denoise", "dissolve"]
"""AID outer and inner; and what they are compared with: the text alone interpolated, the prompt changed on the way of
the denoising (late for small t), and a cross-dissolve of the stops' pictures."""


@dataclass(frozen=True)
class Asked:
    """A stop as asked for: what it shows, the picture (h, w, 3) uint8 if it is one, and a picture as image prompt."""

    prompt: str
    picture: np.ndarray | None = None
    image: np.ndarray | None = None


@dataclass(frozen=True)
class Approach:
    """How the in-betweens are made; ``guides``: none, or a prompt for each segment (PAID)."""

    method: Method = "outer"
    fused: bool = True
    embeddings: Literal["lerp", "slerp"] = "lerp"
    guides: tuple[str, ...] = ()
    steps: int = 25
    manner: Manner = field(default_factory=Manner)

    @property
    def blend(self) -> Blend | None:
        """The attention's interpolation, if there is one."""
        kinds: dict[str, Kind] = {"outer": "outer", "inner": "inner"}
        return blend_of(kinds[self.method], self.fused) if self.method in kinds else None


@dataclass(frozen=True)
class Chain:
    """Stops made ready: as anchors of the engine, with the pictures that some of them are (index to [3, h, w]).

    ``images``: how many of the states' rows, the last ones, are of image prompts.
    """

    stops: Sequence[Stop]
    negative: Tensor
    guides: Sequence[Tensor]
    pictures: dict[int, Tensor]
    images: int = 0


@dataclass(frozen=True)
class Course:
    """When frames are: those between the stops in order, bridges over jumps, the stops' numbers in the animation."""

    frames: Sequence[Between]
    places: Sequence[int]
    bridges: Sequence[Bridge] = ()

    @property
    def total(self) -> int:
        """Pictures, stops included."""
        return len(self.frames) + len(self.places)

    @staticmethod
    def again(saved: Saved, stops: int) -> Course:
        """The course that was saved of a chain of so many stops."""
        places = [sum(f.end <= k for f in saved.frames) + k for k in range(stops)]
        return Course(saved.frames, places, saved.bridges)


@torch.inference_mode()
def prepare(
    model: Model,
    asked: Sequence[Asked],
    approach: Approach,
    seeds: Sequence[int],
    size: tuple[int, int],
    report: Report = lambda rows: None,
    see: See | None = None,
) -> Chain:
    """Encodes all prompts, inverts the pictures, and gives the prompts their noise, at (w, h) px.

    With ``see`` (engine.adapter) every stop is drawn, and inverted, under its image prompt as well.

    One seed: all prompts share one noise, that of the first picture if there is one (so that they keep its layout),
    else the seed's. As many seeds as stops: each has its own, a picture's is not used.
    """
    states = list(model.encode_prompts(["", *(a.prompt for a in asked), *approach.guides]).split(1))
    for k, a in enumerate(asked):
        if see and a.image is not None:
            states[1 + k] = shown(states[1 + k], see([to_tensor(a.image)[0]]))
    shape = (model.vae.config.latent_channels, size[1] // model.scale, size[0] // model.scale)
    pictures = {k: to_tensor(a.picture)[0].to(model.device) for k, a in enumerate(asked) if a.picture is not None}
    inverted = {
        k: invert_picture(model, a.picture, a.prompt, approach.steps, report=report, states=states[1 + k]).trajectory
        for k, a in enumerate(asked)
        if a.picture is not None
    }
    shared = next((t.noise for t in inverted.values()), None)
    stops = []
    for k in range(len(asked)):
        if k in inverted:
            noise = inverted[k].noise
        elif len(seeds) == 1:
            noise = noise_like(shape, seeds[0])[None].to(model.device) if shared is None else shared
        else:
            noise = noise_like(shape, seeds[k])[None].to(model.device)
        stops.append(Stop(noise, states[1 + k], inverted.get(k)))
    images = 0 if model.unseen is None else model.unseen.shape[1]
    return Chain(stops, states[0], states[1 + len(asked) :], pictures, images)


def way_of(chain: Chain, approach: Approach, course: Course) -> Way:
    """A chain's course for the engine."""
    frames = [] if approach.method == "dissolve" else course.frames
    bridges = () if approach.method == "dissolve" else course.bridges
    return Way(chain.stops, frames, chain.negative, prompting(chain, approach), bridges)


def single(chain: Chain, at: float) -> tuple[Chain, Course]:
    """The two stops around a place ``at`` 0..1 of the whole way, and the one picture there between them."""
    segments = len(chain.stops) - 1
    end = min(segments, int(at * segments) + 1)
    pictures = {k - end + 1: picture for k, picture in chain.pictures.items() if k in (end - 1, end)}
    two = Chain(chain.stops[end - 1 : end + 1], chain.negative, chain.guides[end - 1 : end], pictures, chain.images)
    return two, Course([Between(1, at * segments - (end - 1))], (0, 2))


def prompting(chain: Chain, approach: Approach) -> Prompting:
    """The text a frame is drawn by: lerp or slerp of its stops', the guide's, or one stop's after the other's.

    A guide has no image prompt: that is its stops'.
    """

    def states(step: int, end: int, t: Tensor) -> Tensor:
        begin, target = chain.stops[end - 1].states, chain.stops[end].states
        if chain.guides:
            guide = chain.guides[end - 1].expand(len(t), -1, -1)
            if not chain.images:
                return guide
            between = torch.lerp(begin, target, t.to(begin).view(-1, 1, 1))
            return shown(guide, between[:, -chain.images :])
        if approach.method == "denoise":
            # the last t of all steps see the target; where it changes within a step, its share of that
            t = (step + 1 - (1 - t) * approach.steps).clamp(0, 1)
        if approach.embeddings == "slerp":
            return slerp_states(begin, target, t)
        return torch.lerp(begin, target, t.to(begin).view(-1, 1, 1))

    return states


@torch.inference_mode()
def draw(
    model: Model,
    chain: Chain,
    approach: Approach,
    course: Course,
    exact: bool = True,
    report: Report = lambda rows: None,
    warn: Warn = lambda text: None,
    glimpse: Glimpse | None = None,
    keeper: Keeper | None = None,
    begun: State | None = None,
) -> Iterator[Picture]:
    """Yields stops and frames in order, each once.

    With ``exact``, a stop that is a picture is exactly that: what the VAE loses of it is given back to the frames near
    it, by (1 - t)^2. With a ``keeper`` every state is saved; ``begun`` is one that was, to go on from.
    """
    way, levels = way_of(chain, approach, course), model.schedule.levels(approach.steps)
    numbers = [i for i in range(course.total) if i not in set(course.places)]
    at = dict(zip(numbers, course.frames, strict=True))
    anchors: dict[int, Tensor] = {}
    lost: dict[int, Tensor] = {}
    held: dict[int, Tensor] = {}
    due = 0
    for step in interpolate(model.unet, model.eps, levels, way, approach.manner, approach.blend, begun):
        report(step.rows)
        if step.chunk:
            warn(fewer(step.chunk))
        if step.state and keeper:
            keeper.keep(step.state, course.frames, course.bridges)
        if step.state and glimpse:
            glimpse.look(model, step.state, course.places, numbers if way.frames else [])
        if step.drawn is None:
            continue
        if step.drawn.keyframe >= 0:
            k = step.drawn.keyframe
            anchors[k] = model.decode(step.drawn.latents)[0]
            if exact and k in chain.pictures:
                lost[k] = chain.pictures[k] - anchors[k]
        else:
            held.update(zip(numbers[step.drawn.first :], step.drawn.latents.split(1), strict=False))
        while len(anchors) == len(way.stops) and due < course.total:
            if due in course.places:
                k = course.places.index(due)
                picture = anchors[k] + lost[k] if k in lost else anchors[k]
            elif approach.method == "dissolve":
                f = at[due]
                picture = torch.lerp(_whole(anchors, lost, f.end - 1), _whole(anchors, lost, f.end), f.t)
            elif due in held:
                f, picture = at[due], model.decode(held.pop(due))[0]
                for k, share in ((f.end - 1, (1 - f.t) ** 2), (f.end, f.t**2)):
                    picture = picture + share * lost[k] if k in lost else picture
            else:
                break
            yield Picture(due, to_array(picture.clamp(0, 1)))
            due += 1


def _whole(anchors: dict[int, Tensor], lost: dict[int, Tensor], k: int) -> Tensor:
    return anchors[k] + lost[k] if k in lost else anchors[k]
