"""The attribute classifier: a small network that reads every attribute of the storybook world from a picture.

Its feature maps also give a perceptual distance and Frechet distances. ``load_classifier()`` loads the shipped one.
Pictures are [n, 3, h, w] in 0..1 of any size: they are scaled to 128 px.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from laser_cli.errors import NotFoundError
from laser_cli.storybook.traits import NAMES, NUMBERS, SCENE, Reading, truth
from laser_cli.storybook.world import Item

FOLDER = Path(__file__).parent / "weights" / "critic"
SIZE = 128
WIDTHS = (32, 64, 128, 192)
OUTPUTS = sum(len(names) for names in NAMES.values()) + len(NUMBERS)


class Block(nn.Module):
    """A residual block of two 3x3 convolutions."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm1, self.conv1 = nn.GroupNorm(8, width), nn.Conv2d(width, width, 3, padding=1)
        self.norm2, self.conv2 = nn.GroupNorm(8, width), nn.Conv2d(width, width, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        h = self.conv1(F.silu(self.norm1(x)))
        return x + self.conv2(F.silu(self.norm2(h)))


class AttributeClassifier(nn.Module):
    """Four stages, 64 px to 8 px; the last is read with its places kept, for poses and places matter."""

    def __init__(self, widths: Sequence[int] = WIDTHS, hidden: int = 384, squeezed: int = 32) -> None:
        super().__init__()
        self.config = {"widths": list(widths), "hidden": hidden, "squeezed": squeezed}
        self.stem = nn.Conv2d(3, widths[0], 5, stride=2, padding=2)
        self.down = nn.ModuleList(nn.Conv2d(a, b, 3, stride=2, padding=1) for a, b in itertools.pairwise(widths))
        self.blocks = nn.ModuleList(
            nn.Sequential(*(Block(width) for _ in range(count)))
            for width, count in zip(widths[1:], (1, 1, 2), strict=True)
        )
        self.squeeze = nn.Conv2d(widths[-1], squeezed, 1)
        self.norm = nn.GroupNorm(8, widths[-1])
        self.hidden = nn.Linear(squeezed * (SIZE // 16) ** 2 + widths[-1], hidden)
        self.out = nn.Linear(hidden, OUTPUTS)

    def stages(self, pictures: Tensor) -> list[Tensor]:
        """Feature maps of the four stages, [n, c, s, s] with s = 64, 32, 16, 8."""
        if pictures.shape[-2:] != (SIZE, SIZE):
            pictures = F.interpolate(pictures, (SIZE, SIZE), mode="bilinear", antialias=True)
        maps = [self.stem(pictures * 2 - 1)]
        for down, block in zip(self.down, self.blocks, strict=True):
            maps.append(block(down(F.silu(maps[-1]))))
        return maps

    def forward(self, pictures: Tensor) -> Tensor:
        """Logits of the names, then the numbers in their units: [n, OUTPUTS]."""
        return self.head(self.stages(pictures)[-1])

    def head(self, stage: Tensor) -> Tensor:
        """The same, of the last stage's feature maps."""
        last = F.silu(self.norm(stage))
        flat = torch.cat([self.squeeze(last).flatten(1), last.mean((2, 3))], 1)
        return self.out(F.silu(self.hidden(flat)))

    @torch.no_grad()
    def read(self, pictures: Tensor, batch: int = 64) -> list[Reading]:
        """The attributes of every picture."""
        return [
            reading(row)
            for part in pictures.split(batch)
            for row in self(part.to(self.out.weight)).float().cpu().unbind()
        ]

    @torch.no_grad()
    def embedding(self, pictures: Tensor, batch: int = 64) -> Tensor:
        """Pooled features of the last stage, for Frechet distances: [n, 192]."""
        parts = pictures.to(self.out.weight).split(batch)
        return torch.cat([self.pooled(self.stages(p)[-1]) for p in parts])

    def pooled(self, stage: Tensor) -> Tensor:
        """The same, of the last stage's feature maps."""
        return F.silu(self.norm(stage)).mean((2, 3)).float().cpu()

    @torch.no_grad()
    def distance(self, a: Tensor, b: Tensor) -> Tensor:
        """Perceptual distance of pictures, row by row: [n]. Zero for equal ones.

        Features of every stage, of unit length at each place, by squared difference (as LPIPS, Zhang et al. 2018).
        """
        total = torch.zeros(len(a))
        for p, q in zip(self.stages(a.to(self.out.weight)), self.stages(b.to(self.out.weight)), strict=True):
            apart = (F.normalize(p, dim=1) - F.normalize(q, dim=1)).square().sum(1)
            total += apart.mean((1, 2)).float().cpu()
        return total


def reading(row: Tensor) -> Reading:
    """One row of the classifier's output as a reading."""
    shares, at = {}, 0
    for attribute, names in NAMES.items():
        share = row[at : at + len(names)].softmax(0).tolist()
        shares[attribute], at = dict(zip(names, share, strict=True)), at + len(names)
    numbers = {name: value * unit for (name, unit), value in zip(NUMBERS.items(), row[at:].tolist(), strict=True)}
    return Reading(shares, numbers)


def targets(items: Sequence[Item]) -> tuple[Tensor, Tensor]:
    """What the classifier should say of the items, and which of it counts: [n, OUTPUTS] each."""
    rows, weights = [], []
    for item in items:
        true = truth(item)
        scene = true.name("family") == "scene"
        row, weight = [], []
        for attribute, names in NAMES.items():
            known = attribute == "family" or (attribute in SCENE) == scene
            row += [true.shares[attribute][n] if known else 0.0 for n in names]
            weight += [float(known)] * len(names)
        for name, unit in NUMBERS.items():
            known = (name in SCENE) == scene
            row.append(true.numbers[name] / unit if known else 0.0)
            weight.append(float(known))
        rows.append(row)
        weights.append(weight)
    return torch.tensor(rows), torch.tensor(weights)


def loss(output: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Cross-entropy of the shares plus the numbers' squared error, averaged over the items."""
    total, at = output.new_zeros(len(output)), 0
    for names in NAMES.values():
        part = slice(at, at + len(names))
        entropy = -(target[:, part] * output[:, part].log_softmax(1)).sum(1)
        total = total + entropy * weight[:, at]
        at += len(names)
    return (total + 12.0 * ((output[:, at:] - target[:, at:]).square() * weight[:, at:]).sum(1)).mean()


def load_classifier(folder: Path = FOLDER, device: torch.device | str = "cpu") -> AttributeClassifier:
    """The classifier of a folder, in float32; NotFoundError if there is none."""
    if not (folder / "config.json").is_file():
        raise NotFoundError(
            "the storybook attribute classifier is not there",
            why=f"no {folder.name}/config.json beside the weights",
            hint="train it: python -m laser_cli.storybook.train classifier --minutes 60, then install",
        )
    classifier = AttributeClassifier(**json.loads((folder / "config.json").read_text()))
    classifier.load_state_dict({k: v.float() for k, v in load_file(folder / "model.safetensors").items()})
    return classifier.to(device).eval()


def save_classifier(classifier: AttributeClassifier, folder: Path) -> None:
    """Writes the classifier in half precision."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(classifier.config) + "\n")
    save_file(
        {k: v.detach().half().contiguous().cpu() for k, v in classifier.state_dict().items()},
        folder / "model.safetensors",
    )
