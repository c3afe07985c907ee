"""Trains the storybook critic on drawn pictures, some of them blurred, noisy or sent through the VAE first."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL
from torch import Tensor

from laser_cli.storybook.critic import Critic, loss, save_critic, targets
from laser_cli.storybook.train.common import Clock, Run, log, mixed
from laser_cli.storybook.train.muon import Muon, split
from laser_cli.storybook.traits import judge
from laser_cli.storybook.world import draw, items


class Pictures:
    """Drawn pictures with what is to be read from them; the oldest give way to new ones, ``fresh`` a batch."""

    def __init__(self, seed: int, vae: AutoencoderKL | None, device: str, most: int = 16_384, fresh: int = 8) -> None:
        self.world, self.vae, self.device = items(seed, 0.45), vae, device
        self.rng, self.most, self.fresh = torch.Generator().manual_seed(seed), most, fresh
        self.oldest, self.served = 0, 0
        self.pictures = torch.empty(0, 3, 128, 128, dtype=torch.uint8)
        self.target, self.weight = torch.empty(0), torch.empty(0)

    @torch.no_grad()
    def grow(self, count: int) -> None:
        new = list(islice(self.world, count))
        pictures = draw(new, 128, self.device)
        if self.vae is not None and torch.rand((), generator=self.rng) < 0.15:
            with mixed(self.device):
                pictures = self.vae(pictures * 2 - 1).sample.float() / 2 + 0.5
        seen = (pictures.clamp(0, 1) * 255).round().byte().cpu()
        target, weight = targets(new)
        if len(self.pictures) < self.most:
            self.pictures = torch.cat([self.pictures, seen])
            self.target, self.weight = torch.cat([self.target, target]), torch.cat([self.weight, weight])
            return
        rows = (torch.arange(count) + self.oldest) % self.most
        self.pictures[rows], self.target[rows], self.weight[rows] = seen, target, weight
        self.oldest = (self.oldest + count) % self.most

    def batch(self, count: int) -> tuple[Tensor, Tensor, Tensor]:
        """Pictures, targets, weights; a third of the pictures blurred, a third with noise."""
        if self.served % 8 == 0:  # many pictures at once are drawn faster
            self.grow(8 * self.fresh)
        self.served += 1
        rows = torch.randint(len(self.pictures), (count,), generator=self.rng)
        pictures = self.pictures[rows].float() / 255
        third = count // 3
        pictures[:third] = F.avg_pool2d(F.pad(pictures[:third], (1, 1, 1, 1), mode="replicate"), 3, 1)
        noise = torch.randn(pictures[third : 2 * third].shape, generator=self.rng)
        pictures[third : 2 * third] = (pictures[third : 2 * third] + 0.03 * noise).clamp(0, 1)
        return pictures.to(self.device), self.target[rows].to(self.device), self.weight[rows].to(self.device)


def train(
    out: Path,
    steps: int = 6000,
    minutes: float | None = None,
    seed: int = 0,
    batch: int = 48,
    start: Path | None = None,
    device: str = "cpu",
    first: int = 2048,
) -> Path:
    """Trains, or goes on with, a critic in ``out``; returns the folder of the averaged one.

    ``start`` is a pipeline's folder: its VAE blurs some of the pictures as it blurs those that are generated.
    """
    torch.manual_seed(seed)
    critic = Critic().to(device)
    matrices, others = split(critic)
    optimizers = [Muon(matrices, lr=2e-3), torch.optim.AdamW(others, lr=2e-3, betas=(0.9, 0.98), weight_decay=0.0)]
    out.mkdir(parents=True, exist_ok=True)
    run = Run(out / "critic.pt", {"model": critic}, optimizers, 0.998, Clock(steps, minutes))
    mean = run.means["model"].model
    vae = AutoencoderKL.from_pretrained(start / "vae").float().to(device) if start else None
    pool = Pictures(seed + run.step, vae, device)
    for _ in range(first // 64):
        pool.grow(64)
    held = list(islice(items(10_000_019, 0.5), 256))
    shown = draw(held, 128, device)

    def checkpoint() -> None:
        run.save()
        save_critic(mean, out / "critic")
        verdicts = [judge(read, item) for read, item in zip(mean.read(shown), held, strict=True)]
        names = sorted({name for v in verdicts for name in v})
        right = {n: sum(v[n] for v in verdicts if n in v) / sum(n in v for v in verdicts) for n in names}
        log(out / "critic.log", step=run.step, minutes=run.clock.elapsed, **right)

    running, count, due = 0.0, 0, run.clock.elapsed + 5
    while run.going():
        pictures, target, weight = pool.batch(batch)
        with mixed(device):
            # channels last: less time a step on the CPU
            output = critic(pictures.contiguous(memory_format=torch.channels_last))
        error = loss(output.float(), target, weight)
        run.learn(error)
        count += 1
        running += (error.item() - running) / min(count, 100)
        if run.step % 50 == 0:
            log(out / "critic.log", step=run.step, minutes=run.clock.elapsed, loss=running)
        if run.clock.elapsed > due:
            checkpoint()
            due = run.clock.elapsed + 5
    checkpoint()
    return out / "critic"
