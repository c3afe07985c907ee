"""Speed and memory of an animation, each beside plain sampling measured in the same run."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from laser_cli.engine.render import render
from laser_cli.engine.sample import denoise, last
from laser_cli.engine.schedule import noise_like
from laser_cli.engine.spec import SamplingParams
from laser_cli.measure.figures import Figure
from laser_cli.measure.library import SOURCE, TARGET, settle
from laser_cli.measure.memory import main
from laser_cli.measure.memory import memory as peaks
from laser_cli.measure.pictures import psnr
from laser_cli.models.model import Model
from laser_cli.output.look import Look
from laser_cli.output.sink import open_sinks
from laser_cli.plan.schema import Plan, Segment
from laser_cli.stages.animate import animate, compose, generate
from laser_cli.stages.invert import Inversion, invert_picture, to_array, to_tensor
from laser_cli.stages.pacing import paced

ROUNDS = 3
Say = Callable[[str], object]


def speed(
    model: Model,
    frames: int = 24,
    steps: int = 25,
    params: SamplingParams = SamplingParams(),  # noqa: B008 (frozen)
    rounds: int = ROUNDS,
    say: Say = lambda text: None,
) -> list[Figure]:
    """Rendering against plain sampling of the same number of pictures plus anchors, best of the rounds in turns."""
    say("preparing")
    guidance, chunk = params.guidance, params.batch_size
    plan, inversion, picture = prepared(model, frames, steps, guidance)
    drawn, plain, pictures = [], [], frames + 2
    for i in range(rounds):
        say(f"round {i + 1} of {rounds}")
        before, start = model.nfe, time.perf_counter()
        rendered(model, plan, inversion, picture, params)
        drawn.append(time.perf_counter() - start)
        rows, start = model.nfe - before, time.perf_counter()
        _sample(model, pictures, steps, guidance, chunk)
        plain.append(time.perf_counter() - start)
    first = next(iter(animate(model, plan, inversion, replace(params, guidance=30.0))))
    trip = model.decode(inversion.trajectory.latents[:1])
    original = to_tensor(picture)
    shift = abs(psnr(to_tensor(first.array), original) - psnr(trip.cpu(), original))
    sampled = pictures * steps * (2 if guidance != 1 else 1)
    overhead = min(drawn) / rows / (min(plain) / sampled)
    return [
        Figure(f"rendering {frames} frames / plain sampling of {pictures} pictures", min(drawn) / min(plain), "x", 1.1),
        Figure("rendering / the bare U-Net, by evaluation", overhead, "x", 1.25),
        Figure("rendering, without decoding", min(drawn), "s"),
        Figure(f"plain sampling of {pictures} pictures in full batches", min(plain), "s"),
        Figure("U-Net evaluations of the rendering", rows),
        Figure("U-Net evaluations of plain sampling", sampled),
        Figure("frame 0 against the round trip, at guidance 30: difference in PSNR", shift, "dB", 0.1),
        *shares(model, frames, steps, params, say),
    ]


def shares(model: Model, frames: int, steps: int, params: SamplingParams, say: Say = lambda text: None) -> list[Figure]:
    """Seconds of the main job by part, its frames evenly paced and encoded as MP4; loading is not among them."""
    say("shares of the main job")
    watch: dict[str, float] = {}
    with _timed(watch, "first picture"):
        picture = generate(model, SOURCE, 0, steps, params.guidance, (model.size, model.size))
    with _timed(watch, "inversion"):
        inversion = invert_picture(model, picture, SOURCE, steps)
    plan = Plan(source=SOURCE, segments=(Segment(prompt=TARGET, frames=frames),))
    with torch.inference_mode():
        spec = compose(model, plan, inversion)
        with _timed(watch, "drafts and their distances"):
            spec = paced(model, spec, params, steps)
        latents = []
        with _timed(watch, "rendering"):
            for step in render(model.backbone, model.schedule.levels(steps), spec, params, workers=model.workers):
                latents += [step.finished.latents.clone()] if step.finished else []
            settle(model)
        with _timed(watch, "decoding"):
            pictures = [to_array(one) for part in latents for one in model.decode(part)]
    with _timed(watch, "encoding"), tempfile.TemporaryDirectory() as folder:
        _encode(pictures, Path(folder) / "out.mp4")
    whole = sum(watch.values())
    return [Figure(f"main job: {name}", 100 * seconds / whole, "%") for name, seconds in watch.items()]


def _encode(pictures: list[np.ndarray], path: Path) -> None:
    size = (pictures[0].shape[1], pictures[0].shape[0])
    with open_sinks(path, size=size, look=Look(), count=len(pictures), record={}) as sink:
        for index, picture in enumerate(pictures):
            sink.add(index, picture)


@contextmanager
def _timed(watch: dict[str, float], name: str) -> Iterator[None]:
    start = time.perf_counter()
    yield
    watch[name] = time.perf_counter() - start


def prepared(model: Model, frames: int, steps: int, guidance: float = 3.0) -> tuple[Plan, Inversion, np.ndarray]:
    """A plan of one segment, the inversion it begins with, and that picture."""
    picture = generate(model, SOURCE, 0, steps, guidance, (model.size, model.size))
    inversion = invert_picture(model, picture, SOURCE, steps)
    return Plan(source=SOURCE, segments=(Segment(prompt=TARGET, frames=frames),)), inversion, picture


@torch.inference_mode()
def rendered(
    model: Model, plan: Plan, inversion: Inversion, picture: np.ndarray, params: SamplingParams | None = None
) -> None:
    """Renders a plan to latents that nobody keeps."""
    levels, spec = model.schedule.levels(inversion.steps), compose(model, plan, inversion)
    for _ in render(model.backbone, levels, spec, params or SamplingParams(), workers=model.workers):
        pass
    settle(model)


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
    settle(model)


def _draw(model: Model, frames: int) -> None:
    """An animation of so many frames at two steps."""
    picture = generate(model, SOURCE, 0, 2, 1.0, (model.size, model.size))
    inversion = invert_picture(model, picture, SOURCE, 2)
    plan = Plan(source=SOURCE, segments=(Segment(prompt=TARGET, frames=frames),))
    for _ in animate(model, plan, inversion, SamplingParams()):
        pass


if __name__ == "__main__":
    main(_draw)
