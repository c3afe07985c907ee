"""Trains the storybook U-Net with its text encoder: SD 1.5's topology, v-prediction, latents of fresh pictures."""

from __future__ import annotations

import random
from itertools import islice
from pathlib import Path

import torch
from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionPipeline, UNet2DConditionModel
from diffusers.models.attention_processor import AttnProcessor, AttnProcessor2_0
from torch import Tensor
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from laser_cli.storybook.draw import draw_with_masks
from laser_cli.storybook.scenes import Scene
from laser_cli.storybook.train.common import (
    Average,
    Clock,
    course,
    load_checkpoint,
    log,
    save_checkpoint,
    save_grid,
    scenes,
)
from laser_cli.storybook.train.muon import Muon, split
from laser_cli.storybook.train.tokens import LENGTH, build
from laser_cli.storybook.words import Voice, caption

WIDTH = 256
UNET = {
    "sample_size": 16,
    "block_out_channels": (48, 96, 192, 192),
    "layers_per_block": 2,
    "cross_attention_dim": WIDTH,
    "attention_head_dim": (2, 2, 4, 4),  # the library's name for the number of heads
    "norm_num_groups": 16,
}
SCHEDULE = {
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "clip_sample": False,
    "set_alpha_to_one": False,
    "steps_offset": 1,
    "timestep_spacing": "leading",
    "prediction_type": "v_prediction",
}


