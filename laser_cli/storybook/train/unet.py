"""Trains the storybook U-Net with its text encoder: SD 1.5's topology, v-prediction, latents of fresh pictures."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import NamedTuple

import torch
from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionPipeline, UNet2DConditionModel
from diffusers.models.attention_processor import AttnProcessor, AttnProcessor2_0
from torch import Tensor
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from laser_cli.storybook.train.common import Clock, Run, log, mixed, save_grid
from laser_cli.storybook.train.muon import Muon, split
from laser_cli.storybook.train.pool import Batch, Captions, KnownCaptions, Pool
from laser_cli.storybook.train.tokens import LENGTH, build
from laser_cli.storybook.world import caption_of, items

WIDTH = 256
UNET = {
    "sample_size": 16,
    "block_out_channels": (48, 96, 192, 192),
    "layers_per_block": 2,
    "cross_attention_dim": WIDTH,
    "attention_head_dim": (2, 2, 4, 4),  # the library's name for the number of heads
    "norm_num_groups": 16,
}
FOCUS = 9.0
"""How much more a subject, or the features of a face, count in the loss than what is around them; heads: a quarter."""
CHANGE = 2.0
"""How much what sets a picture apart from its twin counts in the loss, all in all: like two whole pictures."""
SWAPPED, LEAST = 0.9, 350
"""The share of told twins whose noisy latents are the other's, and the timestep from which on they may be.

