"""Trains the storybook U-Net: SD 1.5's blocks, v-prediction, REPA; from a cache of latents and text states."""

from __future__ import annotations

import math
import shutil
import sys
import time
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel
from diffusers.models.attention_processor import AttnProcessor, AttnProcessor2_0
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from laser_cli.errors import NotFoundError
from laser_cli.storybook.classifier import load_classifier
from laser_cli.storybook.look import SECOND, Look
from laser_cli.storybook.train.cache import AT_ONCE, Cache, Sources, stream
from laser_cli.storybook.train.common import STOP, Clock, Run, learning_rate, log
from laser_cli.storybook.train.learner import Learner, Replicas, Task, captions, noised, sample_batch
from laser_cli.storybook.train.muon import optimizers
from laser_cli.storybook.train.process import threads
from laser_cli.storybook.train.report import Report
from laser_cli.storybook.train.tokens import LENGTH, build

WIDTH = 256
HELD = 256
"""Held-out items in their own cache."""
FRESH, RENEWED = 32, 64
"""Samples learned from for every new item while the cache grows and once it is full: an item costs as much as seven."""
LATE = 2 / 3
"""The progress from which on subjects weigh more: earlier that ruins skies and grounds."""
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


_LEVELS: dict[str, dict[str, Any]] = {
    "S1": {
        "block_out_channels": (32, 64, 128, 256),
        "attention_head_dim": (2, 2, 4, 4),  # the library's name for the number of heads
        "down_block_types": ("DownBlock2D", "DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        "up_block_types": ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D", "UpBlock2D"),
    },
    "S4": {
        "block_out_channels": (32, 48, 96, 192, 192),
        "attention_head_dim": (2, 2, 2, 4, 4),
        "down_block_types": (*("DownBlock2D",) * 2, *("CrossAttnDownBlock2D",) * 2, "DownBlock2D"),
        "up_block_types": ("UpBlock2D", *("CrossAttnUpBlock2D",) * 2, *("UpBlock2D",) * 2),
    },
}
SHAPES = ("S1", "S1A", "S4", "S4A")


def unet_config(shape: str, channels: int, side: int) -> dict[str, Any]:
    """A U-Net's configuration: S1 has four levels, S4 five narrower ones; one layer a block.

    The finest level is thin and only gathers 2 x 2 latents, which makes fine latents as cheap as coarse ones. The
    second has no attention, or, with an A, on the way up, where Plug-and-Play, MasaCtrl and AID act.
    """
    levels = _LEVELS[shape.removesuffix("A")]
    if shape.endswith("A"):
        levels = levels | {"up_block_types": (*levels["up_block_types"][:-2], "CrossAttnUpBlock2D", "UpBlock2D")}
    common = {"sample_size": side, "layers_per_block": 1, "cross_attention_dim": WIDTH, "norm_num_groups": 16}
    return levels | common | {"in_channels": channels, "out_channels": channels}


def new_unet(config: dict[str, Any], *starts: Path | None) -> UNet2DConditionModel:
    """A U-Net of this configuration, with the weights of the first pipeline folder whose U-Net has the same, if any."""
    unet = UNet2DConditionModel(**config)
    for folder in starts:
        if folder and (folder / "unet" / "config.json").is_file():
            known = UNet2DConditionModel.load_config(folder / "unet")
            if all(list(a) == list(b) if isinstance(a := known[k], list) else a == b for k, b in config.items()):
                unet.load_state_dict(UNet2DConditionModel.from_pretrained(folder / "unet").float().state_dict())
                break
    return unet


def new_text(tokenizer: CLIPTokenizer) -> CLIPTextModel:
    """A text encoder with random weights: CLIP's, three layers of WIDTH."""
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
    return text


def words(out: Path, start: Path | None) -> tuple[CLIPTokenizer, CLIPTextModel]:
    """Tokenizer and text encoder of ``out``, or those of ``start``, or new ones; written to ``out``."""
    if not (out / "text_encoder" / "config.json").is_file():
        if start and (start / "text_encoder" / "config.json").is_file():
            for part in ("tokenizer", "text_encoder"):
                shutil.copytree(start / part, out / part, dirs_exist_ok=True)
        else:
            new_text(build(out / "tokenizer")).save_pretrained(out / "text_encoder")
    tokenizer = CLIPTokenizer.from_pretrained(out / "tokenizer")
    text = CLIPTextModel.from_pretrained(out / "text_encoder").float()
    return tokenizer, text.eval()


def sources(out: Path, start: Path | None, look: Look, device: str) -> Sources:
    """The frozen models in ``out`` that the U-Net learns from; NotFoundError if VAE or classifier are not trained."""
    for part in ("vae", "critic"):
        if not (out / part / "config.json").is_file():
            name = {"vae": "VAE", "critic": "attribute classifier"}[part]
            hint = f"python -m laser_cli.storybook.train {name.split()[-1].lower()} --folder {out}"
            raise NotFoundError(f"no {name} is trained", why=f"{out / part} is not there", hint=hint)
    vae = AutoencoderKL.from_pretrained(out / "vae").requires_grad_(False).eval().to(device)
    tokenizer, text = words(out, start)
    if not (out / "teacher" / "config.json").is_file():  # the classifier may learn on, the cache's feature maps do not
        shutil.copytree(out / "critic", out / "teacher")
    teacher = load_classifier(out / "teacher", device).requires_grad_(False)
    return Sources(vae, text.requires_grad_(False).to(device), tokenizer, teacher, look, device)


