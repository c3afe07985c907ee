"""The storybook models, measured on pictures they have not seen: what they keep, what they know, what they draw."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable, Sequence
from itertools import islice
from typing import Any

import torch
import torch.nn.functional as F
from diffusers import DDIMScheduler
from torch import Tensor

from laser_cli.engine.sample import denoise, last
from laser_cli.engine.schedule import noise_like
from laser_cli.errors import NotFoundError
from laser_cli.measure.figures import Figure, mean
from laser_cli.measure.pictures import frechet, psnr
from laser_cli.models.model import Model
from laser_cli.stages.invert import invert_picture, regenerate, to_array
from laser_cli.storybook.classifier import AttributeClassifier, load_classifier
from laser_cli.storybook.crisp import crisp_puppet, crisp_scene
from laser_cli.storybook.look import look_of
from laser_cli.storybook.puppets import BLENDSHAPES, EXPRESSIONS, Puppet, wearing
from laser_cli.storybook.train.cache import tokens
from laser_cli.storybook.train.common import HELD_OUT, gradient_energy
from laser_cli.storybook.train.report import v_errors
from laser_cli.storybook.traits import READ, Reading, judge, judge_told
from laser_cli.storybook.world import Item, caption_of, draw, draw_with_masks, items

SHOWN = 64
"""Generated pictures on a sheet."""
BARS = {
    **dict.fromkeys(("subject", "setting", "time", "colour"), 95.0),
    **dict.fromkeys(("pattern", "weather", "style", "size", "place", *READ["puppet"]), 88.0),
    "face": 90.0,
}
"""Least share, in percent, of generated pictures in which an attribute is read as it was asked for."""
FAINT = {"angry": 80.0, "sad": 80.0}
"""Expressions that change few pixels, and the least share of faces that show them where asked."""
Say = Callable[[str], object]


def bench_storybook(
    model: Model, count: int, steps: int, guidance: float, say: Say = lambda text: None
) -> tuple[list[Figure], Tensor]:
    """All figures, and the first 64 generated pictures, [64, 3, h, w] in 0..1; without a classifier what needs none."""
    classifier = _classifier(model, say)
    scenes, puppets = (list(islice(items(HELD_OUT, share), max(1, count // 2))) for share in (0.0, 1.0))
    say(f"drawing {len(scenes) + len(puppets):,} held-out pictures")
    drawn, masks = draw_all([*scenes, *puppets], model.size)
    say("round trips")
    back = round_trips(model, drawn)
    figures = [
        Figure(f"VAE round trip, {name}", mean_psnr(drawn[part], back[part]), "dB", 32.0, "higher")
        for name, part in (("scenes", slice(0, len(scenes))), ("puppets", slice(len(scenes), None)))
    ]
    figures.append(Figure("sharpness of VAE round trips", sharpness(back, drawn), "%", 90.0, "higher"))
    if model.schedule.prediction == "v_prediction":
        say("held-out errors")
        figures += v_figures(model, drawn, masks, [caption_of(item) for item in [*scenes, *puppets]])
    asked = crisp(count if classifier else min(count, SHOWN), HELD_OUT)
    made = generate_all(model, [caption_of(item) for item in asked], steps, guidance, say)
    figures.append(Figure("guidance of the generated pictures", guidance))
    true = draw_all(asked, model.size)[0]
    figures.append(Figure("sharpness of generated pictures", sharpness(made, true), "%", 85.0, "higher"))
    if classifier:
        say("reading")
        figures += true_reading(classifier.read(drawn), [*scenes, *puppets])
        figures += generated_reading(classifier.read(made), asked)
        figures += frechet_figures(classifier, true, made, model)
    say("inversion")
    few = max(1, min(8, count // 125))
    return [*figures, inversion(model, [*scenes[:few], *puppets[:few]])], made[:SHOWN]


def _classifier(model: Model, say: Say) -> AttributeClassifier | None:
    """The classifier; without one nothing is read, and that is said."""
    try:
        return load_classifier(device=model.device)
    except NotFoundError as error:
        say(f"{error}: nothing is read from the pictures, no distances ({error.hint})")
        return None


def crisp(count: int, seed: int) -> list[Item]:
    """Scenes and puppets in turn, each told exactly by its caption."""
    rng = random.Random(seed)
    return [crisp_puppet(rng) if i % 2 else crisp_scene(rng) for i in range(count)]


def draw_all(pictures: Sequence[Item], size: int) -> tuple[Tensor, Tensor]:
    """Pictures [n, 3, size, size] and subjects' masks [n, 1, size, size], drawn a few at a time."""
    parts = [draw_with_masks(pictures[i : i + 32], size, look=look_of(size)) for i in range(0, len(pictures), 32)]
    drawn, masks = zip(*parts, strict=True)
    return torch.cat(drawn), torch.cat(masks)


