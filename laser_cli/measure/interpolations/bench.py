"""`laser bench interpolate`: every method, baseline and spacing on pairs of storybook items with a known in-between."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path

import torch
from torch import Tensor

from laser_cli.engine.render import nfe
from laser_cli.engine.spec import Frame, SamplingParams, shifted
from laser_cli.errors import NotFoundError, UsageError
from laser_cli.measure.figures import Figure
from laser_cli.measure.interpolations.cost import Cost, costs, endpoints_of, schedule_of
from laser_cli.measure.interpolations.pairs import ASPECTS, Pair, sample_pairs
from laser_cli.measure.interpolations.scores import GRID, Score, Summary, maps_of, score, summary
from laser_cli.models.model import Model
from laser_cli.stages.distances import by_classifier
from laser_cli.stages.interpolate import Endpoints, FrameSchedule, InterpolationParams, interpolate
from laser_cli.stages.invert import to_tensor
from laser_cli.stages.spacing import drafting_nfe
from laser_cli.storybook.classifier import FOLDER, AttributeClassifier, load_classifier

METHODS: dict[str, InterpolationParams] = {
    "outer": InterpolationParams("outer"),
    "outer-unfused": InterpolationParams("outer", fused=False),
    "inner": InterpolationParams("inner"),
    "inner-unfused": InterpolationParams("inner", fused=False),
    "text": InterpolationParams("text"),
    "denoise": InterpolationParams("denoise"),
}
"""Methods with a U-Net of their own; a cross-dissolve and the world's own in-betweens always stand beside them."""
SPACINGS = ("even", "beta", "uniform")
DISSOLVE, WORLD = ("dissolve", "uniform"), ("the world's own", "uniform")
BASELINES = ("text", "denoise")
UNITS = {"even": "%", "clear": "%", "seconds": "s"}
Say = Callable[[str], object]


@dataclass(frozen=True)
class Row:
    """One method at one spacing: what its ways are worth, and what a frame of them costs."""

    method: str
    spacing: str
    worth: Summary
    cost: Cost | None = None


