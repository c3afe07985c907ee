"""``python -m laser_cli.storybook.train vae|unet|install``: trains the storybook models, from where it stopped."""

from __future__ import annotations

import argparse
from pathlib import Path

from laser_cli.engine.models import WEIGHTS


def main() -> None:
    """One step of the training, in the order vae, unet, install."""
    parser = argparse.ArgumentParser(prog="python -m laser_cli.storybook.train", description=__doc__)
    parser.add_argument(
        "model",
        choices=("vae", "unet", "install"),
        help="install writes the trained models, in half precision, as a standard folder",
    )
    parser.add_argument("--folder", type=Path, default=Path(".train"), help="checkpoints, logs and sample sheets")
    parser.add_argument("--minutes", type=float, default=None, help="total time to train, earlier stretches included")
    parser.add_argument("--steps", type=int, default=None, help="total steps to train")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--to", type=Path, default=WEIGHTS, help="where install writes")
    chosen = parser.parse_args()
    if chosen.model == "install":
        from laser_cli.storybook.train.install import install

        install(chosen.folder / "pipeline", chosen.to)
        return
    options = {"minutes": chosen.minutes, "seed": chosen.seed} | (
        {"steps": chosen.steps} if chosen.steps else {"steps": 10**9} if chosen.minutes else {}
    )
    if chosen.model == "vae":
        from laser_cli.storybook.train.vae import train as train_vae

        train_vae(chosen.folder, **options)
    else:
        from laser_cli.storybook.train.unet import train as train_unet

        train_unet(chosen.folder, **options)


if __name__ == "__main__":
    main()
