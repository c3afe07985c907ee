"""What one interpolation is worth: evenness and length of its way, and how true its in-betweens are.

Distances are roots of the attribute classifier's: lengths, so that half of a smooth way is half as far. (The
classifier's own is a squared difference, as LPIPS is: half of a way would be a quarter as far.)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, median

import torch
import torch.nn.functional as F
from torch import Tensor

from laser_cli.measure.pictures import frechet
from laser_cli.storybook.classifier import AttributeClassifier
from laser_cli.storybook.traits import Reading

CLEAR = 0.8
"""The share from which on a subject is read without doubt."""
JUMPY = 2.0
"""Largest / median neighbour distance beyond which a way jumps."""
GRID = tuple(i / 16 for i in range(17))
"""The t at which in-betweens are compared with the world's own."""

Maps = list[Tensor]
"""The classifier's features of n pictures: for every stage [n, c, h, w], of unit length at each place."""


@dataclass(frozen=True)
class Score:
    """One way between two stops; ``truth`` and ``clear`` have one entry for every in-between."""

    gaps: Sequence[float]
    truth: Sequence[float]
    clear: Sequence[bool]
    features: Tensor
    """[n, d], for Frechet distances."""

    @property
    def smoothness(self) -> float:
        """1 - Gini of the neighbours' distances (AID): 1 where all are equal."""
        return 1 - gini(self.gaps)

    @property
    def consistency(self) -> float:
        """Mean distance of neighbours."""
        return fmean(self.gaps)

    @property
    def largest(self) -> float:
        """Largest / median distance of neighbours; infinite where most are equal pictures and some are not."""
        middle, most = median(self.gaps), max(self.gaps)
        return most / middle if middle > 0 else float("inf") if most > 0 else 1.0


def gini(values: Sequence[float]) -> float:
    """sum |d_i - d_j| / (2 n^2 mean): 0 where all are equal, towards 1 where one has all."""
    mean, n = fmean(values), len(values)
    if mean <= 0:
        return 0.0
    return sum(abs(a - b) for a in values for b in values) / (2 * n * n * mean)


@torch.no_grad()
def maps_of(classifier: AttributeClassifier, pictures: Tensor) -> Maps:
    """The features that ``AttributeClassifier.distance`` compares, once for many comparisons."""
    return units(classifier.stages(pictures.to(classifier.out.weight)))


def units(stages: Sequence[Tensor]) -> Maps:
    """Feature maps of unit length at each place."""
    return [F.normalize(stage, dim=1).float().cpu() for stage in stages]


def apart(a: Maps, b: Maps) -> Tensor:
    """Distance of every picture of a from every one of b, [n, m]."""
    squares = [
        torch.stack([(p - one).square().sum(1).mean((1, 2)) for one in q], dim=1) for p, q in zip(a, b, strict=True)
    ]
    return torch.stack(squares).sum(0).sqrt()


def best_match(pictures: Maps, truth: Maps) -> tuple[list[float], list[int]]:
    """The distance of each picture to the nearest true one, and which that is."""
    nearest = apart(pictures, truth).min(dim=1)
    return nearest.values.tolist(), nearest.indices.tolist()


def is_clear(read: Reading) -> bool:
    """Whether a picture shows one subject without doubt: of a scene its strongest name, else a portrait."""
    if read.shares["family"]["puppet"] >= CLEAR:
        return True
    return read.shares["family"]["scene"] >= CLEAR and max(read.shares["subject"].values()) >= CLEAR


def score(classifier: AttributeClassifier, pictures: Tensor, truth: Maps) -> Score:
    """One way, stops included [n, 3, h, w], beside the features of the true pictures on it."""
    seen = maps_of(classifier, pictures)
    gaps = apart([stage[:-1] for stage in seen], [stage[1:] for stage in seen]).diagonal().tolist()
    inner = pictures[1:-1]
    clear = [is_clear(read) for read in classifier.read(inner)]
    return Score(gaps, best_match([stage[1:-1] for stage in seen], truth)[0], clear, classifier.embedding(inner))


@dataclass(frozen=True)
class Summary:
    """Means over all ways of one kind; ``even`` is the percentage of ways without a jump, ``clear`` of in-betweens."""

    smoothness: float
    consistency: float
    largest: float
    even: float
    frechet: float
    truth: float
    clear: float


def summary(scores: Sequence[Score], reference: Tensor) -> Summary:
    """Of scores, beside the features [n, d] of the world's own in-betweens; ``largest`` is the median over the ways."""
    return Summary(
        fmean(s.smoothness for s in scores),
        fmean(s.consistency for s in scores),
        median(s.largest for s in scores),
        100 * fmean(s.largest <= JUMPY for s in scores),
        frechet(torch.cat([s.features for s in scores]), reference),
        fmean(value for s in scores for value in s.truth),
        100 * fmean(value for s in scores for value in s.clear),
    )