def bench_interpolations(
    model: Model,
    classifier: AttributeClassifier,
    count: int = 100,
    frames: int = 7,
    steps: int = 10,
    methods: Sequence[str] = tuple(METHODS),
    seed: int = 0,
    aspects: Sequence[str] = tuple(ASPECTS),
    say: Say = lambda text: None,
    guidance: float = 3.0,
) -> tuple[list[Row], list[Figure]]:
    """A row for every method and spacing, and the figures that have targets (all but memory)."""
    pairs, classifier = sample_pairs(count, seed, aspects), classifier.to(model.device)
    ways = {name: replace(METHODS[name], steps=steps, sampling=SamplingParams(guidance)) for name in methods}
    say(f"{count} pairs, {count * work(frames, ways.values()):,} U-Net evaluations")
    scores: dict[tuple[str, str], list[Score]] = defaultdict(list)
    begin = time.perf_counter()
    for n, pair in enumerate(pairs):
        for kind, told in scores_of(model, classifier, pair, n, frames, ways):
            scores[kind].append(told)
        left = (time.perf_counter() - begin) / (n + 1) * (count - n - 1) / 60
        if n == 0 or (n + 1) % max(1, count // 20) == 0:
            say(f"{n + 1} of {count} pairs, about {left:.0f} min left")
    say("costs")
    spent = costs(model, ways)
    # what the world draws is the reference itself
    reference = torch.cat([told.features for told in scores[WORLD]])
    rows = [Row(*kind, summary(told, reference), spent.get(kind)) for kind, told in scores.items()]
    return rows, figures(rows)


def needed_classifier(folder: Path = FOLDER) -> AttributeClassifier:
    """The attribute classifier that reads the pictures; NotFoundError without one."""
    try:
        return load_classifier(folder)
    except NotFoundError as error:
        why = "laser bench interpolate measures every picture by it: distances, truth and what is read from it"
        raise NotFoundError(error.what, why=why, hint=error.hint) from error


def work(frames: int, ways: Iterable[InterpolationParams]) -> int:
    """U-Net evaluations of a pair, at most."""
    return sum(
        nfe(2 + (frames - 2) * len(SPACINGS), way.steps, way.sampling.guidance)
        + drafting_nfe(1, frames, way.steps, way.sampling.guidance)
        for way in ways
    )


@torch.inference_mode()
def scores_of(
    model: Model,
    classifier: AttributeClassifier,
    pair: Pair,
    seed: int,
    frames: int,
    ways: dict[str, InterpolationParams],
) -> Iterator[tuple[tuple[str, str], Score]]:
    """The scores of one pair by (method, spacing), the cross-dissolve's and the world's own among them."""
    truth = maps_of(classifier, pair.truth(GRID, model.size))
    times = [j / (frames - 1) for j in range(frames)]
    distance = by_classifier(classifier)
    for name, params in ways.items():
        endpoints = endpoints_of(model, params, pair.prompts, seed)
        schedules = {spacing: schedule_of(model, endpoints, params, frames, spacing, distance) for spacing in SPACINGS}
        pictures = rendered(model, endpoints, params, list(schedules.values()))
        for spacing, way in zip(schedules, pictures, strict=True):
            yield (name, spacing), score(classifier, way, truth)
    begin, end = pictures[0][0], pictures[0][-1]
    faded = torch.stack([torch.lerp(begin, end, t) for t in times])
    yield DISSOLVE, score(classifier, faded, truth)
    yield WORLD, score(classifier, pair.truth(times, model.size), truth)


def rendered(
    model: Model, endpoints: Endpoints, params: InterpolationParams, schedules: Sequence[FrameSchedule]
) -> list[Tensor]:
    """Several schedules between the same two endpoints, rendered together: [n, 3, h, w] each, endpoints included."""
    together: list[Frame] = []
    for schedule in schedules:
        together += shifted(schedule.frames, len(together))
    whole = FrameSchedule(together, (0, len(together) + 1))
    pictures = torch.cat([to_tensor(picture.array) for picture in interpolate(model, endpoints, params, whole)])
    ways, at = [], 1
    for schedule in schedules:
        count = len(schedule.frames)
        ways.append(torch.cat([pictures[:1], pictures[at : at + count], pictures[-1:]]))
        at += count
    return ways


def read_methods(text: str | None) -> tuple[str, ...]:
    """The methods of a list with commas; all for none. UsageError for one that there is not."""
    if text is None:
        return tuple(METHODS)
    names = tuple(dict.fromkeys(name.strip() for name in text.split(",")))
    for name in names:
        if name not in METHODS:
            raise UsageError(f"unknown method {name!r}", hint=", ".join(METHODS))
    return names


def figures(rows: Sequence[Row]) -> list[Figure]:
    """What was promised of fused outer with even spacing, beside the baselines as they are published (uniform in t)."""
    by = {(row.method, row.spacing): row for row in rows}
    ours, plain = by.get(("outer", "even")), by.get(("outer", "uniform"))
    if ours is None or plain is None:
        return []
    told = []
    others = [by[name, "uniform"].worth for name in BASELINES if (name, "uniform") in by]
    if others:
        against = " and ".join(name for name in BASELINES if (name, "uniform") in by)
        least = {key: min(getattr(o, key) for o in others) for key in ("consistency", "frechet", "truth")}
        for what, key in (
            ("consistency", "consistency"),
            ("Frechet distance", "frechet"),
            ("distance to truth", "truth"),
        ):
            ratio = getattr(ours.worth, key) / least[key] if least[key] > 0 else float("inf")
            told.append(Figure(f"{what}: outer, even / the best of {against}", ratio, "x", 1.0))
        more = ours.worth.smoothness - max(o.smoothness for o in others)
        told.append(Figure(f"smoothness: outer, even, over the best of {against}", more, "", 0.0, "higher"))
    gained = ours.worth.smoothness - plain.worth.smoothness
    told.append(Figure("smoothness: outer, even, over outer, uniform", gained, "", 0.0, "higher"))
    told.append(Figure("pairs with largest / median <= 2: outer, even", ours.worth.even, "%", 80.0, "higher"))
    if plain.cost and ours.cost:
        told.append(Figure("evaluations / published code: outer, uniform", plain.cost.against_published, "x", 0.4))
        told.append(Figure("evaluations / published code: outer, even", ours.cost.against_published, "x"))
    return told


def as_figures(rows: Sequence[Row]) -> list[Figure]:
    """Every cell of the table."""
    cells = []
    for row in rows:
        cells += [
            Figure(f"{row.method}, {row.spacing}: {f.name}", getattr(part, f.name), UNITS.get(f.name, ""))
            for part in (row.worth, row.cost)
            if part is not None
            for f in fields(part)
        ]
    return cells


COLUMNS = ("smooth", "step", "largest", "even %", "Frechet", "untrue", "clear %", "evals", "s")
LEGEND = """\
smooth: 1 - Gini of the neighbours' distances; step: their mean (consistency); largest: the largest / the median;
even %: ways where that is at most 2; Frechet: to the world's own in-betweens; untrue: distance to the nearest of these;
clear %: in-betweens read as one subject; evals, s: U-Net evaluations and seconds a frame, at 24 frames"""


def table(rows: Sequence[Row]) -> str:
    """Method by measure, in plain text."""
    wide = max(len(f"{row.method}, {row.spacing}") for row in rows)
    lines = [" " * wide + "".join(f"{name:>9}" for name in COLUMNS)]
    for row in rows:
        w, c = row.worth, row.cost
        cells = [f"{v:9.3f}" for v in (w.smoothness, w.consistency)]
        cells += [f"{w.largest:9.2f}", f"{w.even:9.0f}", f"{w.frechet:9.3f}", f"{w.truth:9.3f}", f"{w.clear:9.0f}"]
        cells += [f"{c.evaluations:9.1f}", f"{c.seconds:9.2f}"] if c else [f"{'-':>9}"] * 2
        lines.append(f"{row.method + ', ' + row.spacing:<{wide}}" + "".join(cells))
    return "\n".join([*lines, LEGEND])
