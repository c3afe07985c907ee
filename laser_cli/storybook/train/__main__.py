"""``python -m laser_cli.storybook.train MODEL``: trains the models, from where it stopped, and installs them.

Interrupted (control-C, SIGTERM), it finishes its step and writes a checkpoint to go on from.
"""

from __future__ import annotations

import argparse
import importlib
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from laser_cli.storybook.train.common import STOP
from laser_cli.storybook.train.process import keep_memory, stand_back

WEIGHTS = Path(__file__).parent.parent / "weights"
TRAINED = ("vae", "classifier", "unet", "edges", "planner", "portraits")


def parser() -> argparse.ArgumentParser:
    """The command line."""
    p = argparse.ArgumentParser(prog="python -m laser_cli.storybook.train", description=__doc__)
    p.add_argument(
        "model",
        choices=("all", *TRAINED, "text", "install", "pack", "unpack"),
        help="all: vae, classifier and unet in turn, each for its share of the minutes; edges: the ControlNet that "
        "outlines lead the U-Net by; text: set the words for expressions apart in the text encoder, on the CPU; "
        "install: put what is trained, in half precision, where it ships; "
        "pack, unpack: the trained models as files of less than 16 MiB, to carry between machines",
    )
    p.add_argument("--folder", type=Path, default=Path(".train"), help="checkpoints, cached data, logs and sheets")
    p.add_argument("--minutes", type=float, help="total time to train, earlier stretches included")
    p.add_argument("--steps", type=int, help="total steps to train")
    p.add_argument("--seed", type=int, default=0)
    p.add_argument(
        "--start", type=Path, default=WEIGHTS, help="pipeline folder to begin with (planner: a training folder)"
    )
    p.add_argument("--from-scratch", action="store_true", help="begin with random weights")
    p.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    p.add_argument("--batch", type=int, help="items a step")
    p.add_argument("--background", action="store_true", help="one thread that runs when no other process wants to")
    p.add_argument("--decoder", action="store_true", help="vae: the decoder alone, on the latents of the one trained")
    p.add_argument("--workers", type=int, default=0, help="threads for the optimizer's matrices, one core each")
    p.add_argument("--replicas", type=int, default=1, help="unet: copies that share a step's batch, one core each")
    p.add_argument("--shape", choices=("S1", "S1A", "S4", "S4A"), help="unet: its levels and attentions")
    p.add_argument("--samples", type=int, help="unet: total samples to train on, in place of --steps")
    p.add_argument("--items", type=int, help="unet: items in the cache")
    p.add_argument("--focus", type=float, help="unet: extra weight of subjects in the last third")
    p.add_argument("--learn-text", action="store_true", help="unet: the text encoder learns too")
    p.add_argument("--twins", action="store_true", help="unet: pairs of items that only their captions tell apart")
    p.add_argument(
        "--plain-attention", action="store_true", help="portraits: ordinary attention in place of knitting, to compare"
    )
    p.add_argument("--pack", type=Path, help="folder that pack writes and unpack reads (default: pack in --folder)")
    p.add_argument("--to", type=Path, default=WEIGHTS, help="where install writes")
    return p


def main(argv: Sequence[str] | None = None) -> None:
    """Run one command."""
    p = parser()
    chosen = p.parse_args(argv)
    keep_memory()
    if chosen.background:
        stand_back()
    for signum in (signal.SIGINT, signal.SIGTERM):
        signal.signal(signum, lambda *_: STOP.set())
    if chosen.model in ("install", "pack", "unpack"):
        _carry(chosen)
    elif chosen.model == "text":
        from laser_cli.storybook.train import text

        text.train(chosen.folder, seed=chosen.seed, **_given(chosen, "steps", "start"))
    elif chosen.model == "all":
        if not chosen.minutes:
            p.error("all needs --minutes")
        from laser_cli.storybook.train import everything

        everything.train(chosen.folder, chosen.minutes, chosen.seed, chosen.start, chosen.device)
    else:
        _train(p, chosen)


def _train(p: argparse.ArgumentParser, chosen: argparse.Namespace) -> None:
    options = _given(chosen, "minutes", "steps", "batch") | {"seed": chosen.seed, "device": chosen.device}
    if chosen.model == "planner":  # its own start: another training folder
        options["start"] = None if chosen.start == WEIGHTS else chosen.start
    else:
        options["start"] = None if chosen.from_scratch else chosen.start
        options["workers"] = chosen.workers
    of_unet = _given(chosen, "shape", "samples", "items", "focus", "learn_text", "twins")
    of_unet |= {"replicas": chosen.replicas} if chosen.replicas > 1 else {}
    if chosen.model == "vae":
        options |= _given(chosen, "decoder")
    elif chosen.decoder:
        p.error("--decoder: for vae alone")
    if chosen.model == "unet":
        options |= of_unet
    elif of_unet:
        p.error(f"{', '.join('--' + name.replace('_', '-') for name in of_unet)}: for unet alone")
    if chosen.model == "portraits":
        options["plain"] = chosen.plain_attention
    elif chosen.plain_attention:
        p.error("--plain-attention: for portraits alone")
    if chosen.minutes and not chosen.steps and not chosen.samples:
        options["steps"] = 10**9
    importlib.import_module(f"laser_cli.storybook.train.{chosen.model}").train(chosen.folder, **options)


def _carry(chosen: argparse.Namespace) -> None:
    from laser_cli.storybook.train import install, pack

    if chosen.model == "install":
        print("installed:", ", ".join(install.install(chosen.folder, chosen.to)) or "nothing is trained")
    elif chosen.model == "pack":
        print("packed:", *pack.pack(chosen.folder, chosen.pack or chosen.folder / "pack"))
    else:
        print("unpacked:", *pack.unpack(chosen.pack or chosen.folder / "pack", chosen.folder))


def _given(chosen: argparse.Namespace, *names: str) -> dict[str, Any]:
    """The options among these that the command line names."""
    values = {name: getattr(chosen, name) for name in names}
    return {name: value for name, value in values.items() if value is not None and value is not False}


if __name__ == "__main__":
    main()
