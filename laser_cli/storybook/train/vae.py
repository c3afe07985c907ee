"""Trains the storybook VAE: f = 8, on crops of drawn pictures; its latents are centred and scaled afterwards."""

from __future__ import annotations

from collections import deque
from itertools import islice
from pathlib import Path

import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL
from torch import Tensor

from laser_cli.storybook.look import SECOND, Look
from laser_cli.storybook.train.common import (
    HELD_OUT,
    STOP,
    Clock,
    Run,
    drawn,
    gradient_energy,
    learning_rate,
    log,
    mixed,
    save_grid,
)
from laser_cli.storybook.train.muon import optimizers
from laser_cli.storybook.world import items

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
    "sample_size": 256,
    "force_upcast": False,  # half precision moves one byte in seven by one level, and none by more than three
}
SHARPEN = 0.75
"""The progress from which on edges count three times."""
CELL = 6
"""Pixels within which an edge may lie elsewhere and still be as strong as the true one."""
NOISE = 0.3
"""The most noise on the latents that the decoder sees, in standard deviations: the U-Net's errors are of that kind."""
KINDS = (("scenes", 0.0), ("puppets", 1.0))
"""What is held out, and its share of puppets."""


class Crops:
    """Crops of freshly drawn pictures, most of them about the subject; each picture serves a few times."""

    def __init__(self, seed: int, look: Look, crop: int, batch: int, uses: int, device: str = "cpu") -> None:
        self.world, self.crop, self.batch, self.uses = items(seed, 0.5, look), crop, batch, uses
        self.device, self.look, self.rng = device, look, torch.Generator().manual_seed(seed)
        self.pool: deque[tuple[Tensor, Tensor]] = deque(maxlen=8)
        self.served = 0

    def next(self) -> Tensor:
        """[batch, 3, crop, crop] in -1..1."""
        if self.served % 8 == 0:  # many pictures at once are drawn faster
            pictures, masks = drawn(list(islice(self.world, 8 * self.batch // self.uses)), self.look, self.device)
            self.pool.append((pictures, _centres(masks.cpu())))
        self.served += 1
        pool, centres = (torch.cat(parts) for parts in zip(*self.pool, strict=True))
        which = torch.randint(len(pool), (self.batch,), generator=self.rng)
        room = self.look.size - self.crop
        near = centres[which] - self.crop / 2 + torch.randn(self.batch, 2, generator=self.rng) * self.crop / 5
        anywhere = torch.rand(self.batch, 2, generator=self.rng) * room
        about = torch.rand(self.batch, 1, generator=self.rng) < 0.7
        spots = torch.where(about, near, anywhere).round().long().clamp(0, room)
        cut = [
            pool[i, :, y : y + self.crop, x : x + self.crop]
            for i, (y, x) in zip(which.tolist(), spots.tolist(), strict=True)
        ]
        return torch.stack(cut) * 2 - 1


def _centres(masks: Tensor) -> Tensor:
    """Centres of mass (y, x) in px of masks [n, 1, h, w]."""
    axis = torch.arange(masks.shape[-1]) + 0.5
    mass = masks.sum((1, 2, 3)).clamp_min(1e-6)
    return torch.stack([(masks.sum((1, 3)) * axis).sum(1) / mass, (masks.sum((1, 2)) * axis).sum(1) / mass], dim=1)


def reconstruction_loss(out: Tensor, target: Tensor, edges: float = 0.5, crispness: float = 0.0) -> Tensor:
    """Squared and absolute error of the picture, absolute error of its gradients weighed by ``edges``.

    ``crispness`` weighs how much less (or more) edge there is in a place of CELL pixels, wherever in it: without that,
    an edge that could lie in two places is drawn blurred over both.
    """
    loss = 2.0 * F.mse_loss(out, target) + 0.5 * F.l1_loss(out, target)
    for d in (-1, -2):
        steep, wanted = out.diff(dim=d), target.diff(dim=d)
        loss = loss + edges * F.l1_loss(steep, wanted)
        if crispness:
            loss = loss + crispness * F.l1_loss(_strength(steep), _strength(wanted))
    return loss


def _strength(gradients: Tensor) -> Tensor:
    """Root mean square of gradients in overlapping cells of CELL pixels."""
    return (F.avg_pool2d(gradients.square(), CELL, 1) + 1e-5).sqrt()


def kl(mean: Tensor, logvar: Tensor) -> Tensor:
    """Mean over the batch of the KL divergence of the latents from a standard Gaussian."""
    mean, logvar = mean.float(), logvar.float()  # sums of thousands are beyond bfloat16
    return 0.5 * (mean.square() + logvar.exp() - 1 - logvar).sum((1, 2, 3)).mean()


def disturbed(latents: Tensor, rng: torch.Generator) -> Tensor:
    """Latents with noise of 0 to NOISE standard deviations of their channel, another amount for each picture."""
    amount = torch.rand(len(latents), 1, 1, 1, generator=rng) * NOISE
    noise = torch.randn(latents.shape, generator=rng) * amount
    return latents + noise.to(latents) * latents.detach().std((0, 2, 3), keepdim=True)


def new_vae(start: Path | None, channels: int) -> AutoencoderKL:
    """A VAE to train: the pipeline folder ``start``'s, if it is there and has the same levels, else a new one."""
    vae = AutoencoderKL(**CONFIG | {"latent_channels": channels})
    if start is not None and (start / "vae" / "config.json").is_file():
        old = AutoencoderKL.from_pretrained(start / "vae").float()
        if list(old.config.block_out_channels) == list(vae.config.block_out_channels):
            vae.load_state_dict(old.state_dict())
    return vae


def freeze_latents(vae: AutoencoderKL) -> None:
    """Leave only the decoder to learn: what a U-Net knows as latents stays the same."""
    for part in (vae.encoder, vae.quant_conv):
        part.requires_grad_(False)


def train(
    out: Path,
    steps: int = 30_000,
    minutes: float | None = None,
    seed: int = 0,
    batch: int = 16,
    crop: int = 64,
    look: Look = SECOND,
    start: Path | None = None,
    device: str = "cpu",
    shown: int = 12,
    channels: int = CONFIG["latent_channels"],  # type: ignore[assignment]
    workers: int = 0,
    decoder: bool = False,
) -> Path:
    """Trains (or goes on with) a VAE in ``out``; returns the folder of the averaged, normalised model.

    ``start`` is a pipeline's folder whose VAE it begins with; ``shown`` of each kind are held out. Stopped early, it
    leaves a checkpoint and no folder. With ``decoder`` the one in ``out`` keeps its latents and only learns to draw
    them better, which can be done beside and after the U-Net's training.
    """
    torch.manual_seed(seed)
    vae = new_vae(out if decoder else start, channels).to(device)
    if decoder:
        freeze_latents(vae)
    out.mkdir(parents=True, exist_ok=True)
    optims = optimizers([vae], 2e-3, 2e-3, workers)
    name = "decoder" if decoder else "vae"
    clock = Clock(steps, minutes)
    run = Run(out / f"{name}.pt", {"model": vae}, optims, 0.995, clock, lambda p: learning_rate(p, level=0.5))
    if run.done and (out / "vae" / "config.json").is_file():
        return out / "vae"
    mean, rng = run.means["model"].model, torch.Generator().manual_seed(seed + run.step)
    held = {
        kind: drawn(list(islice(items(HELD_OUT, share, look), shown)), look, device)[0] * 2 - 1 for kind, share in KINDS
    }

    def report() -> None:
        run.save()
        figures, sheet = {}, []
        for kind, pictures in held.items():
            with torch.no_grad():
                back = torch.cat([mean(part).sample for part in pictures.split(4)]).clamp(-1, 1)
            figures[kind] = float((-10 * ((back - pictures) / 2).square().mean((1, 2, 3)).log10()).mean())
            figures[f"{kind}, sharpness"] = gradient_energy(back) / gradient_energy(pictures)
            sheet += [pictures[:6], back[:6]]
        log(out / f"{name}.log", step=run.step, minutes=run.clock.elapsed, **figures)
        save_grid(torch.cat(sheet) / 2 + 0.5, 6, out / f"{name}.png")

    crops = None if STOP.is_set() else Crops(seed + 1 + run.step, look, crop, batch, uses=4, device=device)
    while crops and run.going():
        pictures = crops.next()
        with mixed(device):
            latent = vae.encode(pictures).latent_dist
            back = vae.decode(disturbed(latent.sample(), rng)).sample
        late = run.progress > SHARPEN
        loss = reconstruction_loss(back.float(), pictures, 1.5 if late else 0.5, float(decoder)) + 2e-6 * kl(
            latent.mean, latent.logvar
        )
        run.learn(loss)
        if run.step % 50 == 0:
            log(out / f"{name}.log", step=run.step, minutes=run.clock.elapsed, loss=loss.item())
        if run.due():
            report()
    if not run.done:
        run.save()
        return out / "vae"
    report()
    if not decoder:
        normalise(mean, drawn(list(islice(items(seed + 1, 0.5, look), 8 * shown)), look, device)[0] * 2 - 1)
        (out / "decoder.pt").unlink(missing_ok=True)  # it stood on other latents
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
