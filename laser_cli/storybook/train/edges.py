"""Trains storybook's ControlNet: outlines lead a frozen U-Net, whichever pipeline folder it stands in."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import torch
from diffusers import ControlNetModel
from torch import Tensor

from laser_cli.storybook.outlines import outlines
from laser_cli.storybook.train.cache import AT_ONCE, CAPTIONS, Cache, tokens
from laser_cli.storybook.train.common import STOP, Clock, Run, drawn, learning_rate, log, mixed, save_grid
from laser_cli.storybook.train.edges_net import PUPPETS, Base, generate, load_base, new_net, predict
from laser_cli.storybook.train.learner import Batch, noised
from laser_cli.storybook.train.muon import optimizers
from laser_cli.storybook.train.unet import fill
from laser_cli.storybook.world import Item, caption_of, items

UNTOLD = 0.3
"""The share of items without a caption: of those the outline alone tells what they are."""
FRESH, RENEWED = 16, 64
"""Samples learned from for every new item while the cache grows and once it is full."""
TIMESTEPS = (300, 600, 800, 900)
"""Where held-out errors are measured: in noise, where shapes are decided."""


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