def sharpness(pictures: Tensor, true: Tensor) -> float:
    """Gradient energy in percent of that of the true renders."""
    return 100 * gradient_energy(pictures) / gradient_energy(true)


@torch.inference_mode()
def v_figures(model: Model, pictures: Tensor, masks: Tensor, captions: Sequence[str], most: int = 256) -> list[Figure]:
    """Mean squared error of the U-Net's v over five timesteps, everywhere and on subjects (mask squared)."""
    step = max(1, len(pictures) // most)
    pictures, masks, captions = pictures[::step], masks[::step], captions[::step]
    latents = torch.cat([model.encode_picture(part) for part in pictures.split(32)])
    weight = F.interpolate(masks, latents.shape[-2:], mode="area").square().to(latents)
    ids = tokens(model.tokenizer, captions).to(model.device)
    states = torch.cat([model.text_encoder(part).last_hidden_state for part in ids.split(64)])
    alphas = DDIMScheduler.from_config(dict(model.schedule.config)).alphas_cumprod.to(model.device)

    def unet(x: Tensor, t: Tensor, told: Tensor) -> Any:
        return model.unet(x.to(model.dtype), t, told.to(model.dtype))

    errors = v_errors(unet, latents, weight, states, alphas)
    return [
        Figure(f"held-out error of v, {name}", sum(e[i] for e in errors.values()) / len(errors), "", None)
        for i, name in enumerate(("everywhere", "on subjects"))
    ]


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
    """The classifier on true renders: attributes right, mean error of expressions and angles."""
    right = shares([judge(read, item) for read, item in zip(readings, drawn, strict=True)])
    order = [name for family in READ.values() for name in family if name not in ("face", "pose")]
    figures = [Figure(f"classifier on true renders: {n}", right[n], "%", 97.0, "higher") for n in order if n in right]
    puppets = [(r, item) for r, item in zip(readings, drawn, strict=True) if isinstance(item, Puppet)]
    face = [abs(r.numbers[n] - item.value(n)) for r, item in puppets for n in BLENDSHAPES]
    pose = [abs(r.numbers[n] - getattr(item, n)) for r, item in puppets for n in ("yaw", "pitch", "roll")]
    return [
        *figures,
        Figure("classifier on true renders: expressions, mean error", mean(face), "", 0.08),
        Figure("classifier on true renders: angles, mean error", mean(pose), "deg", 3.0),
    ]


def generated_reading(readings: Sequence[Reading], asked: Sequence[Item]) -> list[Figure]:
    """Generated pictures, read by the classifier, against what their captions say."""
    verdicts = [judge_told(read, item) for read, item in zip(readings, asked, strict=True)]
    right = shares(verdicts)
    order = [name for family in READ.values() for name in family]
    figures = [Figure(f"generated: {n}", right[n], "%", BARS[n], "higher") for n in order if n in right]
    for name, bar in FAINT.items():
        worn = wearing(EXPRESSIONS[name])
        faces = [
            v["face"] for v, p in zip(verdicts, asked, strict=True) if isinstance(p, Puppet) and p.expression == worn
        ]
        if faces:
            figures.append(Figure(f"generated: {name} faces", 100 * sum(faces) / len(faces), "%", bar, "higher"))
    return figures


def frechet_figures(classifier: AttributeClassifier, true: Tensor, made: Tensor, model: Model) -> list[Figure]:
    """Frechet distances to true renders of the same captions: generated, VAE round trips, other renders."""
    other = draw_all(crisp(len(true), seed=7), model.size)[0]
    reference = classifier.embedding(true)
    return [
        Figure("Frechet distance, generated", frechet(classifier.embedding(made), reference)),
        Figure("Frechet distance, VAE round trip", frechet(classifier.embedding(round_trips(model, true)), reference)),
        Figure("Frechet distance, other true renders", frechet(classifier.embedding(other), reference)),
    ]


def inversion(model: Model, pictures: Sequence[Item], steps: int = 50) -> Figure:
    """Plain DDIM from the noise of an inversion, guidance 1, against the VAE round trip."""
    total = 0.0
    for item in pictures:
        inverted = invert_picture(model, to_array(draw([item], model.size)[0]), caption_of(item), steps)
        total += psnr(regenerate(model, inverted).cpu(), model.decode(inverted.trajectory.latents[:1]).cpu())
    return Figure(f"inversion in {steps} steps, re-generated", total / len(pictures), "dB", 28.0, "higher")
