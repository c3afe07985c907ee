"""Trains portrait adapters for a storybook U-Net, which stays as it is: puppets of one identity in several states.

The paper's loss (HelloMeme, arXiv 2410.22901): mean(L) + a sum(M L) / (sum M + e) with a = (1000 - t) / 1000 and M the
places of the features, so that eyes and mouths, a few places of the latents, are not lost in the rest.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import torch
from diffusers import DDIMScheduler
from diffusers.models.attention_processor import AttnProcessor
from torch import Tensor, nn

from laser_cli.controls.knit.drive import Drive, no_parts
from laser_cli.controls.knit.driven import FaceMotion
from laser_cli.controls.knit.find import FOLDER
from laser_cli.controls.knit.insertion import Insertion, hooked, insert
from laser_cli.controls.knit.load import Nets
from laser_cli.controls.knit.own import AdapterSettings, as_nets, base_probe, new_adapters, save_adapters
from laser_cli.controls.knit.pose import HeadPose
from laser_cli.engine.spec import SamplingParams
from laser_cli.models.find import STORYBOOK, WEIGHTS
from laser_cli.models.load import load_model
from laser_cli.models.model import Model
from laser_cli.stages.invert import to_array, to_tensor
from laser_cli.stages.portrait import draw_portrait
from laser_cli.stages.sitting import Words
from laser_cli.storybook.driving import PLACE, motion_of
from laser_cli.storybook.face_words import face_caption
from laser_cli.storybook.look import Look, look_of
from laser_cli.storybook.train.common import HELD_OUT, STOP, Clock, Run, drawn, learning_rate, log, mixed, save_grid
from laser_cli.storybook.train.muon import optimizers
from laser_cli.storybook.train.portrait_faces import AT_ONCE, MOST, STATES, FaceCache, identities

FRESH = 20
"""Samples learned from for every new picture, while there are less than MOST."""
DROPPED, UNTOLD = 0.1, 0.1
"""Shares of the identities without reference and drive, for guidance, and of those without a caption alone."""
SHOWN = 6


class Batch(NamedTuple):
    """b references and what is drawn of them, r rows each: n = b r. `kept` [b]: whether reference and drive are."""

    reference: Tensor
    captions: Tensor
    kept: Tensor
    latents: Tensor
    masks: Tensor
    drive: Drive
    t: Tensor
    eps: Tensor

    def to(self, device: torch.device) -> Batch:
        """The batch on a device."""
        return Batch(*(x.to(device) for x in self))  # type: ignore[arg-type]

    def noisy(self, alphas: Tensor) -> Tensor:
        """The rows' latents at their timesteps."""
        abar = alphas[self.t].view(-1, 1, 1, 1)
        return abar.sqrt() * self.latents + (1 - abar).sqrt() * self.eps

    def target(self, alphas: Tensor, prediction: str) -> Tensor:
        """What the U-Net is to predict."""
        abar = alphas[self.t].view(-1, 1, 1, 1)
        if prediction == "v_prediction":
            return abar.sqrt() * self.eps - (1 - abar).sqrt() * self.latents
        return self.eps if prediction == "epsilon" else self.latents


class Adapters(nn.Module):
    """The reference and control that learn."""

    def __init__(self, settings: AdapterSettings) -> None:
        super().__init__()
        self.settings = settings
        self.reference, self.control = new_adapters(settings)
        self.nets = as_nets(settings, self.reference, self.control)

    def save(self, folder: Path) -> None:
        """Write them as they ship."""
        save_adapters(folder, self.settings, self.reference, self.control)


