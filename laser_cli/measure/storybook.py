"""The storybook models, measured on pictures they have not seen: what they keep, what they know, what they draw."""

from __future__ import annotations

import math
import random
from collections import defaultdict
from collections.abc import Callable, Sequence
from itertools import islice

import torch
from torch import Tensor

from laser_cli.engine.sample import denoise, last
from laser_cli.engine.schedule import noise_like
from laser_cli.errors import NotFoundError
from laser_cli.measure.figures import Figure
from laser_cli.measure.pictures import psnr
from laser_cli.models.model import Model
from laser_cli.stages.invert import invert_picture, regenerate, to_array
from laser_cli.storybook.crisp import crisp_puppet, crisp_scene
from laser_cli.storybook.critic import Critic, load_critic
from laser_cli.storybook.puppets import BLENDSHAPES, Puppet
from laser_cli.storybook.traits import READ, Reading, judge, judge_told
from laser_cli.storybook.world import Item, caption_of, draw, items

HELD_OUT = 10_000_019
"""The seed of what no training draws."""
SHOWN = 64
"""Generated pictures on a sheet."""
BARS = {
    **dict.fromkeys(("subject", "setting", "time"), 92.0),
    "colour": 88.0,
    **dict.fromkeys(("pattern", "weather", "style", "size", "place"), 80.0),
    **dict.fromkeys(READ["puppet"], 85.0),
}
"""Least share, in percent, of generated pictures in which an attribute is read as it was asked for."""
Say = Callable[[str], object]


