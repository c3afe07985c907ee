"""All of storybook's picture models in one command: VAE, attribute classifier and U-Net."""

from __future__ import annotations

from pathlib import Path

import torch

from laser_cli.storybook.train import classifier, unet, vae
from laser_cli.storybook.train.common import STOP
from laser_cli.storybook.train.pack import pack

SHARES = {"vae": 0.25, "classifier": 0.15, "unet": 0.6}
"""Shares of the minutes; what is drawn before a stage starts comes on top."""


def train(folder: Path, minutes: float, seed: int = 0, start: Path | None = None, device: str = "cpu") -> Path:
    """Trains all three in ``folder``, packs them in ``folder/pack`` and returns the pipeline's folder.

    Run again with more minutes, every stage goes on where it stopped.
    """
    on_gpu = torch.device(device).type == "cuda"
    large = {"vae": 64, "classifier": 256, "unet": 512} if on_gpu else {"vae": 12, "classifier": 48, "unet": 64}
    common = {"seed": seed, "start": start, "device": device, "steps": 10**9}
    stages = {"vae": vae.train, "classifier": classifier.train, "unet": unet.train}
    more = {"unet": {"first": 65_536 if on_gpu else 4096}}
    for name, stage in stages.items():
        if STOP.is_set():
            break
        stage(folder, minutes=minutes * SHARES[name], batch=large[name], **more.get(name, {}), **common)  # type: ignore[operator]
    pack(folder, folder / "pack")
    return folder / "pipeline"
