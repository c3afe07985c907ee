"""What one animation is worth beside the true one: reached, kept, smooth, clear and true."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields
from itertools import chain
from statistics import fmean, median

import torch
import torch.nn.functional as F
from torch import Tensor

from laser_cli.measure.animation.edits import Edit, still
from laser_cli.measure.figures import mean
from laser_cli.measure.interpolations.scores import JUMPY, Maps, apart, best_match, gini, is_clear, maps_of, units
from laser_cli.measure.pictures import frechet, psnr, ssim_map
from laser_cli.storybook.classifier import AttributeClassifier, reading
from laser_cli.storybook.look import Look
from laser_cli.storybook.puppets import Puppet
from laser_cli.storybook.train.common import gradient_energy
from laser_cli.storybook.traits import Reading, judge_told

EVEN = 1.5
"""Largest / median neighbour distance up to which an animation is even; up to JUMPY it is smooth."""
FINE = 4
"""Steps of the grid of true in-betweens between two frames."""
MOST_PSNR = 60.0
"""Equal pictures are infinitely alike; in means they count this much."""
NAMES = {
    "scene": ("subject", "setting", "pattern", "style"),
    "puppet": ("hair", "hair colour", "eyes", "hat", "background"),
}
"""The attributes by whose strongest shares a picture's certainty is told."""


@dataclass(frozen=True)
class Truth:
    """What an edit's animations are measured by: true pictures on a fine grid, and what stands still in all of them."""

    edit: Edit
    pictures: Tensor
    maps: Maps
    still: Tensor | None
    round_trip: float
    """PSNR in dB of the source through the VAE and back."""


@dataclass(frozen=True)
class Score:
    """One animation; lists have an entry for every attribute, frame or neighbouring pair, and may be empty."""

    reached: Sequence[bool]
    """Attributes asked for, read where their stage ends."""
    kept: Sequence[bool]
    """Attributes not asked for, read at the end."""
    first: float
    """PSNR in dB of frame 0 and the picture."""
    lost: float
    """By how many dB frame 0 is worse than the picture's round trip through the VAE."""
    psnr: float | None
    """Of all frames and the picture, where the truth stands still."""
    ssim: float | None
    gradient: float | None
    """Mean distance of gradients there, in percent of the picture's mean gradient."""
    flicker: float | None
    """Mean second difference of frames there, in levels of 255."""
    gaps: Sequence[float]
    sharp: Sequence[float]
    """Gradient energy of in-betweens in percent of that of the true ones that they match best."""
    certain: Sequence[float]
    """Certainty of in-betweens by the classifier, in percent."""
    clear: Sequence[bool]
    untrue: Sequence[float]
    """Distance of in-betweens to the true ones that they match best."""
    features: Tensor
    """[n, d], for Frechet distances."""
    evaluations: float = 0.0
    """U-Net evaluations for each picture."""
    seconds: float = 0.0

    @property
    def largest(self) -> float:
        """Largest / median distance of neighbours."""
        middle, most = median(self.gaps), max(self.gaps)
        return most / middle if middle > 0 else math.inf if most > 0 else 1.0

    @property
    def worth(self) -> float:
        """Reached x kept x smooth x clear, each 0..1: by which the worst are found."""
        smooth = min(1.0, JUMPY / self.largest)
        return _share(self.reached) * _share(self.kept) * smooth * _share(self.clear) / 1e6


def truth_of(edit: Edit, look: Look, classifier: AttributeClassifier, shown: Sequence[int], trip: float) -> Truth:
    """The truth of an edit; ``shown``: the frames that are to be measured, the last one of all among them."""
    count = FINE * (len(shown) - 1)
    pictures = edit.truth([i / count for i in range(count + 1)], look)
    return Truth(edit, pictures, maps_of(classifier, pictures), still(pictures), trip)


@torch.inference_mode()
def score(
    classifier: AttributeClassifier, pictures: Tensor, truth: Truth, evaluations: float = 0.0, seconds: float = 0.0
) -> Score:
    """The score of an animation's frames [n, 3, h, w], evenly chosen from first to last."""
    pictures, source, quiet = pictures.cpu(), truth.pictures[:1], truth.still
    stages = classifier.stages(pictures.to(classifier.out.weight))
    seen, read = units(stages), [reading(row) for row in classifier.head(stages[-1]).float().cpu()]
    gaps = apart([stage[:-1] for stage in seen], [stage[1:] for stage in seen]).diagonal().tolist()
    untrue, nearest = best_match([stage[1:-1] for stage in seen], truth.maps)
    first = min(MOST_PSNR, psnr(pictures[:1], source))
    inner = list(zip(pictures[1:-1], truth.pictures[nearest], strict=True))
    return Score(
        reached=list(reached(truth.edit, read)),
        kept=[right for name, right in judge_told(read[-1], truth.edit.stages[-1]).items() if name in truth.edit.kept],
        first=first,
        lost=max(0.0, truth.round_trip - first),
        psnr=None if quiet is None else fmean(_psnr_where(p, source[0], quiet) for p in pictures[1:]),
        ssim=None if quiet is None else float(ssim_map(pictures[1:], source)[:, quiet].mean()),
        gradient=None if quiet is None else gradient_distance(pictures[1:], source, quiet),
        flicker=None if quiet is None or len(pictures) < 3 else flicker(pictures, quiet),
        gaps=gaps,
        sharp=[100 * gradient_energy(p[None]) / max(1e-9, gradient_energy(q[None])) for p, q in inner],
        certain=[100 * certainty(r) for r in read[1:-1]],
        clear=[is_clear(r) for r in read[1:-1]],
        untrue=untrue,
        features=classifier.pooled(stages[-1]),
        evaluations=evaluations,
        seconds=seconds,
    )