def fill(cache: Cache, count: int, minutes: float | None = None) -> None:
    """Grow a cache to ``count`` items, for so many minutes at most, or until the training is told to stop."""
    end = time.monotonic() + 60 * minutes if minutes else math.inf
    while len(cache) < min(count, cache.capacity) and not STOP.is_set() and (not len(cache) or time.monotonic() < end):
        cache.grow()


def train(
    out: Path,
    steps: int | None = None,
    minutes: float | None = None,
    seed: int = 0,
    batch: int = 64,
    samples: int = 1_500_000,
    items: int = 100_000,
    first: int = 2048,
    held: int = HELD,
    shape: str = "S4A",
    focus: float = 3.0,
    look: Look = SECOND,
    start: Path | None = None,
    device: str = "cpu",
    shown: int = 24,
    replicas: int = 1,
    workers: int = 0,
    learn_text: bool = False,
    twins: bool = False,
) -> Path:
    """Trains, or goes on with, a U-Net in ``out``, where VAE and classifier are; returns the pipeline's folder.

    Stopped early, it leaves a checkpoint and the pipeline of its last report.

    ``start`` gives tokenizer and text encoder, which stays as it is unless ``learn_text``. A cache of ``items`` is
    filled while it trains, from ``first`` on, or what a quarter of the minutes gives; ``shown`` pictures a sheet.
    """
    torch.manual_seed(seed)
    frozen = sources(out, start, look, device)
    made_with = frozen.fingerprint()
    kept = Cache(out / ("twins" if twins else "cache"), items, made_with, stream(frozen, seed, twins), device)
    if kept.discarded:
        print(f"the VAE, words or classifier changed: {kept.discarded:,} cached items are made anew", file=sys.stderr)
    unseen = Cache(out / "held-out", held, made_with, stream(frozen, 1_000_003), device)
    with threads(replicas):
        fill(kept, first, minutes / 4 if minutes else None)
        fill(unseen, held)
    if STOP.is_set():
        return out / "pipeline"
    vae = frozen.vae.config
    side = look.size // 2 ** (len(vae.block_out_channels) - 1)
    unet = new_unet(unet_config(shape, vae.latent_channels, side), out / "pipeline", start)
    on_gpu = torch.device(device).type == "cuda"
    # on the CPU the backward pass of the plain attention is faster than the fused one's
    unet.set_attn_processor(AttnProcessor2_0() if on_gpu else AttnProcessor())
    text = words(out, start)[1].train() if learn_text else None
    maps = unseen.take(torch.arange(len(unseen)), "maps")["maps"].float()
    mean, deviation = maps.mean((0, 2, 3), keepdim=True), maps.std((0, 2, 3), keepdim=True) + 1e-6
    learner = Learner(unet, maps.shape[1], text)
    learner.to(device)
    total = steps or math.ceil(samples / batch)
    run = Run(
        out / ("unet-text.pt" if learn_text else "unet.pt"),
        {"learner": learner},
        optimizers([learner], 2e-3, 1e-3, workers),
        0.999,
        Clock(total, minutes),
        lambda progress: learning_rate(progress, warmup=0.005, level=0.6),
    )
    if run.done and (out / "pipeline" / "model_index.json").is_file():
        return out / "pipeline"
    crew = Replicas(learner, replicas)
    if on_gpu:
        torch.set_float32_matmul_precision("high")
        learner.unet.compile()
    schedule = DDIMScheduler(**SCHEDULE)
    alphas = schedule.alphas_cumprod.to(device)
    rng = torch.Generator(device).manual_seed(seed + run.step)
    ids, states = frozen.read([""])
    field, empty = ("ids", ids[0]) if learn_text else ("states", states[0])
    report = Report(out, frozen, unseen, schedule, shown)

    def checkpoint() -> None:
        run.save()
        best = run.means["learner"].model
        with threads(replicas):
            report(run.step, run.clock.elapsed, learner.unet, best.unet, best.text if learn_text else frozen.text)

    running, count, grown = 0.0, 0, 0
    while run.going():
        pairs = sample_batch(kept, batch, rng, twins)
        made = noised(pairs, alphas, rng, focus if run.progress > LATE else 0.0, twins)
        said = captions(kept, pairs.rows, made.untold, empty, rng, field)
        seen = (kept.take(pairs.rows, "maps")["maps"].float() - mean) / deviation
        loss = crew.backward(Task(made.noisy, made.t, made.v, made.weight, said, seen))
        run.descend()
        count, grown = count + 1, grown + batch
        running += (loss - running) / min(count, 100)
        if grown >= AT_ONCE * (RENEWED if len(kept) == kept.capacity else FRESH):
            with threads(replicas):
                kept.grow()
            grown = 0
        if run.step % 25 == 0:
            values = {"step": run.step, "samples": run.step * batch, "minutes": run.clock.elapsed}
            log(out / "unet.log", **values, loss=running, items=len(kept))
        if run.due():
            checkpoint()
    if not run.done:
        run.save()
        return out / "pipeline"
    checkpoint()
    if learn_text:  # whoever trains next on frozen words finds these
        run.means["learner"].model.text.save_pretrained(out / "text_encoder")
    return out / "pipeline"