There the noise still shows what the caption contradicts, so that it is the words that must be heeded.
"""
CERTAIN = 800
"""The timestep up to which small changes of a twin count as much as large ones."""
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


class Task(NamedTuple):
    """What the U-Net is shown and asked: noisy latents, timesteps, whose captions stay untold, the v to find."""

    noisy: Tensor
    t: Tensor
    untold: Tensor
    v: Tensor
    weight: Tensor
    """How much each place counts in the loss, [n, 1, h, w]."""


def noised(pairs: Batch, alphas: Tensor, generator: torch.Generator) -> Task:
    """Latents in noise, [n, c, h, w]; v leads to the told picture even where it is the twin that is in the noise."""
    count, device = len(pairs.rows), pairs.latents.device

    def chance() -> Tensor:
        return torch.rand(count, generator=generator, device=device)

    # Half of the samples in much noise, where shapes and expressions are decided, half anywhere.
    shaped = torch.sigmoid(torch.randn(count, generator=generator, device=device) * 0.9 + 0.8)
    t = (torch.where(chance() < 0.5, chance(), shaped) * 999.99).long()
    untold = chance() < 0.1
    swapped = pairs.told & ~untold & (t >= LEAST) & (chance() < SWAPPED)
    shown = torch.where(swapped.view(-1, 1, 1, 1), pairs.others, pairs.latents)
    abar = alphas[t].view(-1, 1, 1, 1)
    eps = torch.randn(shown.shape, generator=generator, device=device)
    noisy = abar.sqrt() * shown + (1 - abar).sqrt() * eps
    v = (abar.sqrt() * noisy - pairs.latents) / (1 - abar).sqrt()
    # Where the noise still shows how a head is turned, what a twin asks for is certain, be it ever so small.
    pull = torch.where((swapped & (t < CERTAIN)).view(-1, 1, 1, 1), pairs.faint, 1.0)
    return Task(noisy, t, untold, v, 1 + FOCUS * pairs.masks.square() + CHANGE * pairs.apart * pull)


def train(
    out: Path,
    steps: int = 12_000,
    minutes: float | None = None,
    seed: int = 0,
    batch: int = 64,
    size: int = 128,
    pool: int = 2048,
    start: Path | None = None,
    device: str = "cpu",
    shown: int = 32,
    frozen_text: bool = False,
) -> Path:
    """Trains, or goes on with, U-Net and text encoder in ``out``, where the VAE is; returns the pipeline's folder.

    ``start`` is a pipeline's folder whose weights it begins with, instead of random ones; ``shown`` pictures a sheet;
    with ``frozen_text`` the text encoder's average so far stays as it is.
    """
    torch.manual_seed(seed)
    vae = AutoencoderKL.from_pretrained(out / "vae").requires_grad_(False).to(device)
    known = (out / "tokenizer" / "vocab.json").exists()
    tokenizer = CLIPTokenizer.from_pretrained(out / "tokenizer") if known else build(out / "tokenizer")
    unet, text = new_models(tokenizer, vae.config.latent_channels)
    if start:
        begin_with(start, unet, text, tokenizer)
    unet.set_attn_processor(AttnProcessor())  # its backward is faster than the fused one's on the CPU
    unet.to(device, memory_format=torch.channels_last), text.to(device)  # channels last: a sixth less time a step
    matrices, others = split(unet, text)
    optimizers = [
        Muon(matrices, lr=1.5e-3 if start else 2e-3),
        torch.optim.AdamW(others, lr=7e-4 if start else 1e-3, betas=(0.9, 0.98), weight_decay=0.0),
    ]
    run = Run(out / "unet.pt", {"unet": unet, "text": text}, optimizers, 0.997, Clock(steps, minutes))
    schedule = DDIMScheduler(**SCHEDULE)
    alphas = schedule.alphas_cumprod.to(device)
    noise = torch.Generator(device).manual_seed(seed + run.step)
    if frozen_text:
        text.load_state_dict(run.means["text"].model.state_dict())
        text.requires_grad_(False)
    captions = (KnownCaptions if frozen_text else Captions)(text, tokenizer, seed + run.step)
    world = Pool(vae, captions, seed + run.step, size, pool)
    fixed = list(islice(items(10_000_019), shown))

    def checkpoint() -> None:
        run.save()
        pipe = assemble(vae, run.means["text"].model, tokenizer, run.means["unet"].model, schedule)
        pipe.save_pretrained(out / "pipeline")
        with mixed(device):
            pictures = pipe(
                [caption_of(item) for item in fixed],
                num_inference_steps=25,
                guidance_scale=3.0,
                height=size,
                width=size,
                generator=torch.Generator().manual_seed(0),
                output_type="pt",
            ).images
        save_grid(pictures, 8, out / "unet.png")

    running, count, due = 0.0, 0, run.clock.elapsed + 8
    while run.going():
        pairs = world.batch(batch)
        task = noised(pairs, alphas, noise)
        with mixed(device):
            v = unet(task.noisy, task.t, captions.states(pairs.rows, task.untold.tolist())).sample
        loss = ((v.float() - task.v).square() * task.weight).mean()
        run.learn(loss)
        if run.step % 10 == 0:  # many pictures at once are drawn faster
            world.grow(64)
        count += 1
        running += (loss.item() - running) / min(count, 100)
        if run.step % 25 == 0:
            log(out / "unet.log", step=run.step, minutes=run.clock.elapsed, loss=running, pool=len(world.latents))
        if run.clock.elapsed > due:
            checkpoint()
            due = run.clock.elapsed + 8
    checkpoint()
    return out / "pipeline"


@torch.no_grad()
def begin_with(start: Path, unet: UNet2DConditionModel, text: CLIPTextModel, tokenizer: CLIPTokenizer) -> None:
    """Takes the weights of a trained pipeline; words are matched by their spelling, new ones stay as they are."""
    unet.load_state_dict(UNet2DConditionModel.from_pretrained(start / "unet").float().state_dict())
    old = CLIPTextModel.from_pretrained(start / "text_encoder").float()
    known, state = CLIPTokenizer.from_pretrained(start / "tokenizer").get_vocab(), old.state_dict()
    name = next(key for key in state if key.endswith("token_embedding.weight"))
    table = text.state_dict()[name].clone()
    for word, row in tokenizer.get_vocab().items():
        if word in known:
            table[row] = state[name][known[word]]
    text.load_state_dict(state | {name: table})


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
