"""`laser bench conditions`: whether told outlines are followed, moves by moved outlines, and the ways between two."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from statistics import fmean

import torch
from torch import Tensor

from laser_cli.engine.sample import denoise, last
from laser_cli.engine.schedule import noise_like
from laser_cli.engine.spec import SamplingParams
from laser_cli.measure.figures import Figure
from laser_cli.measure.interpolations.scores import GRID, Score, maps_of, score
from laser_cli.measure.outlines import follows, outline_of
from laser_cli.models.conditioning import Conditioning
from laser_cli.models.control_net import ControlNet, conditioned, hinted, with_control_nets
from laser_cli.models.model import Model
from laser_cli.plan.schema import Plan, Segment
from laser_cli.stages.animate import Direction, Leads, animate, source_conditioning
from laser_cli.stages.conditions import Lead
from laser_cli.stages.interpolate import Endpoint, FrameSchedule, InterpolationParams, interpolate, prepare
from laser_cli.stages.invert import invert_picture, to_array, to_tensor
from laser_cli.stages.spacing import uniform
from laser_cli.storybook.classifier import AttributeClassifier
from laser_cli.storybook.crisp import crisp_scene
from laser_cli.storybook.look import look_of
from laser_cli.storybook.scenes import Scene, blend
from laser_cli.storybook.traits import judge_told
from laser_cli.storybook.world import caption_of, draw

FOLLOWED = 90.0
"""Least percentage of held-out items whose told outline is followed."""
PARTS = 3
"""Keyframes that a move has after the picture, each under its own outline."""
WAYS = {
    "conditions blended, attention too": (False, True),
    "conditions blended": (False, False),
    "residuals blended, attention too": (True, True),
    "residuals blended": (True, False),
}
"""Ways from one condition to another: whether residuals are blended, not conditions; whether attention is interpolated
inside the net as well (AID)."""
Say = Callable[[str], object]


@dataclass(frozen=True)
class Move:
    """A scene that goes from one place to another; ``at`` are its keyframes, the picture first."""

    at: Sequence[Scene]

    @property
    def picture(self) -> Scene:
        """What is there."""
        return self.at[0]


def bench_conditions(
    model: Model,
    net: ControlNet,
    classifier: AttributeClassifier,
    count: int,
    moves: int,
    pairs: int,
    steps: int,
    guidance: float,
    seed: int = 1,
    say: Say = lambda text: None,
) -> list[Figure]:
    """Figures of outlines followed in ``count`` items, of so many moves, and of the ways between so many pairs."""
    led, rng = with_control_nets(model, [net]), random.Random(seed)
    scenes = [crisp_scene(rng) for _ in range(count)]
    figures: list[Figure] = []
    if scenes:
        figures += outlines_followed(led, classifier, scenes, steps, guidance, say)
    if moves:
        made = [move(rng) for _ in range(moves)]
        figures += moves_kept(led, classifier, made, steps, guidance, say)
    if pairs:
        figures += ways_between(model, net, classifier, [pair(rng) for _ in range(pairs)], steps, guidance, say)
    return figures


def outlines_followed(
    led: Model, classifier: AttributeClassifier, scenes: Sequence[Scene], steps: int, guidance: float, say: Say
) -> list[Figure]:
    """How often the told outline is there in pictures that are led by it, and in those of the caption alone."""
    figures, count = [], len(scenes)
    true = draw(scenes, look=look_of(led.size))
    figures.append(Figure("outline followed, true renders", _percent(follows, true, scenes), "%", of=count))
    for name, shown, target in (("led by it", True, FOLLOWED), ("from the caption alone", False, None)):
        say(f"drawing {count:,} pictures {name}")
        made = torch.cat(list(drawn(led, scenes, shown, steps, guidance)))
        figures.append(
            Figure(f"outline followed, {name}", _percent(follows, made, scenes), "%", target, "higher", count)
        )
        right = [judge_told(read, scene)["subject"] for read, scene in zip(classifier.read(made), scenes, strict=True)]
        figures.append(Figure(f"subject read as told, {name}", 100 * fmean(right), "%", of=count))
    return figures


@torch.inference_mode()
def drawn(
    led: Model, scenes: Sequence[Scene], shown: bool, steps: int, guidance: float, batch: int = 20
) -> Iterator[Tensor]:
    """Pictures [n, 3, s, s] from captions, led by the scenes' outlines if these are shown; seeds 0, 1, 2 ..."""
    side, nets, levels = led.size // led.scale, led.backbone.control_nets, led.schedule.levels(steps)
    empty, shape = led.encode_prompts([""]), (led.vae.config.latent_channels, side, side)
    for first in range(0, len(scenes), batch):
        part = scenes[first : first + batch]
        told = led.encode_prompts([caption_of(scene) for scene in part])
        if shown:
            told = conditioned(told, nets, [outline_of(part, led.size).float().expand(-1, 3, -1, -1).to(led.device)])
        x = torch.stack([noise_like(shape, first + i) for i in range(len(part))]).to(led.device)
        yield led.decode(last(denoise(led.backbone, x, levels, told, empty.beside(told), guidance, led.workers))).cpu()


def move(rng: random.Random) -> Move:
    """A scene whose subject goes from one side to the other, or from the middle to a side."""
    begin, end = rng.choice(((0.0, -1.0), (0.0, 1.0), (1.0, -1.0), (-1.0, 1.0)))
    scene = replace(crisp_scene(rng), place=begin, size=rng.choice((0.0, 0.5)))
    return Move([blend(scene, replace(scene, place=end), k / PARTS) for k in range(PARTS + 1)])