class Pool:
    """Latents, subject masks and scenes of drawn pictures; a few new ones come with every batch."""

    def __init__(self, vae: AutoencoderKL, seed: int, size: int, first: int) -> None:
        self.vae, self.size, self.world = vae, size, scenes(seed)
        self.rng, self.voice = random.Random(seed), Voice(random.Random(seed), omit=0.04)
        self.latents: list[Tensor] = []
        self.masks: list[Tensor] = []
        self.scenes: list[Scene] = []
        for _ in range(first // 64):
            self.grow(64)

    @torch.no_grad()
    def grow(self, count: int) -> None:
        new = list(islice(self.world, count))
        pictures, masks = draw_with_masks(new, self.size)
        with torch.autocast("cpu", torch.bfloat16):
            z = self.vae.encode(pictures * 2 - 1).latent_dist.mean * self.vae.config.scaling_factor
        self.latents += list(z.half())
        self.masks += list(torch.nn.functional.interpolate(masks, z.shape[-2:], mode="area").half())
        self.scenes += new

    def batch(self, count: int, drop: float) -> tuple[Tensor, Tensor, list[str]]:
        rows = [self.rng.randrange(len(self.scenes)) for _ in range(count)]
        words = ["" if self.rng.random() < drop else self.say(self.scenes[i]) for i in rows]
        return (
            torch.stack([self.latents[i] for i in rows]).float(),
            torch.stack([self.masks[i] for i in rows]).float(),
            words,
        )

    def say(self, scene: Scene) -> str:
        return caption(scene) if self.rng.random() < 0.4 else caption(scene, self.voice)


def new_models(tokenizer: CLIPTokenizer, channels: int) -> tuple[UNet2DConditionModel, CLIPTextModel]:
    unet = UNet2DConditionModel(in_channels=channels, out_channels=channels, **UNET)
    text = CLIPTextModel(
        CLIPTextConfig(
            vocab_size=len(tokenizer),
            hidden_size=WIDTH,
            intermediate_size=3 * WIDTH,
            projection_dim=WIDTH,
            num_hidden_layers=3,
            num_attention_heads=4,
            max_position_embeddings=LENGTH,
            hidden_act="gelu",
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )
    # CLIP's own initialisation suits its depth of 12; with three layers the words need a larger voice.
    torch.nn.init.normal_(text.get_input_embeddings().weight, std=0.05)
    return unet, text


def tokens(tokenizer: CLIPTokenizer, words: list[str]) -> Tensor:
    return tokenizer(words, padding="max_length", max_length=LENGTH, truncation=True, return_tensors="pt").input_ids


def train(
    out: Path,
    steps: int = 12_000,
    minutes: float | None = None,
    seed: int = 0,
    batch: int = 64,
    size: int = 128,
    pool: int = 4096,
) -> Path:
    """Trains, or goes on with, U-Net and text encoder in ``out``, where the VAE is; returns the pipeline's folder."""
    torch.manual_seed(seed)
    vae = AutoencoderKL.from_pretrained(out / "vae").requires_grad_(False)
    known = (out / "tokenizer" / "vocab.json").exists()
    tokenizer = CLIPTokenizer.from_pretrained(out / "tokenizer") if known else build(out / "tokenizer")
    unet, text = new_models(tokenizer, vae.config.latent_channels)
    unet.set_attn_processor(AttnProcessor())  # its backward is faster than the fused one's on the CPU
    matrices, others = split(unet, text)
    optimizers = [Muon(matrices, lr=2e-3), torch.optim.AdamW(others, lr=1e-3, betas=(0.9, 0.98), weight_decay=0.0)]
    peaks = [o.param_groups[0]["lr"] for o in optimizers]
    means, clock, step = [Average(unet, 0.997), Average(text, 0.997)], Clock(steps, minutes), 0
    if state := load_checkpoint(out / "unet.pt"):
        for model, name in (
            (unet, "unet"),
            (text, "text"),
            (means[0].model, "unet_average"),
            (means[1].model, "text_average"),
        ):
            model.load_state_dict(state[name])
        for o, s in zip(optimizers, state["optimizers"], strict=True):
            o.load_state_dict(s)
        step, clock.before = state["step"], state["minutes"]
        means[0].steps = means[1].steps = step
    schedule = DDIMScheduler(**SCHEDULE)
    alphas = schedule.alphas_cumprod
    noise = torch.Generator().manual_seed(seed + step)
    world = Pool(vae, seed + step, size, pool)
    fixed = list(islice(scenes(10_000_019), 32))

    def checkpoint() -> None:
        save_checkpoint(
            out / "unet.pt",
            {
                "unet": unet.state_dict(),
                "text": text.state_dict(),
                "unet_average": means[0].model.state_dict(),
                "text_average": means[1].model.state_dict(),
                "optimizers": [o.state_dict() for o in optimizers],
                "step": step,
                "minutes": clock.elapsed,
            },
        )
        pipe = assemble(vae, means[1].model, tokenizer, means[0].model, schedule)
        pipe.save_pretrained(out / "pipeline")
        with torch.autocast("cpu", torch.bfloat16):
            pictures = pipe(
                [caption(s) for s in fixed],
                num_inference_steps=25,
                guidance_scale=3.0,
                height=size,
                width=size,
                generator=torch.Generator().manual_seed(0),
                output_type="pt",
            ).images
        save_grid(pictures, 8, out / "unet.png")

    running, due = 0.0, clock.elapsed + 6
    while (progress := clock.progress(step)) < 1:
        for o, peak in zip(optimizers, peaks, strict=True):
            o.param_groups[0]["lr"] = peak * course(progress)
        z, mask, words = world.batch(batch, drop=0.1)
        # Half of the samples where shapes are decided, half anywhere.
        t = torch.rand(batch, generator=noise)
        shaped = torch.sigmoid(torch.randn(batch, generator=noise) * 0.9 + 0.4)
        t = (torch.where(torch.rand(batch, generator=noise) < 0.5, t, shaped) * 999.99).long()
        abar = alphas[t].view(-1, 1, 1, 1)
        eps = torch.randn(z.shape, generator=noise)
        noisy, target = abar.sqrt() * z + (1 - abar).sqrt() * eps, abar.sqrt() * eps - (1 - abar).sqrt() * z
        with torch.autocast("cpu", torch.bfloat16):
            states = text(tokens(tokenizer, words)).last_hidden_state
            v = unet(noisy, t, states).sample
        loss = ((v.float() - target).square() * (1 + 1.5 * mask)).mean()
        loss.backward()
        torch.nn.utils.clip_grad_norm_([*unet.parameters(), *text.parameters()], 1.0)
        for o in optimizers:
            o.step()
            o.zero_grad(set_to_none=True)
        for mean, model in zip(means, (unet, text), strict=True):
            mean.update(model)
        world.grow(6)
        step += 1
        running += (loss.item() - running) / min(step, 100)
        if step % 25 == 0:
            log(out / "unet.log", step=step, minutes=clock.elapsed, loss=running, pool=len(world.scenes))
        if clock.elapsed > due:
            checkpoint()
            due = clock.elapsed + 6
    checkpoint()
    return out / "pipeline"


def assemble(
    vae: AutoencoderKL,
    text: CLIPTextModel,
    tokenizer: CLIPTokenizer,
    unet: UNet2DConditionModel,
    schedule: DDIMScheduler,
) -> StableDiffusionPipeline:
    """The standard pipeline of the models, with the fused attention."""
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
