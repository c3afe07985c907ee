"""Trains storybook's ControlNet: outlines lead a frozen U-Net, whichever pipeline folder it stands in."""

from __future__ import annotations

import json
import math
import random
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL, ControlNetModel, DDIMScheduler, UNet2DConditionModel
from diffusers.models.attention_processor import AttnProcessor, AttnProcessor2_0
from torch import Tensor, nn
from transformers import CLIPTextModel, CLIPTokenizer

from laser_cli.errors import NotFoundError
from laser_cli.storybook.look import Look, look_of
from laser_cli.storybook.outlines import edges, outlines
from laser_cli.storybook.train.cache import AT_ONCE, CAPTIONS, Cache, Rows, tokens
from laser_cli.storybook.train.common import STOP, Clock, Run, drawn, learning_rate, log, mixed, save_grid
from laser_cli.storybook.train.learner import Batch, noised
from laser_cli.storybook.train.muon import optimizers
from laser_cli.storybook.train.unet import fill
from laser_cli.storybook.words import Voice
from laser_cli.storybook.world import Item, caption_of, items

PUPPETS = 0.3
"""The share of puppets."""
UNTOLD = 0.3
"""The share of items without a caption: of those the outline alone tells what they are."""
READ_AT = 16
"""The side of the feature maps at which the net has its one pair of attentions; finer ones cost more than they give."""
EMBEDDING = (8, 16, 32, 64, 96)
"""Channels of the condition on its way to the latents' size, which halves it once between each two."""
FRESH, RENEWED = 16, 64
"""Samples learned from for every new item while the cache grows and once it is full."""
TIMESTEPS = (300, 600, 800, 900)
"""Where held-out errors are measured: in noise, where shapes are decided."""


