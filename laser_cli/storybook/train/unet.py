"""Trains the storybook U-Net with its text encoder: SD 1.5's topology, v-prediction, latents of fresh pictures."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import torch
from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionPipeline, UNet2DConditionModel
from diffusers.models.attention_processor import AttnProcessor, AttnProcessor2_0
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from laser_cli.storybook.train.common import Clock, Run, log, mixed, save_grid
from laser_cli.storybook.train.muon import Muon, split
from laser_cli.storybook.train.pool import Captions, KnownCaptions, Pool
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
        rows, z, mask = world.batch(batch)
        # Half of the samples in much noise, where shapes are decided, half anywhere.
        t = torch.rand(batch, generator=noise, device=device)
        shaped = torch.sigmoid(torch.randn(batch, generator=noise, device=device) * 0.9 + 0.8)
        anywhere = torch.rand(batch, generator=noise, device=device) < 0.5
        t = (torch.where(anywhere, t, shaped) * 999.99).long()
        abar = alphas[t].view(-1, 1, 1, 1)
        eps = torch.randn(z.shape, generator=noise, device=device)
        noisy, target = abar.sqrt() * z + (1 - abar).sqrt() * eps, abar.sqrt() * eps - (1 - abar).sqrt() * z
        with mixed(device):
            v = unet(noisy, t, captions.states(rows, drop=0.1)).sample
        loss = ((v.float() - target).square() * (1 + FOCUS * mask.square())).mean()
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
