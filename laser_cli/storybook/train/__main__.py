"""``python -m laser_cli.storybook.train MODEL``: trains the models, from where it stopped, and installs them.

Interrupted (control-C, SIGTERM), it finishes its step and writes a checkpoint to go on from.
"""

from __future__ import annotations

import argparse
import importlib
import signal
from pathlib import Path

import torch

from laser_cli.models.find import WEIGHTS
from laser_cli.storybook.train.common import STOP


def main() -> None:
    """One step of the training, in the order vae, unet, text, unet (its text frozen), critic, planner, install."""
    parser = argparse.ArgumentParser(prog="python -m laser_cli.storybook.train", description=__doc__)
    parser.add_argument(
        "model",
        choices=("vae", "unet", "text", "critic", "planner", "install"),
        help="text sets apart the words for expressions in a trained U-Net's text encoder, on the CPU (200 steps by "
        "default); install puts what is trained, in half precision, where it ships",
    )
    parser.add_argument("--folder", type=Path, default=Path(".train"), help="checkpoints, logs and sample sheets")
    parser.add_argument("--minutes", type=float, default=None, help="total time to train, earlier stretches included")
    parser.add_argument("--steps", type=int, default=None, help="total steps to train")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--start",
        type=Path,
        default=None,
        help="a pipeline's folder whose weights to begin with, or a planner's training folder",
    )
    parser.add_argument("--frozen-text", action="store_true", help="unet: the text encoder learns no more")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--to", type=Path, default=WEIGHTS, help="where install writes")
    chosen = parser.parse_args()
    if chosen.model == "install":
        from laser_cli.storybook.train.install import install

        print("installed:", ", ".join(install(chosen.folder, chosen.to)) or "nothing, for nothing is trained")
        return
    if chosen.model == "text":
        if chosen.minutes or chosen.start or chosen.frozen_text:
            parser.error("text takes --folder, --steps and --seed")
        from laser_cli.storybook.train import text

        text.train(chosen.folder, seed=chosen.seed, **({"steps": chosen.steps} if chosen.steps else {}))
        return
    options = {"minutes": chosen.minutes, "seed": chosen.seed, "device": chosen.device, "start": chosen.start} | (
        {"steps": chosen.steps} if chosen.steps else {"steps": 10**9} if chosen.minutes else {}
    )
    if chosen.frozen_text:
        if chosen.model != "unet":
            parser.error("--frozen-text is for unet")
        options["frozen_text"] = True
    for signum in (signal.SIGINT, signal.SIGTERM):
        signal.signal(signum, lambda *_: STOP.set())
    module = importlib.import_module(f"laser_cli.storybook.train.{chosen.model}")
    module.train(chosen.folder, **options)


if __name__ == "__main__":
    main()