def sample(cache: FaceCache, count: int, empty: Tensor, nets: Nets, size: int, rng: torch.Generator) -> Batch:
    """`count` identities at random, on the CPU: one state is the reference, the others are drawn."""
    rows = torch.randint(len(cache), (count,), generator=rng).tolist()
    faces, each = cache.take(rows), STATES - 1

    def chance(n: int = count) -> Tensor:
        return torch.rand(n, generator=rng)

    order = torch.rand(count, STATES, generator=rng).argsort(1)
    at = torch.arange(count)[:, None]

    def rest(x: Tensor) -> Tensor:
        return x[at, order[:, 1:]].flatten(0, 1)

    kept, told = chance() >= DROPPED, chance() >= UNTOLD
    said = faces.captions[torch.arange(count), (chance() < 0.5).long()]
    captions = torch.where((kept & told).view(-1, 1, 1), said, empty)
    angles = rest(faces.angles).double().numpy()
    place = torch.tensor(PLACE).expand(len(angles), 3).double().numpy()
    motion = FaceMotion(HeadPose(angles, place), rest(faces.coefficients).numpy())
    drive = motion.drive(range(len(angles)), size, size, nets.maps)
    whole = kept.repeat_interleave(each)
    drive = Drive(
        torch.where(whole.view(-1, 1, 1, 1), drive.condition, -torch.ones(())),
        drive.coefficients * whole[:, None] if drive.coefficients is not None else None,
        no_parts(len(angles)),
    )
    n = count * each
    # half anywhere, half in much noise, where poses and expressions are decided
    shaped = torch.sigmoid(torch.randn(n, generator=rng) * 0.9 + 0.6)
    t = (torch.where(chance(n) < 0.5, chance(n), shaped) * 999.99).long()
    latents = rest(faces.latents)
    eps = torch.randn(latents.shape, generator=rng)
    reference = faces.latents[torch.arange(count), order[:, 0]] * kept.view(-1, 1, 1, 1)
    return Batch(reference, captions, kept, latents, rest(faces.masks), drive, t, eps)


def loss_of(model: Model, adapters: Adapters, batch: Batch, alphas: Tensor) -> Tensor:
    """The paper's loss of a batch; the U-Net reads the references once."""
    unet, each, batch = model.unet, len(batch.latents) // len(batch.reference), batch.to(model.device)
    with mixed(model.device):
        features: dict[str, Tensor] = {}
        with torch.no_grad(), insert(unet, Insertion(), features):
            unet(batch.reference, 0, encoder_hidden_states=batch.captions)
        prepared = adapters.reference.prepare(features)
        insertion = Insertion(adapters.control(batch.drive), adapters.reference, prepared)
        with insert(unet, insertion):
            told = batch.captions.repeat_interleave(each, 0)
            out = unet(batch.noisy(alphas), batch.t, encoder_hidden_states=told).sample
    error = (out.float() - batch.target(alphas, model.schedule.prediction)).square().mean(1, keepdim=True)
    seen = (batch.masks * error).sum((1, 2, 3)) / (batch.masks.sum((1, 2, 3)) + 1e-3)
    return error.mean() + ((1000 - batch.t) / 1000 * seen).mean()


