"""`laser bench portraits`: reenactments of puppets beside baselines, against their true pictures."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from laser_cli.controls.knit.driven import face_motion
from laser_cli.controls.knit.find import load_adapters, needed_adapters
from laser_cli.controls.knit.load import Nets
from laser_cli.controls.knit.pose import HeadPose
from laser_cli.engine.spec import SamplingParams
from laser_cli.measure import memory as measured
from laser_cli.measure.figures import Figure
from laser_cli.measure.pictures import psnr, ssim
from laser_cli.measure.portraits.items import drawn, read_motion, sample_reenactments
from laser_cli.measure.portraits.rows import ATTENTION, KNITTING, WORDS, ways
from laser_cli.models.find import STORYBOOK
from laser_cli.models.model import Model
from laser_cli.stages.invert import to_array
from laser_cli.stages.portrait import draw_portrait
from laser_cli.stages.sitting import Words
from laser_cli.storybook.classifier import AttributeClassifier
from laser_cli.storybook.driving import PLACE
from laser_cli.storybook.look import look_of
from laser_cli.storybook.puppets import BLENDSHAPES, Puppet
from laser_cli.storybook.traits import judge
from laser_cli.tracks.schema import FaceTrack

TRUE = "true renders"
EXPRESSION, POSE, IDENTITY, EVALUATIONS = 0.08, 4.0, 95.0, 27.0
"""Bars of knitting: mean error of each blendshape and of angles in degrees, percent of every told attribute right, and
function evaluations a frame (published: 95 in v1 and v2, 60 in v5)."""
Say = Callable[[str], object]


@dataclass
class Score:
    """What is measured of one way in one kind of reenactment."""

    psnr: list[float] = field(default_factory=list)
    ssim: list[float] = field(default_factory=list)
    shapes: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    angles: list[float] = field(default_factory=list)
    looks: dict[str, list[bool]] = field(default_factory=lambda: defaultdict(list))

    def add(self, classifier: AttributeClassifier, frames: Tensor, true: Tensor, targets: Sequence[Puppet]) -> None:
        """Measure frames [n, 3, h, w] against true ones and what these show."""
        for frame, render, reading, puppet in zip(frames, true, classifier.read(frames), targets, strict=True):
            self.psnr.append(psnr(frame, render))
            self.ssim.append(ssim(frame, render))
            for name in BLENDSHAPES:
                self.shapes[name].append(abs(reading.numbers[name] - puppet.value(name)))
            self.angles += [abs(reading.numbers[k] - getattr(puppet, k)) for k in ("yaw", "pitch", "roll")]
            for name, right in judge(reading, puppet).items():
                if name not in ("face", "pose"):
                    self.looks[name].append(right)

    def figures(self, row: str, kind: str, barred: bool) -> list[Figure]:
        """The figures of a row, with bars where they are its."""
        by_shape = {name: float(np.mean(errors)) for name, errors in self.shapes.items()}
        by_look = {name: 100 * float(np.mean(right)) for name, right in self.looks.items()}
        worst_shape, worst_look = max(by_shape, key=by_shape.__getitem__), min(by_look, key=by_look.__getitem__)
        name, count = f"{kind}, {row}", len(self.psnr)

        def bar(value: float) -> float | None:
            return value if barred else None

        # two equal pictures have no finite PSNR
        finite = [value for value in self.psnr if np.isfinite(value)] or [float("inf")]
        return [
            Figure(f"{name}: PSNR", float(np.mean(finite)), "dB", better="higher", of=count),
            Figure(f"{name}: SSIM", float(np.mean(self.ssim)), "", better="higher", of=count),
            Figure(f"{name}: expression error, mean", float(np.mean(list(by_shape.values()))), "", of=count),
            Figure(f"{name}: expression error, {worst_shape}", by_shape[worst_shape], "", bar(EXPRESSION), of=count),
            Figure(f"{name}: pose error", float(np.mean(self.angles)), "deg", bar(POSE), of=count),
            Figure(f"{name}: identity kept", float(np.mean(list(by_look.values()))), "%", better="higher", of=count),
            Figure(f"{name}: identity kept, {worst_look}", by_look[worst_look], "%", bar(IDENTITY), "higher", count),
        ]


def bench_portraits(
    model: Model,
    classifier: AttributeClassifier,
    count: int = 200,
    steps: int | None = None,
    adapter: str | None = None,
    compare: str | None = None,
    baselines: int = 40,
    say: Say = lambda text: None,
) -> tuple[list[Figure], Tensor]:
    """Figures of every way on `count` self- and as many cross-reenactments; and pictures of the first:
    [rows, columns, 3, h, w], reference, truth, and each way. Words and attention, which cost most, are drawn for
    `baselines` of each kind. Raises NotFoundError for a model without adapters."""
    nets = load_adapters(needed_adapters(adapter, model.name), model)
    other = load_adapters(needed_adapters(compare, model.name), model) if compare else None
    known, look = ways(model, classifier, nets, steps, other), look_of(model.size)
    items = sample_reenactments(count)
    scores: dict[tuple[str, str], Score] = defaultdict(Score)
    flicker: dict[str, list[float]] = defaultdict(list)
    spent: dict[str, list[float]] = {name: [0.0, 0.0, 0.0] for name in known}
    sheet: list[Tensor] = []
    drawn_yet: dict[str, int] = defaultdict(int)
    for number, item in enumerate(items):
        say(f"{number} of {len(items)} references")
        reference, true = drawn([item.reference], look)[0], drawn(item.targets, look)
        driving = true if item.kind == "self" else drawn(item.drivers, look)
        motion, row = read_motion(classifier, torch.cat([reference[None], driving])), [reference, true[0]]
        if item.kind != "clip":
            scores[item.kind, TRUE].add(classifier, true, true, item.targets)
        drawn_yet[item.kind] += len(item.targets)
        for name, way in known.items():
            if name in (WORDS, ATTENTION) and drawn_yet[item.kind] > max(baselines, len(item.targets)):
                continue
            begin = time.perf_counter()
            frames, evaluations = way(item, reference, motion)
            took = (len(frames), evaluations, time.perf_counter() - begin)
            spent[name] = [a + b for a, b in zip(spent[name], took, strict=True)]
            frames = frames[1:]  # all but the reference's own face
            if item.kind == "clip":
                flicker[name].append(flickers(frames, true))
            else:
                scores[item.kind, name].add(classifier, frames, true, item.targets)
            row.append(frames[0])
        if len(row) == 2 + len(known) and len(sheet) < 8 * len(row):
            sheet += row
    figures = []
    for (kind, name), score in scores.items():
        figures += score.figures(name, kind, barred=name == KNITTING)
    for name, values in flicker.items():
        figures.append(Figure(f"flicker, {name}", float(np.mean(values)), "levels", of=len(values)))
    for name, (count_drawn, rows, seconds) in spent.items():
        bar = EVALUATIONS if name == KNITTING else None
        figures.append(Figure(f"evaluations a frame, {name}", rows / count_drawn, "", bar))
        figures.append(Figure(f"seconds a frame, {name}", seconds / count_drawn, "s"))
    return figures, torch.stack(sheet).unflatten(0, (-1, 2 + len(known)))


def flickers(frames: Tensor, true: Tensor) -> float:
    """How much frames [n, 3, h, w] change from one to the next where the true ones do not, in levels of 255."""
    return float(255 * (frames.diff(dim=0) - true.diff(dim=0)).abs().mean())


def memory(model: str, say: Say = lambda text: None) -> list[Figure]:
    """Peak memory of driven portraits at 50 and at 1,000 frames."""
    return measured.memory(__name__, model, say)


def draw_frames(model: Model, frames: int, steps: int = 2) -> None:
    """Draw a portrait in so many frames."""
    nets: Nets = load_adapters(needed_adapters(None, STORYBOOK), model)
    t = np.linspace(0, 1, frames)
    track = FaceTrack.of(12, ("jawOpen", "yaw"), np.stack([t, 30 * t], 1))
    motion = face_motion(track, HeadPose(np.zeros((1, 3)), np.array([PLACE])), 0.0)
    picture = to_array(drawn([Puppet()], look_of(model.size))[0])
    for _ in draw_portrait(model, nets, picture, motion, Words("a portrait"), SamplingParams(guidance=1.0), steps):
        pass


if __name__ == "__main__":
    measured.main(draw_frames)