def bench_storybook(
    model: Model, count: int, steps: int, guidance: float, say: Say = lambda text: None
) -> tuple[list[Figure], Tensor]:
    """All figures, and the first 64 generated pictures, [64, 3, h, w] in 0..1; without a critic what needs none."""
    critic = _critic(model, say)
    scenes, puppets = (list(islice(items(HELD_OUT, share), count // 2)) for share in (0.0, 1.0))
    say(f"drawing {count:,} held-out pictures")
    drawn = torch.cat([draw_all(scenes), draw_all(puppets)])
    say("round trips")
    back = round_trips(model, drawn)
    figures = [
        Figure(f"VAE round trip, {name}", mean_psnr(drawn[part], back[part]), "dB", 30.0, "higher")
        for name, part in (("scenes", slice(0, len(scenes))), ("puppets", slice(len(scenes), None)))
    ]
    asked = crisp(count if critic else min(count, SHOWN), HELD_OUT)
    made = generate_all(model, [caption_of(item) for item in asked], steps, guidance, say)
    figures.append(Figure("guidance of the generated pictures", guidance))
    if critic:
        say("reading")
        figures += true_reading(critic.read(drawn), [*scenes, *puppets])
        figures += generated_reading(critic.read(made), asked)
        figures += frechet_figures(critic, draw_all(asked), made, model)
    say("inversion")
    few = max(1, min(8, count // 125))
    return [*figures, inversion(model, [*scenes[:few], *puppets[:few]])], made[:SHOWN]


def _critic(model: Model, say: Say) -> Critic | None:
    """The critic; without one nothing is read, and that is said."""
    try:
        return load_critic(device=model.device)
    except NotFoundError as error:
        say(f"{error}: nothing is read from the pictures, no distances ({error.hint})")
        return None


def crisp(count: int, seed: int) -> list[Item]:
    """Scenes and puppets in turn, each told exactly by its caption."""
    rng = random.Random(seed)
    return [crisp_puppet(rng) if i % 2 else crisp_scene(rng) for i in range(count)]


def draw_all(pictures: Sequence[Item]) -> Tensor:
    """Drawn pictures, [n, 3, 128, 128], a hundred at a time."""
    return torch.cat([draw(pictures[i : i + 100]) for i in range(0, len(pictures), 100)])


@torch.inference_mode()
def round_trips(model: Model, pictures: Tensor) -> Tensor:
    """Pictures through the VAE and back."""
    return torch.cat([model.decode(model.encode_picture(part)).cpu() for part in pictures.split(32)])


def mean_psnr(a: Tensor, b: Tensor) -> float:
    """Mean PSNR in dB, picture by picture."""
    return sum(psnr(p, q) for p, q in zip(a, b, strict=True)) / len(a)


@torch.inference_mode()
def generate_all(
    model: Model, prompts: Sequence[str], steps: int, guidance: float, say: Say, batch: int = 25
) -> Tensor:
    """One picture a prompt, seeds 0, 1, 2 ..."""
    side, pictures = model.size // model.scale, []
    levels = model.schedule.levels(steps)
    for first in range(0, len(prompts), batch):
        say(f"generating {first:,} of {len(prompts):,}")
        part = prompts[first : first + batch]
        shape = (model.vae.config.latent_channels, side, side)
        x = torch.stack([noise_like(shape, first + i) for i in range(len(part))]).to(model.device)
        uncond, cond = model.encode_prompts([""]).expand(len(part)), model.encode_prompts(part)
        drawn = last(denoise(model.backbone, x, levels, cond, uncond, guidance, model.workers))
        pictures.append(model.decode(drawn).cpu())
    return torch.cat(pictures)


def shares(verdicts: Sequence[dict[str, bool]]) -> dict[str, float]:
    """Percent right of every attribute, over the items that show it."""
    said: dict[str, list[bool]] = defaultdict(list)
    for verdict in verdicts:
        for name, right in verdict.items():
            said[name].append(right)
    return {name: 100 * sum(right) / len(right) for name, right in said.items()}


def true_reading(readings: Sequence[Reading], drawn: Sequence[Item]) -> list[Figure]:
    """The critic on true renders: attributes right, mean error of expressions and angles."""
    right = shares([judge(read, item) for read, item in zip(readings, drawn, strict=True)])
    order = [name for family in READ.values() for name in family if name not in ("face", "pose")]
    figures = [Figure(f"critic on true renders: {n}", right[n], "%", 97.0, "higher") for n in order if n in right]
    puppets = [(r, item) for r, item in zip(readings, drawn, strict=True) if isinstance(item, Puppet)]
    face = [abs(r.numbers[n] - item.value(n)) for r, item in puppets for n in BLENDSHAPES]
    pose = [abs(r.numbers[n] - getattr(item, n)) for r, item in puppets for n in ("yaw", "pitch", "roll")]
    return [
        *figures,
        Figure("critic on true renders: expressions, mean error", sum(face) / max(1, len(face)), "", 0.08),
        Figure("critic on true renders: angles, mean error", sum(pose) / max(1, len(pose)), "deg", 3.0),
    ]


def generated_reading(readings: Sequence[Reading], asked: Sequence[Item]) -> list[Figure]:
    """Generated pictures, read by the critic, against what their captions say."""
    right = shares([judge_told(read, item) for read, item in zip(readings, asked, strict=True)])
    order = [name for family in READ.values() for name in family]
    return [Figure(f"generated: {n}", right[n], "%", BARS[n], "higher") for n in order if n in right]


def frechet_figures(critic: Critic, true: Tensor, made: Tensor, model: Model) -> list[Figure]:
    """Frechet distances to true renders of the same captions: generated, VAE round trips, other renders."""
    other = draw_all(crisp(len(true), seed=7))
    reference = critic.embedding(true)
    return [
        Figure("Frechet distance, generated", frechet(critic.embedding(made), reference)),
        Figure("Frechet distance, VAE round trip", frechet(critic.embedding(round_trips(model, true)), reference)),
        Figure("Frechet distance, other true renders", frechet(critic.embedding(other), reference)),
    ]


def frechet(a: Tensor, b: Tensor) -> float:
    """Frechet distance of two sets of features [n, d], each as a Gaussian (Heusel et al. 2017); nan of one row."""
    if min(len(a), len(b)) < 2:
        return math.nan  # no covariance
    a, b = a.double(), b.double()
    apart = (a.mean(0) - b.mean(0)).square().sum()
    p, q = torch.cov(a.T), torch.cov(b.T)
    root = torch.linalg.eigvals(p @ q).real.clamp_min(0).sqrt().sum()
    return float((apart + p.trace() + q.trace() - 2 * root).clamp_min(0))


def inversion(model: Model, pictures: Sequence[Item], steps: int = 50) -> Figure:
    """Plain DDIM from the noise of an inversion, guidance 1, against the VAE round trip."""
    total = 0.0
    for item in pictures:
        inverted = invert_picture(model, to_array(draw([item])[0]), caption_of(item), steps)
        total += psnr(regenerate(model, inverted).cpu(), model.decode(inverted.trajectory.latents[:1]).cpu())
    return Figure(f"inversion in {steps} steps, re-generated", total / len(pictures), "dB", 28.0, "higher")
