"""Trains the storybook VAE: f = 8, on random crops of drawn pictures; its latents are centred and scaled afterwards."""

from __future__ import annotations

from collections import deque
from itertools import islice
from pathlib import Path

import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL
from torch import Tensor

from laser_cli.storybook.draw import draw, draw_with_masks
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


class Crops:
    """Crops of freshly drawn pictures, most of them about the subject; each picture serves a few times."""

    def __init__(self, seed: int, picture: int, crop: int, batch: int, uses: int) -> None:
        self.world, self.crop, self.batch, self.uses = scenes(seed), crop, batch, uses
        self.picture, self.rng = picture, torch.Generator().manual_seed(seed)
        self.pool: deque[tuple[Tensor, Tensor]] = deque(maxlen=16)

    def next(self) -> Tensor:
        """[batch, 3, crop, crop] in -1..1."""
        pictures, masks = draw_with_masks(list(islice(self.world, self.batch // self.uses)), self.picture)
        self.pool.append((pictures, _centres(masks)))
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
) -> Path:
    """Trains (or goes on with) a VAE in ``out``; returns the folder of the averaged, normalised model."""
    torch.manual_seed(seed)
    vae = AutoencoderKL(**CONFIG)
    matrices, others = split(vae)
    optimizers = [Muon(matrices, lr=2e-3), torch.optim.AdamW(others, lr=2e-3, betas=(0.9, 0.98), weight_decay=0.0)]
    peaks = [o.param_groups[0]["lr"] for o in optimizers]
    mean, clock, step = Average(vae, 0.995), Clock(steps, minutes), 0
    if state := load_checkpoint(out / "vae.pt"):
        vae.load_state_dict(state["model"])
        mean.model.load_state_dict(state["average"])
        for o, s in zip(optimizers, state["optimizers"], strict=True):
            o.load_state_dict(s)
        step, mean.steps, clock.before = state["step"], state["step"], state["minutes"]
    out.mkdir(parents=True, exist_ok=True)
    crops = Crops(seed + step, size, crop, batch, uses=4)
    held = draw(list(islice(scenes(10_000_019), 16)), size) * 2 - 1

    def checkpoint() -> None:
        save_checkpoint(
            out / "vae.pt",
            {
                "model": vae.state_dict(),
                "average": mean.model.state_dict(),
                "optimizers": [o.state_dict() for o in optimizers],
                "step": step,
                "minutes": clock.elapsed,
            },
        )
        with torch.no_grad():
            back = mean.model.decode(mean.model.encode(held).latent_dist.mean).sample.clamp(-1, 1)
        psnr = (-10 * ((back - held) / 2).square().mean((1, 2, 3)).log10()).mean()
        log(out / "vae.log", step=step, minutes=clock.elapsed, psnr=float(psnr))
        save_grid(torch.cat([held[:8], back[:8], held[8:], back[8:]]) / 2 + 0.5, 8, out / "vae.png")

    while (progress := clock.progress(step)) < 1:
        for o, peak in zip(optimizers, peaks, strict=True):
            o.param_groups[0]["lr"] = peak * course(progress)
        pictures = crops.next()
        with torch.autocast("cpu", torch.bfloat16):
            latent = vae.encode(pictures).latent_dist
            back = vae.decode(latent.sample()).sample
        loss = reconstruction_loss(back.float(), pictures) + 2e-6 * latent.kl().mean()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(vae.parameters(), 1.0)
        for o in optimizers:
            o.step()
            o.zero_grad(set_to_none=True)
        mean.update(vae)
        step += 1
        if step % 50 == 0:
            log(out / "vae.log", step=step, minutes=clock.elapsed, loss=loss.item())
        if step % 400 == 0:
            checkpoint()
    checkpoint()
    normalise(mean.model, draw(list(islice(scenes(seed + 1), 256)), size) * 2 - 1)
    mean.model.save_pretrained(out / "vae")
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