@dataclass(frozen=True)
class Base:
    """The frozen pipeline that the net leads, and what it says of pictures: their size and look."""

    unet: UNet2DConditionModel
    vae: AutoencoderKL
    text: CLIPTextModel
    tokenizer: CLIPTokenizer
    schedule: DDIMScheduler
    look: Look
    device: str

    @torch.no_grad()
    def rows(self, serial: int, seed: int) -> Rows:
        """The next AT_ONCE items: latents, masks at their size, outlines [n, 1, s, s] and token ids of captions."""
        rng = random.Random(f"edges {seed} {serial}")
        new = list(islice(items(seed * 2**32 + serial + 2**31, PUPPETS, self.look), AT_ONCE))
        pictures, masks = drawn(new, self.look, self.device)
        voice = Voice(rng, omit=0.04)
        said = [
            caption_of(item) if rng.random() < 0.4 else caption_of(item, voice) for item in new for _ in range(CAPTIONS)
        ]
        z = self.encode(pictures)
        return {
            "latents": z.half(),
            "masks": (nn.functional.interpolate(masks, z.shape[-2:], mode="area") * 255).round().byte(),
            "outlines": edges(masks).byte(),
            "ids": tokens(self.tokenizer, said).short().unflatten(0, (-1, CAPTIONS)),
        }

    @torch.no_grad()
    def encode(self, pictures: Tensor) -> Tensor:
        """Scaled latents of pictures."""
        config = self.vae.config
        with mixed(self.device):
            z = torch.cat([self.vae.encode(part * 2 - 1).latent_dist.mean for part in pictures.split(16)]).float()
        return (z - (getattr(config, "shift_factor", None) or 0.0)) * config.scaling_factor

    @torch.no_grad()
    def read(self, ids: Tensor) -> Tensor:
        """The text encoder's last states [n, 77, d] of token ids."""
        states: Tensor = self.text(ids.long().to(self.device)).last_hidden_state.float()
        return states

    @property
    def made_with(self) -> str:
        """What cached items depend on: another VAE, vocabulary or look begins the cache anew."""
        weights = [float(p.double().abs().sum()) for p in self.vae.parameters()]
        return json.dumps([weights[:: max(1, len(weights) // 16)], len(self.tokenizer), repr(self.look)])


def load_base(folder: Path, device: str) -> Base:
    """The pipeline in a folder; NotFoundError if it is not there."""
    if not (folder / "unet" / "config.json").is_file():
        hint = "python -m laser_cli.storybook.train unet, or --start FOLDER of a pipeline"
        raise NotFoundError("no U-Net is there to be led", why=f"{folder} is not a pipeline's folder", hint=hint)
    unet = UNet2DConditionModel.from_pretrained(folder / "unet").float()
    vae = AutoencoderKL.from_pretrained(folder / "vae").float()
    text = CLIPTextModel.from_pretrained(folder / "text_encoder").float()
    for part in (unet, vae, text):
        part.requires_grad_(False).eval().to(device)
    # on the CPU the backward pass of the plain attention is faster than the fused one's
    unet.set_attn_processor(AttnProcessor2_0() if torch.device(device).type == "cuda" else AttnProcessor())
    schedule = DDIMScheduler.from_pretrained(folder / "scheduler")
    look = look_of(int(unet.config.sample_size) * 2 ** (len(vae.config.block_out_channels) - 1))
    return Base(unet, vae, text, CLIPTokenizer.from_pretrained(folder / "tokenizer"), schedule, look, device)


def net_config(unet: Mapping[str, Any], halvings: int) -> dict[str, Any]:
    """A ControlNet's configuration for a U-Net's: residual blocks alone but for attentions at READ_AT, a short middle.

    ``halvings``: how often the VAE halves pictures.
    """
    levels = len(unet["block_out_channels"])
    at = min(levels - 1, max(0, round(math.log2(int(unet["sample_size"]) / READ_AT))))
    shared = ("in_channels", "block_out_channels", "layers_per_block", "cross_attention_dim", "attention_head_dim")
    return {
        **{name: unet[name] for name in (*shared, "norm_num_groups")},
        "down_block_types": tuple("CrossAttnDownBlock2D" if i == at else "DownBlock2D" for i in range(levels)),
        "mid_block_type": "UNetMidBlock2D",
        "conditioning_embedding_out_channels": EMBEDDING[: halvings + 1],
    }


def new_net(base: Base) -> ControlNetModel:
    """A net whose blocks begin as the U-Net's, as far as it has them; what it adds begins as nothing."""
    halvings = len(base.vae.config.block_out_channels) - 1
    net = ControlNetModel(**net_config(base.unet.config, halvings))
    own = net.state_dict()
    known = {k: v for k, v in base.unet.state_dict().items() if k in own and own[k].shape == v.shape}
    net.load_state_dict(known, strict=False)
    on_gpu = torch.device(base.device).type == "cuda"
    net.set_attn_processor(AttnProcessor2_0() if on_gpu else AttnProcessor())
    return net.to(base.device)


def predict(base: Base, net: ControlNetModel | None, x: Tensor, t: Tensor, states: Tensor, shown: Tensor) -> Tensor:
    """The U-Net's output, led by the net if there is one; ``shown`` are outlines [n, 1, s, s]."""
    led: dict[str, Any] = {}
    if net is not None:
        condition = shown.to(x).expand(-1, 3, -1, -1)
        down, mid = net(x, t, encoder_hidden_states=states, controlnet_cond=condition, return_dict=False)
        led = {"down_block_additional_residuals": down, "mid_block_additional_residual": mid}
    out: Tensor = base.unet(x, t, states, **led).sample
    return out


def train(
    out: Path,
    steps: int | None = None,
    minutes: float | None = None,
    seed: int = 0,
    batch: int = 32,
    number: int = 8192,
    first: int = 1024,
    held: int = 128,
    focus: float = 2.0,
    start: Path | None = None,
    device: str = "cpu",
    workers: int = 0,
    shown: int = 16,
) -> Path:
    """Trains, or goes on with, a ControlNet in ``out``; returns its folder.

    It leads the U-Net of ``out``'s own pipeline, if one is trained there, else that of ``start``. A cache of ``number``
    items is filled while it trains, from ``first`` on, or what a quarter of the minutes gives.
    """
    torch.manual_seed(seed)
    own = out / "pipeline"
    base = load_base(own if (own / "unet" / "config.json").is_file() or start is None else start, device)
    kept = Cache(out / "edges-cache", number, base.made_with, lambda serial: base.rows(serial, seed), device)
    if kept.discarded:
        print(f"the pipeline changed: {kept.discarded:,} cached items are made anew", file=sys.stderr)
    fill(kept, first, minutes / 4 if minutes else None)
    unseen = Cache(out / "edges-held-out", held, base.made_with, lambda serial: base.rows(serial, 1_000_003), device)
    fill(unseen, held)
    net = new_net(base)
    run = Run(
        out / "edges.pt",
        {"net": net},
        optimizers([net], 1e-3, 5e-4, workers),
        0.998,
        Clock(steps or 4000, minutes),
        lambda progress: learning_rate(progress, warmup=0.01, level=0.5),
    )
    if STOP.is_set() or (run.done and (out / "edges" / "config.json").is_file()):
        return out / "edges"
    alphas = base.schedule.alphas_cumprod.to(device)
    rng = torch.Generator(device).manual_seed(seed + run.step)
    empty = tokens(base.tokenizer, [""])[0].to(device)

    def checkpoint() -> None:
        run.save()
        best = run.means["net"].model
        best.save_pretrained(out / "edges")
        report(out, base, best, unseen, run, shown)

    running, count, grown = 0.0, 0, 0
    while run.going():
        task = sample(kept, batch, alphas, rng, focus, empty)
        states = base.read(task.ids)
        with mixed(device):
            v = predict(base, net, task.noisy, task.t, states, task.outlines)
        loss = ((v.float() - task.v).square() * task.weight).mean()
        run.learn(loss)
        count, grown = count + 1, grown + batch
        running += (loss.item() - running) / min(count, 50)
        if grown >= AT_ONCE * (RENEWED if len(kept) == kept.capacity else FRESH):
            kept.grow()
            grown = 0
        if run.step % 10 == 0:
            log(out / "edges.log", step=run.step, minutes=run.clock.elapsed, loss=running, items=len(kept))
        if run.due():
            checkpoint()
    checkpoint() if run.done else run.save()
    return out / "edges"


@dataclass(frozen=True)
class Task:
    """What the net is shown and the U-Net asked; the first dimension of every tensor is the batch's."""

    noisy: Tensor
    t: Tensor
    v: Tensor
    weight: Tensor
    ids: Tensor
    outlines: Tensor


def sample(cache: Cache, count: int, alphas: Tensor, rng: torch.Generator, focus: float, empty: Tensor) -> Task:
    """Cached items at random, in noise, each with one of its captions or with none."""
    rows = torch.randint(len(cache), (count,), generator=rng, device=rng.device)
    found = cache.take(rows, "latents", "masks", "outlines", "ids")
    latents = found["latents"].float()
    batch = Batch(rows, latents, found["masks"].float() / 255, latents, torch.zeros_like(rows, dtype=torch.bool))
    made = noised(batch, alphas, rng, focus, twins=False)
    which = torch.randint(CAPTIONS, (count,), generator=rng, device=rng.device)
    said = found["ids"][torch.arange(count, device=rng.device), which]
    untold = torch.rand(count, generator=rng, device=rng.device) < UNTOLD
    ids = torch.where(untold[:, None], empty.to(said), said)
    return Task(made.noisy, made.t, made.v, made.weight, ids, found["outlines"])


@torch.no_grad()
def held_out(base: Base, net: ControlNetModel | None, cache: Cache) -> float:
    """Mean squared error of v on held-out items without captions, on subjects, with fixed noise."""
    found = cache.take(torch.arange(len(cache)), "latents", "masks", "outlines")
    latents, weight = found["latents"].float(), (found["masks"].float() / 255).square()
    states = base.read(tokens(base.tokenizer, [""])).expand(len(latents), -1, -1)
    alphas, total = base.schedule.alphas_cumprod.to(latents), 0.0
    for t in TIMESTEPS:
        eps = torch.randn(latents.shape, generator=torch.Generator().manual_seed(t)).to(latents)
        signal, noise = alphas[t].sqrt(), (1 - alphas[t]).sqrt()
        noisy, v = signal * latents + noise * eps, signal * eps - noise * latents
        parts = zip(noisy.split(32), states.split(32), found["outlines"].split(32), strict=True)
        times = torch.tensor(t, device=latents.device)
        with mixed(base.device):
            made = torch.cat([predict(base, net, x, times, told, seen).float() for x, told, seen in parts])
        error = (made - v).square().mean(1, keepdim=True)
        total += float((error * weight).sum() / weight.sum()) / len(TIMESTEPS)
    return total


def report(out: Path, base: Base, net: ControlNetModel, unseen: Cache, run: Run, shown: int) -> None:
    """Held-out errors with the net and without into ``edges.log``, and a sheet ``edges.png``.

    On it in four rows: outlines, the true pictures, what is drawn from their captions under them, and without.
    """
    with_net, without = held_out(base, net, unseen), held_out(base, None, unseen)
    log(out / "edges.log", step=run.step, minutes=run.clock.elapsed, led=with_net, alone=without)
    asked: Sequence[Item] = list(islice(items(1_000_003, PUPPETS, base.look), shown))
    pictures, masks = drawn(asked, base.look, base.device)
    said = [caption_of(item) for item in asked]
    led, alone = (generate(base, each, said, masks) for each in (net, None))
    rows = zip(*(each.cpu().split(8) for each in (outlines(masks), pictures, led, alone)), strict=True)
    save_grid(torch.cat([part for row in rows for part in row]), 8, out / "edges.png")


@torch.no_grad()
def generate(
    base: Base, net: ControlNetModel | None, captions: Sequence[str], masks: Tensor, steps: int = 20
) -> Tensor:
    """Pictures [n, 3, s, s] in 0..1 from captions, led by the masks' outlines if there is a net; guidance 1.5."""
    n, side = len(captions), base.unet.config.sample_size
    x = torch.randn((n, base.unet.config.in_channels, side, side), generator=torch.Generator().manual_seed(0))
    x, shown = x.to(base.device), torch.cat([edges(masks)] * 2)
    states = base.read(tokens(base.tokenizer, [*[""] * n, *captions]))
    base.schedule.set_timesteps(steps)
    for t in base.schedule.timesteps:
        with mixed(base.device):
            v = predict(base, net, torch.cat([x, x]), t, states, shown).float()
        uncond, cond = v.chunk(2)
        x = base.schedule.step(uncond + 1.5 * (cond - uncond), t, x).prev_sample
    config = base.vae.config
    z = x / config.scaling_factor + (getattr(config, "shift_factor", None) or 0.0)
    made: Tensor = torch.cat([base.vae.decode(part).sample for part in z.split(4)]) / 2 + 0.5
    return made.clamp(0, 1)