def reached(edit: Edit, read: Sequence[Reading]) -> Iterable[bool]:
    """Whether each attribute asked for is there at the end of its stage; a wink, which opens again, anywhere in it."""
    begin = 0
    for k, asked in enumerate(edit.asked, start=1):
        at, stage = round(k * (len(read) - 1) / len(edit.asked)), edit.stages[k]
        right = judge_told(read[at], stage)
        if "face" in right and isinstance(stage, Puppet) and stage.winks:
            right["face"] = any(judge_told(each, stage)["face"] for each in read[begin + 1 : at + 1])
        yield from (right[name] for name in sorted(asked) if name in right)
        begin = at


def certainty(read: Reading) -> float:
    """The mean share of the strongest names of a picture's attributes."""
    shares = [max(read.shares[name].values()) for name in NAMES[read.name("family")]]
    return max(read.shares["family"].values()) * fmean(shares)


def gradients(pictures: Tensor) -> Tensor:
    """Differences of neighbouring pixels to the right and below, [n, 2c, h, w]; 0 at the edge."""
    right, below = pictures.diff(dim=-1), pictures.diff(dim=-2)
    return torch.cat([F.pad(right, (0, 1)), F.pad(below, (0, 0, 0, 1))], dim=1)


def gradient_distance(pictures: Tensor, source: Tensor, quiet: Tensor) -> float:
    """Mean distance of gradients where nothing should change, in percent of the source's mean gradient there."""
    wanted = gradients(source)[..., quiet]
    apart = (gradients(pictures)[..., quiet] - wanted).abs().mean()
    return float(100 * apart / wanted.abs().mean().clamp_min(1e-6))


def flicker(pictures: Tensor, quiet: Tensor) -> float:
    """Mean second difference of neighbouring frames [n, 3, h, w] where nothing should change, in levels of 255."""
    return float(255 * (pictures[:-2] - 2 * pictures[1:-1] + pictures[2:])[..., quiet].abs().mean())


def _psnr_where(a: Tensor, b: Tensor, quiet: Tensor) -> float:
    return min(MOST_PSNR, psnr(a[:, quiet], b[:, quiet]))


def _share(values: Sequence[bool]) -> float:
    """Percent; of nothing, all."""
    return 100 * fmean(values) if values else 100.0


@dataclass(frozen=True)
class Summary:
    """Of many animations; percent unless said otherwise. Where nothing could be measured, nan."""

    items: int
    reached: float
    kept: float
    even: float
    """Animations whose largest / median neighbour distance is at most EVEN."""
    smooth: float
    """The same, at most JUMPY."""
    worth: float
    """reached x kept x smooth."""
    largest: float
    """The median over the animations."""
    gini: float
    """1 - Gini of neighbours' distances, 0..1."""
    clear: float
    certain: float
    sharp: float
    untrue: float
    frechet: float
    first: float
    """dB."""
    lost: float
    """dB."""
    psnr: float
    """dB."""
    ssim: float
    gradient: float
    flicker: float
    """Levels of 255."""
    evaluations: float
    """For each picture."""
    seconds: float
    """For each picture."""


UNITS = {
    **dict.fromkeys(("reached", "kept", "even", "smooth", "worth", "clear", "certain", "sharp", "gradient"), "%"),
    **dict.fromkeys(("first", "lost", "psnr"), "dB"),
    "seconds": "s",
}


def summary(scores: Sequence[Score], reference: Tensor) -> Summary:
    """Of scores, beside the features [n, d] of the true animations' frames."""

    def pooled(of: Callable[[Score], Iterable[float]]) -> float:
        return mean(list(chain.from_iterable(of(s) for s in scores)))

    def known(name: str) -> float:
        return mean([value for s in scores if (value := getattr(s, name)) is not None])

    reached, kept = 100 * pooled(lambda s: s.reached), 100 * pooled(lambda s: s.kept)
    smooth = 100 * fmean(s.largest <= JUMPY for s in scores)
    return Summary(
        items=len(scores),
        reached=reached,
        kept=kept,
        even=100 * fmean(s.largest <= EVEN for s in scores),
        smooth=smooth,
        worth=reached * kept * smooth / 1e4,
        largest=median(s.largest for s in scores),
        gini=fmean(1 - gini(s.gaps) for s in scores),
        clear=100 * pooled(lambda s: s.clear),
        certain=pooled(lambda s: s.certain),
        sharp=pooled(lambda s: s.sharp),
        untrue=pooled(lambda s: s.untrue),
        frechet=frechet(torch.cat([s.features for s in scores]), reference),
        **{f.name: known(f.name) for f in fields(Summary) if f.name in PLAIN},
    )


PLAIN = ("first", "lost", "psnr", "ssim", "gradient", "flicker", "evaluations", "seconds")
"""Figures that are means of the scores' own."""