def moves_kept(
    led: Model, classifier: AttributeClassifier, moves: Sequence[Move], steps: int, guidance: float, say: Say
) -> list[Figure]:
    """How often a moved subject is where it should be, and in its own shape: by outlines, and by plain redrawing."""
    count, figures = len(moves), []
    for name, control, shown in (
        ("by moved outlines", "hold", True),
        ("plainly redrawn", "hold", False),
        ("redrawn with motion control", "motion", False),
    ):
        say(f"moving {count} subjects {name}")
        kept, clear = [], []
        for each in moves:
            frames = moved(led, each, control, shown, steps, guidance)
            kept += [follows(frame, scene) for frame, scene in zip(frames[2::2], each.at[1:], strict=True)]
            subject = each.picture.subject[0][0]
            clear += [read.shares["subject"][subject] >= 0.5 for read in classifier.read(frames[1:])]
        target = FOLLOWED if shown else None
        figures.append(
            Figure(f"keyframes of a move in place and shape, {name}", 100 * fmean(kept), "%", target, "higher", count)
        )
        figures.append(Figure(f"frames of a move that show its subject, {name}", 100 * fmean(clear), "%", of=count))
    return figures


def moved(led: Model, each: Move, control: str, shown: bool, steps: int, guidance: float) -> Tensor:
    """The frames of a move, [n, 3, s, s] in 0..1: its keyframes, and one frame between each two."""
    picture = to_array(draw([each.picture], look=look_of(led.size))[0])
    captions = [caption_of(scene) for scene in each.at]
    segments = tuple(Segment(prompt=said, control=control, frames=3, easing="linear") for said in captions[1:])
    plan = Plan(source=captions[0], segments=segments)
    lines = (outline_of(each.at, led.size).float().expand(-1, 3, -1, -1) * 255).byte().permute(0, 2, 3, 1).numpy()
    leads = Leads([Lead((line,)) for line in lines]) if shown else None
    told = source_conditioning(led, captions[0], leads, (led.size, led.size))
    inversion = invert_picture(led, picture, captions[0], steps, conditioning=told)
    frames = animate(
        led, plan, inversion, SamplingParams(guidance), picture, pace=None, direction=Direction(leads=leads)
    )
    return torch.cat([to_tensor(frame.array) for frame in frames])


def pair(rng: random.Random) -> tuple[Scene, Scene]:
    """A scene and the same with another size and place."""
    scene = crisp_scene(rng)
    return replace(scene, size=0.2, place=-0.3), replace(scene, size=0.8, place=0.3)


def ways_between(
    model: Model,
    net: ControlNet,
    classifier: AttributeClassifier,
    pairs: Sequence[tuple[Scene, Scene]],
    steps: int,
    guidance: float,
    say: Say,
    frames: int = 7,
) -> list[Figure]:
    """Each way between two conditions: how even it is, its largest step, and how far it is from the true one."""
    figures = []
    for name, (apart, inside) in WAYS.items():
        say(f"between outlines: {name}")
        scores = [between(model, net, classifier, both, apart, inside, steps, guidance, frames) for both in pairs]
        for what, value in (
            ("smoothness", fmean(s.smoothness for s in scores)),
            ("largest / median step", fmean(s.largest for s in scores)),
            ("distance to the true way", fmean(t for s in scores for t in s.truth)),
        ):
            figures.append(Figure(f"between outlines, {name}: {what}", value, of=len(pairs)))
    return figures


def between(
    model: Model,
    net: ControlNet,
    classifier: AttributeClassifier,
    both: tuple[Scene, Scene],
    apart: bool,
    inside: bool,
    steps: int,
    guidance: float,
    frames: int,
) -> Score:
    """One pair one way (see WAYS): the net twice, one fading out and one fading in, is what blends residuals."""
    nets = [replace(net, interpolated=inside)] * (1 + apart)
    led, params = with_control_nets(model, nets), InterpolationParams(steps=steps, sampling=SamplingParams(guidance))
    asked = [Endpoint(caption_of(scene)) for scene in both]
    endpoints = prepare(led, asked, params, (0,), (led.size, led.size))
    lines = outline_of(both, led.size).float().expand(-1, 3, -1, -1).to(led.device)
    hints = [net.hint(line[None]) for line in lines]
    keyframes = [
        replace(keyframe, conditioning=_under(keyframe.conditioning, hints, k, apart))
        for k, keyframe in enumerate(endpoints.keyframes)
    ]
    schedule: FrameSchedule = uniform(frames, 1)
    drawn = interpolate(led, replace(endpoints, keyframes=keyframes), params, schedule)
    pictures = torch.cat([to_tensor(picture.array) for picture in drawn])
    true = draw([blend(*both, t) for t in GRID], look=look_of(led.size))
    return score(classifier, pictures, maps_of(classifier, true))


def _under(told: Conditioning, hints: Sequence[Tensor], k: int, apart: bool) -> Conditioning:
    """A keyframe's conditioning under its own hint; ``apart``: under both, of which its own alone counts."""
    if not apart:
        return hinted(told, {0: hints[k]})
    for i, hint in enumerate(hints):
        told = hinted(told, {i: hint}, float(i == k))
    return told


def _percent(right: Callable[[Tensor, Scene], bool], pictures: Tensor, scenes: Sequence[Scene]) -> float:
    return 100 * fmean(right(picture, scene) for picture, scene in zip(pictures, scenes, strict=True))