def train(
    out: Path,
    steps: int = 20_000,
    minutes: float | None = None,
    seed: int = 0,
    batch: int = 8,
    start: Path | None = None,
    device: str = "cpu",
    workers: int = 0,
    plain: bool = False,
    first: int = 4,
) -> Path:
    """Trains adapters for the U-Net in `out`/pipeline, else in `start`; returns the folder they are in.

    `batch` identities a step, each with one reference and three pictures to draw. `first`: chunks of faces that are
    there before it begins. It goes on where it stopped; with `plain` attention it trains beside, in a folder of its
    own.
    """
    torch.manual_seed(seed)
    pipeline = out / "pipeline" if (out / "pipeline" / "model_index.json").is_file() else start or WEIGHTS
    model = load_model(STORYBOOK if pipeline == WEIGHTS else str(pipeline), device, "float32")
    look, unet, name = look_of(model.size), model.unet, "portraits-plain" if plain else FOLDER
    settings = AdapterSettings(
        blocks=tuple(unet.config.block_out_channels),
        base=base_probe(unet),
        pixels=model.scale,
        place=PLACE,
        plain=plain,
    )
    adapters = Adapters(settings).to(model.device)
    if model.device.type == "cpu":  # whose backward pass is faster than the fused attention's
        unet.set_attn_processor(AttnProcessor())
    run = Run(
        out / f"{name}.pt",
        {"adapters": adapters},
        optimizers([adapters], 4e-3, 1e-3, workers),
        0.999,
        Clock(steps, minutes),
        lambda progress: learning_rate(progress, warmup=0.01, level=0.5),
    )
    faces = out / f"faces-{digest(settings.base)}"
    cache, held = FaceCache(faces, model, look, seed), FaceCache(faces, model, look, HELD_OUT)
    while len(held) < 2 * AT_ONCE and not STOP.is_set():
        held.grow()
    while len(cache.chunks) < first and not STOP.is_set():
        cache.grow()
    if STOP.is_set():
        return out / name
    alphas = DDIMScheduler.from_config(dict(model.schedule.config)).alphas_cumprod.to(model.device)
    empty = model.encode_prompts([""]).prompt_embeds[0].cpu()
    rng = torch.Generator().manual_seed(seed + run.step)
    report = Report(out, name, model, look, held, empty, alphas)
    running, count, learned = 0.0, 0, 0
    with hooked(unet):
        while run.going():
            made = sample(cache, batch, empty, adapters.nets, model.size, rng)
            loss = loss_of(model, adapters, made, alphas)
            run.learn(loss)
            count, learned = count + 1, learned + len(made.latents)
            running += (loss.item() - running) / min(count, 100)
            if learned >= FRESH * AT_ONCE * STATES and len(cache.chunks) < MOST:
                cache.grow()
                learned = 0
            if run.step % 25 == 0:
                values = {"step": run.step, "minutes": run.clock.elapsed, "identities": len(cache)}
                log(out / f"{name}.log", **values, loss=running)
            if run.due():
                run.save()
                report(run.step, run.clock.elapsed, run.means["adapters"].model)
        run.save()
        report(run.step, run.clock.elapsed, run.means["adapters"].model)
    return out / name


def digest(base: Sequence[float]) -> str:
    """The name of a U-Net in those of folders."""
    return hashlib.sha256(repr(tuple(base)).encode()).hexdigest()[:16]


class Report:
    """Writes the adapters, held-out losses, and a sheet of references, truths and results."""

    def __init__(
        self, out: Path, name: str, model: Model, look: Look, held: FaceCache, empty: Tensor, alphas: Tensor
    ) -> None:
        self.out, self.name, self.model, self.held, self.empty, self.alphas = out, name, model, held, empty, alphas
        self.pairs = [states[:2] for states in identities(random.Random(HELD_OUT), SHOWN)]
        self.true = [drawn(pair, look)[0] for pair in self.pairs]

    def __call__(self, step: int, minutes: float, adapters: Adapters) -> None:
        """Report on the adapters as they are."""
        adapters.save(self.out / self.name)
        untrained = Adapters(adapters.settings).requires_grad_(False).to(self.model.device)
        figures = {"held out": self._loss(adapters), "held out without": self._loss(untrained)}
        log(self.out / f"{self.name}.log", step=step, minutes=minutes, **figures)
        rows = []
        for pair, true in zip(self.pairs, self.true, strict=True):
            words = Words(face_caption(replace(pair[0], yaw=0.0, pitch=0.0, roll=0.0), None, frozenset({"expression"})))
            how = (SamplingParams(guidance=2.0), 12)
            (shown,) = draw_portrait(self.model, adapters.nets, to_array(true[0]), motion_of([pair[1]]), words, *how)
            rows += [true[0], true[1], to_tensor(shown.array)[0]]
        save_grid(torch.stack(rows), 6, self.out / f"{self.name}.png")

    @torch.no_grad()
    def _loss(self, adapters: Adapters) -> float:
        rng, size = torch.Generator().manual_seed(1), self.model.size
        made = [sample(self.held, 8, self.empty, adapters.nets, size, rng) for _ in range(2)]
        return sum(float(loss_of(self.model, adapters, each, self.alphas)) for each in made) / len(made)
