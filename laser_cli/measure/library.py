"""An animation and an interpolation beside the library's own pipeline: the same networks, as many pictures, one run."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import torch

from laser_cli.engine.render import render
from laser_cli.engine.spec import RenderSpec, SamplingParams
from laser_cli.measure.figures import Figure
from laser_cli.models.conditioning import Conditioning
from laser_cli.models.model import Model
from laser_cli.models.parts import quiet
from laser_cli.plan.schema import Plan, Segment
from laser_cli.stages.animate import compose
from laser_cli.stages.interpolate import Endpoint, InterpolationParams, prepare, spec_of
from laser_cli.stages.invert import invert_picture
from laser_cli.stages.spacing import uniform

SOURCE, TARGET = "a red ball in a meadow at noon", "a blue ball in a meadow at noon"
SECONDS_ON_A_CARD = {"SD": 3.0, "SDXL": 20.0}
"""What 24 frames at 25 steps may take on an H100 or H200."""
Say = Callable[[str], object]


@torch.inference_mode()
def against_library(
    model: Model,
    frames: int = 24,
    steps: int = 25,
    params: SamplingParams = SamplingParams(),  # noqa: B008 (frozen)
    rounds: int = 3,
    say: Say = lambda text: None,
) -> list[Figure]:
    """Seconds of so many frames, also as a share of what the library's pipeline takes for as many pictures.

    The best of so many rounds in turns; neither decodes. Inversion and drafts are not among them.
    """
    size = (model.size, model.size)
    say("preparing")
    specs = {
        "animation": _animation(model, frames, steps),
        "interpolation": _interpolation(model, frames, steps, params),
    }
    sample = library_sampler(model, steps, params)
    seconds: dict[str, list[float]] = {name: [] for name in (*specs, "library")}
    rows = {}
    for i in range(rounds):
        for name, spec in specs.items():
            say(f"round {i + 1} of {rounds}: {name}")
            before, start = model.nfe, time.perf_counter()
            for _ in render(model.backbone, model.schedule.levels(steps), spec, params, workers=model.workers):
                pass
            settle(model)
            seconds[name].append(time.perf_counter() - start)
            rows[name] = model.nfe - before
        say(f"round {i + 1} of {rounds}: the library's pipeline")
        start = time.perf_counter()
        sample(frames)
        settle(model)
        seconds["library"].append(time.perf_counter() - start)
    best = {name: min(told) for name, told in seconds.items()}
    rows["library"] = frames * steps * (2 if params.guidance != 1 else 1)
    figures = []
    for name in specs:
        each = best[name] / rows[name] / (best["library"] / rows["library"])
        figures += [
            Figure(
                f"{name} of {frames} frames / the library's pipeline, {frames} pictures",
                best[name] / best["library"],
                "x",
                1.1,
            ),
            Figure(f"{name} / the library's pipeline, by U-Net evaluation", each, "x", 1.1),
        ]
    dtype = str(model.dtype).removeprefix("torch.")
    at = f"{frames} frames at {steps} steps, {size[0]} px, {model.device.type}, {dtype}"
    card = model.device.type == "cuda" and (frames, steps) == (24, 25)
    target = SECONDS_ON_A_CARD["SD" if model.second is None else "SDXL"] if card else None
    figures += [Figure(f"{name}, {at}", best[name], "s", target) for name in specs]
    return [*figures, Figure(f"the library's pipeline, {at.replace('frames', 'pictures')}", best["library"], "s")]


def _animation(model: Model, frames: int, steps: int) -> RenderSpec:
    """From a picture of flat colours, so that none has to be drawn first."""
    picture = np.full((model.size, model.size, 3), (120, 160, 80), np.uint8)
    inversion = invert_picture(model, picture, SOURCE, steps)
    plan = Plan(source=SOURCE, segments=(Segment(prompt=TARGET, frames=frames),))
    return compose(model, plan, inversion)


def _interpolation(model: Model, frames: int, steps: int, sampling: SamplingParams) -> RenderSpec:
    params = InterpolationParams(steps=steps, sampling=sampling)
    asked = [Endpoint(SOURCE), Endpoint(TARGET)]
    endpoints = prepare(model, asked, params, (0,), (model.size, model.size))
    return spec_of(endpoints, params, uniform(frames, 1).frames)


def library_sampler(model: Model, steps: int, params: SamplingParams) -> Callable[[int], None]:
    """The library's pipeline around a model's networks, drawing latents of so many pictures in full batches.

    Its scheduler is one of a single evaluation a step.
    """
    import diffusers

    with quiet():
        scheduler = getattr(diffusers, model.schedule.layer).from_config(dict(model.schedule.config))
        # told embeddings; beside text encoders of another precision it would turn those into theirs
        parts = {"vae": model.vae, "text_encoder": None, "tokenizer": None, "unet": model.unet}
        if model.second is not None:
            second = {"text_encoder_2": None, "tokenizer_2": None}
            pipeline = diffusers.StableDiffusionXLPipeline(
                **parts, **second, scheduler=scheduler, add_watermarker=False
            )
        else:
            none = {"safety_checker": None, "feature_extractor": None, "requires_safety_checker": False}
            pipeline = diffusers.StableDiffusionPipeline(**parts, **none, scheduler=scheduler)
    pipeline.set_progress_bar_config(disable=True)
    told = model.encode_prompts(["", TARGET])

    def sample(pictures: int) -> None:
        for first in range(0, pictures, params.batch_size):
            count = min(params.batch_size, pictures - first)
            pipeline(
                **_embeds(told, model.dtype),
                num_images_per_prompt=count,
                num_inference_steps=steps,
                guidance_scale=params.guidance,
                height=model.size,
                width=model.size,
                output_type="latent",
                generator=torch.Generator().manual_seed(first),
            )

    return sample


def _embeds(told: Conditioning, dtype: torch.dtype) -> dict[str, torch.Tensor]:
    """Two rows of conditioning, the unprompted one first, as the library's pipelines take them."""
    embeds = {"negative_prompt_embeds": told.prompt_embeds[:1], "prompt_embeds": told.prompt_embeds[1:]}
    if told.pooled is not None:
        embeds |= {"negative_pooled_prompt_embeds": told.pooled[:1], "pooled_prompt_embeds": told.pooled[1:]}
    return {name: tensor.to(dtype) for name, tensor in embeds.items()}


def settle(model: Model) -> None:
    """Waits until a card has done what it was told."""
    if model.device.type == "cuda":
        torch.cuda.synchronize(model.device)
