"""How good a U-Net in training is: held-out errors by timestep, and generated pictures beside true renders."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel
from diffusers.models.attention_processor import AttnProcessor, AttnProcessor2_0
from torch import Tensor
from transformers import CLIPTextModel, CLIPTokenizer

from laser_cli.storybook.train.cache import PUPPETS, Cache, Sources
from laser_cli.storybook.train.common import HELD_OUT, drawn, gradient_energy, log, mixed, save_grid
from laser_cli.storybook.world import caption_of, items

if TYPE_CHECKING:
    from diffusers import StableDiffusionPipeline

TIMESTEPS = (100, 300, 500, 700, 900)
MOST = 256
"""Held-out items that errors are measured on."""


class Report:
    """Measures a U-Net and its average on held-out items, saves the pipeline of the better one and draws a sheet."""

    def __init__(
        self, out: Path, sources: Sources, held: Cache, schedule: DDIMScheduler, shown: int, guidance: float = 3.0
    ) -> None:
        self.out, self.sources, self.held, self.schedule, self.guidance = out, sources, held, schedule, guidance
        self.asked = list(islice(items(HELD_OUT, PUPPETS, sources.look), shown))
        self.true = drawn(self.asked, sources.look, sources.device)[0].cpu()

    def __call__(
        self, step: int, minutes: float, unet: UNet2DConditionModel, average: UNet2DConditionModel, text: CLIPTextModel
    ) -> None:
        """Write errors to ``unet.log``, the pipeline to ``pipeline`` and the sheet to ``unet.png``."""
        alphas = self.schedule.alphas_cumprod.to(self.sources.device)
        kept = self.held.take(torch.arange(min(MOST, len(self.held))), "latents", "masks", "ids")
        latents, weight = kept["latents"].float(), (kept["masks"].float() / 255).square()
        with torch.no_grad():
            states = torch.cat([text(ids).last_hidden_state.float() for ids in kept["ids"][:, 0].long().split(64)])
        figures, best, least = {}, average, float("inf")
        for name, model in (("last", unet), ("average", average)):
            by_time = v_errors(model, latents, weight, states, alphas)
            whole = sum(everywhere for everywhere, _ in by_time.values()) / len(by_time)
            figures[f"v {name}"] = whole
            figures[f"v {name}, subjects"] = sum(there for _, there in by_time.values()) / len(by_time)
            if whole < least:
                best, least = model, whole
                figures |= {f"v at {t}": everywhere for t, (everywhere, _) in by_time.items()}
        pipe = assemble(self.sources.vae, text, self.sources.tokenizer, best, self.schedule)
        pipe.save_pretrained(self.out / "pipeline")
        pictures = self.sample(pipe)
        best.set_attn_processor(AttnProcessor() if self.sources.device == "cpu" else AttnProcessor2_0())
        log(
            self.out / "unet.log",
            step=step,
            minutes=minutes,
            **figures,
            sharpness=gradient_energy(pictures) / gradient_energy(self.true),
        )
        rows = zip(self.true.split(8), pictures.split(8), strict=True)
        save_grid(torch.cat([part for pair in rows for part in pair]), 8, self.out / "unet.png")

    @torch.no_grad()
    def sample(self, pipe: StableDiffusionPipeline) -> Tensor:
        """Pictures of the held-out captions, [shown, 3, size, size] in 0..1."""
        side, made = self.sources.look.size, []
        for i in range(0, len(self.asked), 8):
            with mixed(self.sources.device):
                part = pipe(
                    [caption_of(item) for item in self.asked[i : i + 8]],
                    num_inference_steps=25,
                    guidance_scale=self.guidance,
                    height=side,
                    width=side,
                    generator=torch.Generator().manual_seed(i),
                    output_type="pt",
                ).images
            made.append(part.float().cpu())
        return torch.cat(made)


@torch.no_grad()
def v_errors(
    unet: Callable[[Tensor, Tensor, Tensor], Any], latents: Tensor, weight: Tensor, states: Tensor, alphas: Tensor
) -> dict[int, tuple[float, float]]:
    """Mean squared error of v by timestep, everywhere and weighted, with fixed noise.

    Latents [n, c, h, w], weights [n, 1, h, w] of places, captions' states [n, 77, d], alphas_cumprod of the schedule.
    """
    errors = {}
    for t in TIMESTEPS:
        rng = torch.Generator().manual_seed(t)
        eps = torch.randn(latents.shape, generator=rng).to(latents)
        abar = alphas[t]
        noisy, v = abar.sqrt() * latents + (1 - abar).sqrt() * eps, abar.sqrt() * eps - (1 - abar).sqrt() * latents
        found = []
        for x, told in zip(noisy.split(64), states.split(64), strict=True):
            with mixed(latents.device):
                found.append(unet(x, torch.full((len(x),), t, device=x.device), told).sample.float())
        error = (torch.cat(found) - v).square().mean(1, keepdim=True)
        errors[t] = (float(error.mean()), float((error * weight).sum() / weight.sum()))
    return errors


def assemble(
    vae: AutoencoderKL,
    text: CLIPTextModel,
    tokenizer: CLIPTokenizer,
    unet: UNet2DConditionModel,
    schedule: DDIMScheduler,
) -> StableDiffusionPipeline:
    """The standard pipeline of the models, with the fused attention."""
    from diffusers import StableDiffusionPipeline  # slow to import, and says so of what it could do

    unet.set_attn_processor(AttnProcessor2_0())
    pipe = StableDiffusionPipeline(
        vae=vae,
        text_encoder=text,
        tokenizer=tokenizer,
        unet=unet,
        scheduler=schedule,
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    pipe.set_progress_bar_config(disable=True)
    return pipe
