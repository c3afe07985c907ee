"""All of storybook's picture models in one command: VAE, attribute classifier and U-Net."""

from __future__ import annotations

from pathlib import Path

import torch

from laser_cli.storybook.train import classifier, unet, vae
from laser_cli.storybook.train.common import STOP
from laser_cli.storybook.train.pack import pack

SHARES = {"vae": 0.25, "classifier": 0.15, "unet": 0.6}
"""Shares of the minutes; what is drawn before a stage starts, and its last report, come on top."""
ENDLESS = 10**9
"""Steps: the minutes end every stage."""


def train(folder: Path, minutes: float, seed: int = 0, start: Path | None = None, device: str = "cpu") -> Path:
    """Trains all three in ``folder``, packs them in ``folder/pack`` and returns the pipeline's folder.

    Run again with more minutes, every stage goes on where it stopped.
    """
    on_gpu = torch.device(device).type == "cuda"
    spent = {name: share * minutes for name, share in SHARES.items()}
    vae.train(folder, ENDLESS, spent["vae"], seed, batch=64 if on_gpu else 12, start=start, device=device)
    if not STOP.is_set():
        batch = 256 if on_gpu else 48
        classifier.train(folder, ENDLESS, spent["classifier"], seed, batch, start=start, device=device)
    if not STOP.is_set():
        batch, first, held = (512, 65_536, 256) if on_gpu else (64, 2048, 128)
        unet.train(folder, ENDLESS, spent["unet"], seed, batch, start=start, device=device, first=first, held=held)
    pack(folder, folder / "pack")
    return folder / "pipeline"
