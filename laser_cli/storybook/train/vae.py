"""Trains the storybook VAE: f = 8, on random crops of drawn pictures; its latents are centred and scaled afterwards."""

from __future__ import annotations

from collections import deque
from itertools import islice
from pathlib import Path

import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL
from torch import Tensor

from laser_cli.storybook.train.common import Clock, Run, log, mixed, save_grid
from laser_cli.storybook.train.muon import Muon, split
from laser_cli.storybook.world import draw, draw_with_masks, items

CONFIG = {
    "in_channels": 3,
    "out_channels": 3,
    "down_block_types": ("DownEncoderBlock2D",) * 4,
    "up_block_types": ("UpDecoderBlock2D",) * 4,
    "block_out_channels": (24, 48, 96, 128),
    "layers_per_block": 1,
    "latent_channels": 8,
    "norm_num_groups": 8,
    "mid_block_add_attention": False,
    "scaling_factor": 1.0,
    "sample_size": 128,
}

KINDS = (("scenes", 0.0), ("puppets", 1.0))
"""What is held out, and its share of puppets."""


class Crops:
    """Crops of freshly drawn pictures, most of them about the subject; each picture serves a few times."""

    def __init__(self, seed: int, picture: int, crop: int, batch: int, uses: int, device: str = "cpu") -> None:
        self.world, self.crop, self.batch, self.uses = items(seed, 0.5), crop, batch, uses
        self.device, self.picture, self.rng = device, picture, torch.Generator().manual_seed(seed)
        self.pool: deque[tuple[Tensor, Tensor]] = deque(maxlen=8)
        self.served = 0

    def next(self) -> Tensor:
        """[batch, 3, crop, crop] in -1..1."""
        if self.served % 8 == 0:  # many pictures at once are drawn faster
            new = list(islice(self.world, 8 * self.batch // self.uses))
            pictures, masks = draw_with_masks(new, self.picture, self.device)
            self.pool.append((pictures, _centres(masks.cpu())))
        self.served += 1
        pool, centres = (torch.cat(parts) for parts in zip(*self.pool, strict=True))
        which = torch.randint(len(pool), (self.batch,), generator=self.rng)
        room = self.picture - self.crop
        near = centres[which] - self.crop / 2 + torch.randn(self.batch, 2, generator=self.rng) * self.crop / 5
        anywhere = torch.rand(self.batch, 2, generator=self.rng) * room
        spots = (
            torch.where(torch.rand(self.batch, 1, generator=self.rng) < 0.7, near, anywhere)
            .round()
            .long()
            .clamp(0, room)
        )
        return (
            torch.stack(
                [
                    pool[i, :, y : y + self.crop, x : x + self.crop]
                    for i, (y, x) in zip(which.tolist(), spots.tolist(), strict=True)
                ]
            )
            * 2
            - 1
        )


def _centres(masks: Tensor) -> Tensor:
    """Centres of mass (y, x) in px of masks [n, 1, h, w]."""
    axis = torch.arange(masks.shape[-1]) + 0.5
    mass = masks.sum((1, 2, 3)).clamp_min(1e-6)
    return torch.stack([(masks.sum((1, 3)) * axis).sum(1) / mass, (masks.sum((1, 2)) * axis).sum(1) / mass], dim=1)


def reconstruction_loss(out: Tensor, target: Tensor) -> Tensor:
    """Squared and absolute error of the picture, absolute error of its gradients: edges count extra."""
    edges = sum(F.l1_loss(out.diff(dim=d), target.diff(dim=d)) for d in (-1, -2))
    return 2.0 * F.mse_loss(out, target) + 0.5 * F.l1_loss(out, target) + 0.5 * edges


def train(
    out: Path,
    steps: int = 8000,
    minutes: float | None = None,
    seed: int = 0,
    batch: int = 24,
    crop: int = 64,
    size: int = 128,
    start: Path | None = None,
    device: str = "cpu",
    shown: int = 32,
) -> Path:
    """Trains (or goes on with) a VAE in ``out``; returns the folder of the averaged, normalised model.

    ``start`` is a pipeline's folder whose VAE it begins with, instead of random weights; ``shown`` of each kind are
    held out.
    """
    torch.manual_seed(seed)
    vae = AutoencoderKL(**CONFIG)
    if start:
        vae.load_state_dict(AutoencoderKL.from_pretrained(start / "vae").float().state_dict())
    vae.to(device)
    matrices, others = split(vae)
    optimizers = [Muon(matrices, lr=2e-3), torch.optim.AdamW(others, lr=2e-3, betas=(0.9, 0.98), weight_decay=0.0)]
    out.mkdir(parents=True, exist_ok=True)
    run = Run(out / "vae.pt", {"model": vae}, optimizers, 0.995, Clock(steps, minutes))
    mean = run.means["model"].model
    crops = Crops(seed + run.step, size, crop, batch, uses=4, device=device)
    held = {name: draw(list(islice(items(10_000_019, share), shown)), size, device) * 2 - 1 for name, share in KINDS}

    def checkpoint() -> None:
        run.save()
        psnr, sheet = {}, []
        for name, pictures in held.items():
            with torch.no_grad():
                back = mean.decode(mean.encode(pictures).latent_dist.mean).sample.clamp(-1, 1)
            psnr[name] = float((-10 * ((back - pictures) / 2).square().mean((1, 2, 3)).log10()).mean())
            sheet += [pictures[:8], back[:8]]
        log(out / "vae.log", step=run.step, minutes=run.clock.elapsed, **psnr)
        save_grid(torch.cat(sheet) / 2 + 0.5, 8, out / "vae.png")

    due = run.clock.elapsed + 5
    while run.going():
        pictures = crops.next()
        with mixed(device):
            latent = vae.encode(pictures).latent_dist
            back = vae.decode(latent.sample()).sample
        loss = reconstruction_loss(back.float(), pictures) + 2e-6 * latent.kl().mean()
        run.learn(loss)
        if run.step % 50 == 0:
            log(out / "vae.log", step=run.step, minutes=run.clock.elapsed, loss=loss.item())
        if run.clock.elapsed > due:
            checkpoint()
            due = run.clock.elapsed + 5
    checkpoint()
    normalise(mean, draw(list(islice(items(seed + 1), 8 * shown)), size, device) * 2 - 1)
    mean.save_pretrained(out / "vae")
    return out / "vae"


@torch.no_grad()
def normalise(vae: AutoencoderKL, pictures: Tensor) -> None:
    """Folds the centring and scaling of every latent channel into the 1x1 convolutions beside the latent."""
    z = torch.cat([vae.encode(p).latent_dist.mean for p in pictures.split(32)])
    mu, sigma, c = z.mean((0, 2, 3)), z.std((0, 2, 3)), z.shape[1]
    quant, post = vae.quant_conv, vae.post_quant_conv
    quant.weight[:c] /= sigma.view(-1, 1, 1, 1)
    quant.bias[:c] = (quant.bias[:c] - mu) / sigma
    quant.bias[c:] -= 2 * sigma.log()  # the log variance shrinks with its mean
    post.bias += (post.weight[:, :, 0, 0] @ mu).view_as(post.bias)
    post.weight *= sigma.view(1, -1, 1, 1)
