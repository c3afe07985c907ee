"""Speed and memory of an animation, each beside plain sampling measured in the same run."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable

import torch

from laser_cli.engine.render import render
from laser_cli.engine.sample import denoise, last
from laser_cli.engine.schedule import noise_like
from laser_cli.engine.spec import SamplingParams
from laser_cli.measure.figures import Figure
from laser_cli.measure.memory import main
from laser_cli.measure.memory import memory as peaks
from laser_cli.measure.pictures import psnr
from laser_cli.models.model import Model
from laser_cli.plan.schema import Plan, Segment
from laser_cli.stages.animate import animate, compose, generate
from laser_cli.stages.invert import Inversion, invert_picture, to_tensor

SOURCE, TARGET = "a red ball in a meadow at noon", "a blue ball in a meadow at noon"
ROUNDS = 3
Say = Callable[[str], object]


def speed(
    model: Model,
    frames: int = 24,
    steps: int = 25,
    guidance: float = 3.0,
    chunk: int = 12,
    say: Say = lambda text: None,
) -> list[Figure]:
    """Rendering against plain sampling of the same number of pictures plus anchors, best of three rounds in turns."""
    say("preparing")
    size = (model.size, model.size)
    picture = generate(model, SOURCE, 0, steps, guidance, size)
    start = time.perf_counter()
    inversion = invert_picture(model, picture, SOURCE, steps)
    inverting = time.perf_counter() - start
    plan = Plan(source=SOURCE, segments=(Segment(prompt=TARGET, frames=frames),))
    drawn, plain = [], []
    for i in range(ROUNDS):
        say(f"round {i + 1} of {ROUNDS}")
        before, start = model.nfe, time.perf_counter()
        _render(model, plan, inversion, SamplingParams(guidance, batch_size=chunk))
        drawn.append(time.perf_counter() - start)
        rows, start = model.nfe - before, time.perf_counter()
        _sample(model, frames + 2, steps, guidance, chunk)
        plain.append(time.perf_counter() - start)
    first = next(iter(animate(model, plan, inversion, SamplingParams(30.0, batch_size=chunk))))
    trip = model.decode(inversion.trajectory.latents[:1])
    original = to_tensor(picture)
    shift = abs(psnr(to_tensor(first.array), original) - psnr(trip.cpu(), original))
    return [
        Figure(
            f"rendering {frames} frames / plain sampling of {frames + 2} pictures", min(drawn) / min(plain), "x", 1.15
        ),
        Figure("rendering, without decoding", min(drawn), "s"),
        Figure(f"plain sampling of {frames + 2} pictures in full batches", min(plain), "s"),
        Figure("inversion", inverting, "s"),
        Figure("U-Net evaluations of the rendering", rows),
        Figure("U-Net evaluations of plain sampling", (frames + 2) * steps * (2 if guidance != 1 else 1)),
        Figure("frame 0 against the round trip, at guidance 30: difference in PSNR", shift, "dB", 0.1),
    ]


def memory(model: str, say: Say = lambda text: None) -> list[Figure]:
    """Peak memory of two animations of different length, each in a process of its own."""
    return peaks("laser_cli.measure.speed", model, say)


def commands(model: str) -> list[Figure]:
    """Seconds of whole commands, start-up included: `laser --help` (best of three), and an animation of 24 frames."""
    with tempfile.TemporaryDirectory() as folder:
        animation = [
            "animate",
            SOURCE + " turns into " + TARGET,
            "-o",
            f"{folder}/out.mp4",
            "--quiet",
            "--model",
            model,
        ]
        return [
            Figure("laser --help", min(_seconds(["--help"]) for _ in range(ROUNDS)), "s", 0.3),
            Figure(
                "laser animate, 24 frames at 25 steps, first picture and inversion included",
                _seconds(animation),
                "s",
                20,
            ),
        ]


def _seconds(arguments: list[str]) -> float:
    start = time.perf_counter()
    subprocess.run([sys.executable, "-m", "laser_cli", *arguments], stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - start


@torch.inference_mode()
def _render(model: Model, plan: Plan, inversion: Inversion, params: SamplingParams) -> None:
    levels, spec = model.schedule.levels(inversion.steps), compose(model, plan, inversion)
    for _ in render(model.backbone, levels, spec, params, workers=model.workers):
        pass
    _settle(model)


@torch.inference_mode()
def _sample(model: Model, pictures: int, steps: int, guidance: float, chunk: int) -> None:
    told = model.encode_prompts(["", TARGET])
    side = model.size // model.scale
    for first in range(0, pictures, chunk):
        count = min(chunk, pictures - first)
        x = torch.stack(
            [noise_like((model.vae.config.latent_channels, side, side), first + i) for i in range(count)]
        ).to(model.device)
        cond, uncond = (told.select([i]).expand(count) for i in (1, 0))
        last(denoise(model.backbone, x, model.schedule.levels(steps), cond, uncond, guidance, model.workers))
    _settle(model)


def _settle(model: Model) -> None:
    if model.device.type == "cuda":
        torch.cuda.synchronize(model.device)


def _draw(model: Model, frames: int) -> None:
    """An animation of so many frames at two steps."""
    picture = generate(model, SOURCE, 0, 2, 1.0, (model.size, model.size))
    inversion = invert_picture(model, picture, SOURCE, 2)
    plan = Plan(source=SOURCE, segments=(Segment(prompt=TARGET, frames=frames),))
    for _ in animate(model, plan, inversion, SamplingParams()):
        pass


if __name__ == "__main__":
    main(_draw)
