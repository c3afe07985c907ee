"""Trains the attribute classifier on drawn pictures, some of them blurred, noisy or sent through the VAE first."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL
from torch import Tensor

from laser_cli.storybook.classifier import SIZE, AttributeClassifier, load_classifier, loss, save_classifier, targets
from laser_cli.storybook.look import SECOND, Look
from laser_cli.storybook.train.common import HELD_OUT, Clock, Run, drawn, learning_rate, log, mixed
from laser_cli.storybook.train.muon import optimizers
from laser_cli.storybook.traits import judge
from laser_cli.storybook.world import items


class Pictures:
    """Drawn pictures with what is to be read from them; new ones replace the oldest, ``fresh`` a batch."""

    def __init__(
        self,
        seed: int,
        look: Look,
        vae: AutoencoderKL | None,
        device: str,
        most: int = 16_384,
        fresh: int = 8,
    ) -> None:
        self.world, self.look, self.vae, self.device = items(seed, 0.45, look), look, vae, device
        self.rng, self.most, self.fresh = torch.Generator().manual_seed(seed), most, fresh
        self.oldest, self.served = 0, 0
        self.pictures = torch.empty(0, 3, SIZE, SIZE, dtype=torch.uint8)
        self.target, self.weight = torch.empty(0), torch.empty(0)

    @torch.no_grad()
    def grow(self, count: int) -> None:
        """Draw new pictures, now and then all of them as the VAE brings them back."""
        new = list(islice(self.world, count))
        pictures = drawn(new, self.look, self.device)[0]
        if self.vae is not None and torch.rand((), generator=self.rng) < 0.15:
            with mixed(self.device):
                back = [self.vae(part * 2 - 1).sample.float() for part in pictures.split(8)]
            pictures = torch.cat(back) / 2 + 0.5
        seen = (at_size(pictures).clamp(0, 1) * 255).round().byte().cpu()
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


def at_size(pictures: Tensor) -> Tensor:
    """Pictures at the size that the classifier reads."""
    if pictures.shape[-1] == SIZE:
        return pictures
    return F.interpolate(pictures, (SIZE, SIZE), mode="bilinear", antialias=True)


def train(
    out: Path,
    steps: int = 6000,
    minutes: float | None = None,
    seed: int = 0,
    batch: int = 48,
    look: Look = SECOND,
    start: Path | None = None,
    device: str = "cpu",
    first: int = 1024,
    shown: int = 256,
    workers: int = 0,
) -> Path:
    """Trains, or goes on with, a classifier in ``out``; returns the folder of the averaged one.

    ``start`` is a pipeline's folder: it begins with the classifier there, if there is one. Where ``out`` holds a VAE,
    that blurs some of the pictures as it blurs those that are generated. ``shown`` pictures are held out. Stopped
    early, it leaves a checkpoint and the classifier of its last report.
    """
    torch.manual_seed(seed)
    known = start is not None and (start / "critic" / "config.json").is_file()
    classifier = (load_classifier(start / "critic") if start and known else AttributeClassifier()).train().to(device)
    peak = 1e-3 if known else 2e-3
    out.mkdir(parents=True, exist_ok=True)
    run = Run(
        out / "classifier.pt",
        {"model": classifier},
        optimizers([classifier], peak, peak, workers),
        0.998,
        Clock(steps, minutes),
        lambda progress: learning_rate(progress, level=0.5),
    )
    if run.done and (out / "critic" / "config.json").is_file():
        return out / "critic"
    mean = run.means["model"].model
    vae = None
    if (out / "vae" / "config.json").is_file():
        vae = AutoencoderKL.from_pretrained(out / "vae").float().to(device)
    pool = Pictures(seed + run.step, look, vae, device)
    for _ in range(first // 64):
        pool.grow(64)
    held = list(islice(items(HELD_OUT, 0.5, look), shown))
    pictures = at_size(drawn(held, look, device)[0])

    def report() -> None:
        run.save()
        save_classifier(mean, out / "critic")
        verdicts = [judge(read, item) for read, item in zip(mean.read(pictures), held, strict=True)]
        names = sorted({name for v in verdicts for name in v})
        right = {n: sum(v[n] for v in verdicts if n in v) / sum(n in v for v in verdicts) for n in names}
        log(out / "classifier.log", step=run.step, minutes=run.clock.elapsed, **right)

    running, count = 0.0, 0
    while run.going():
        seen, target, weight = pool.batch(batch)
        with mixed(device):
            # channels last: less time a step on the CPU
            output = classifier(seen.contiguous(memory_format=torch.channels_last))
        error = loss(output.float(), target, weight)
        run.learn(error)
        count += 1
        running += (error.item() - running) / min(count, 100)
        if run.step % 25 == 0:
            log(out / "classifier.log", step=run.step, minutes=run.clock.elapsed, loss=running)
        if run.due():
            report()
    if not run.done:
        run.save()
        return out / "critic"
    report()
    return out / "critic"
