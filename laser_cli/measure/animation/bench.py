"""`laser bench animate`: laser beside its parts, what it is built on, editing baselines and the truth."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import inf, nan
from pathlib import Path

import torch
from torch import Tensor

from laser_cli.errors import NotFoundError
from laser_cli.jobs.animate import directed
from laser_cli.jobs.planning import Planning, request_for
from laser_cli.jobs.settings import AnimateSettings
from laser_cli.measure.animation.asked import OURS, TRUE, Amount
from laser_cli.measure.animation.edits import Edit
from laser_cli.measure.animation.methods import METHODS, Task
from laser_cli.measure.animation.scores import Score, Summary, score, summary, truth_of
from laser_cli.measure.figures import Figure
from laser_cli.measure.pictures import psnr
from laser_cli.models.model import Model
from laser_cli.plan.planners import make_plan
from laser_cli.plan.schema import Plan
from laser_cli.stages.distances import Distance
from laser_cli.stages.invert import to_tensor
from laser_cli.storybook.classifier import FOLDER, AttributeClassifier, load_classifier
from laser_cli.storybook.look import look_of

Say = Callable[[str], object]


@dataclass(frozen=True)
class Drawn:
    """An edit's animations by method, [n, 3, h, w] each, with their scores."""

    edit: Edit
    plan: Plan
    shown: tuple[int, ...]
    pictures: Mapping[str, Tensor]
    scores: Mapping[str, Score]


@dataclass(frozen=True)
class Row:
    """One method over all edits, and over those of each kind."""

    method: str
    all: Summary
    kinds: Mapping[str, Summary]


def needed_classifier(folder: Path = FOLDER) -> AttributeClassifier:
    """The attribute classifier that reads the pictures; NotFoundError without one."""
    try:
        return load_classifier(folder)
    except NotFoundError as error:
        why = "laser bench animate measures every picture by it: what is reached and kept, distances, truth"
        raise NotFoundError(error.what, why=why, hint=error.hint) from error


def planned(edit: Edit, settings: AnimateSettings) -> Plan:
    """The plan that `laser animate` makes of a picture with this prompt and the sentence."""
    request = request_for(Planning(), edit.sentence, edit.prompt, frames=settings.frames, seed=settings.seed)
    return directed(make_plan(None, request, intermediate=settings.waypoints).plan, settings)


def task_of(
    model: Model, edit: Edit, plan: Plan, settings: AnimateSettings, shown: tuple[int, ...], distance: Distance
) -> Task:
    """An edit as the model's own size and look show it."""
    look = look_of(model.size)
    return Task(model, look, edit, plan, settings, shown, distance)


@dataclass(frozen=True)
class Measure:
    """How edits are measured: how they are drawn, which of their frames, and by which methods."""

    settings: AnimateSettings
    shown: tuple[int, ...]
    methods: tuple[str, ...]

    @staticmethod
    def of(settings: AnimateSettings, amount: Amount, methods: Sequence[str] = tuple(METHODS)) -> Measure:
        """Those of an amount; the settings' number of frames is the amount's."""
        return Measure(settings.model_copy(update={"frames": amount.frames}), amount.shown, tuple(methods))


@torch.inference_mode()
def drawn(model: Model, classifier: AttributeClassifier, distance: Distance, how: Measure, edit: Edit) -> Drawn:
    """An edit, drawn by every method and scored."""
    task = task_of(model, edit, planned(edit, how.settings), how.settings, how.shown, distance)
    source = to_tensor(task.picture)
    back = model.decode(model.encode_picture(source)).cpu()
    truth = truth_of(edit, task.look, classifier, how.shown, psnr(back, source))
    inverting = _Cost(model)
    if any(METHODS[name].inverted for name in how.methods):
        task.inversion  # noqa: B018 - made before the methods are timed
    inverting.stop()
    pictures, scores = {}, {}
    for name in how.methods:
        cost = _Cost(model)
        pictures[name] = METHODS[name].draw(task)
        cost.stop()
        whole = [cost, inverting] if METHODS[name].inverted else [cost]
        spent = (sum(c.nfe for c in whole) / len(how.shown), sum(c.seconds for c in whole) / len(how.shown))
        scores[name] = score(classifier, pictures[name], truth, *spent)
    return Drawn(edit, task.plan, how.shown, pictures, scores)


class _Cost:
    """Evaluations and seconds of what is done until it is stopped."""

    def __init__(self, model: Model) -> None:
        self.model, self.nfe, self.seconds = model, -model.nfe, -time.perf_counter()

    def stop(self) -> None:
        self.nfe, self.seconds = self.nfe + self.model.nfe, self.seconds + time.perf_counter()


def bench_animations(
    edits: Iterable[Drawn], count: int, say: Say = lambda text: None, keep: Callable[[Drawn], object] = lambda one: None
) -> tuple[list[Row], list[Figure]]:
    """A row for every method, and the figures that have targets; ``keep`` is given every edit's pictures."""
    scores: dict[str, dict[str, list[Score]]] = defaultdict(lambda: defaultdict(list))
    begin = time.perf_counter()
    for n, one in enumerate(edits, start=1):
        keep(one)
        for name, told in one.scores.items():
            scores[name][one.edit.kind].append(told)
        if n == 1 or n % max(1, count // 20) == 0:
            say(f"{n} of {count} edits, about {(time.perf_counter() - begin) / n * (count - n) / 60:.0f} min left")
    rows = rows_of(scores)
    return rows, figures(rows)


def rows_of(scores: Mapping[str, Mapping[str, Sequence[Score]]]) -> list[Row]:
    """Rows of scores by method and kind; the truth is among them."""
    true = {kind: torch.cat([s.features for s in told]) for kind, told in scores[TRUE[1]].items()}
    whole = torch.cat(list(true.values()))
    return [
        Row(
            name,
            summary([s for told in kinds.values() for s in told], whole),
            {kind: summary(told, true[kind]) for kind, told in kinds.items()},
        )
        for name, kinds in scores.items()
    ]


def figures(rows: Sequence[Row]) -> list[Figure]:
    """What is promised of the default."""
    by = {row.method: row.all for row in rows}
    ours, true = by.get(OURS), by.get(TRUE[1])
    if ours is None or true is None:
        return []
    told = [
        Figure("edit reached", ours.reached, "%", 95.0, "higher"),
        Figure("kept", ours.kept, "%", 95.0, "higher"),
        Figure("frame 0 below the VAE round trip", ours.lost, "dB", 0.1),
        Figure("animations with largest / median <= 1.5", ours.even, "%", 90.0, "higher"),
        Figure("animations with largest / median <= 2", ours.smooth, "%", 97.0, "higher"),
    ]
    if true.clear > 0:
        told.append(Figure("clear in-betweens / true ones", 100 * ours.clear / true.clear, "%", 90.0, "higher"))
    others = {name: s.worth for name, s in by.items() if name not in (OURS, *TRUE)}
    if others:
        best = max(others, key=lambda name: others[name])
        more = ours.worth / others[best] if others[best] > 0 else inf if ours.worth > 0 else nan
        told.append(Figure(f"reached x kept x smooth / the best other ({best})", more, "x", 1.0, "higher"))
    kinds = next(row.kinds for row in rows if row.method == OURS)
    worst = min(kinds, key=lambda kind: kinds[kind].worth)
    told.append(Figure(f"reached x kept x smooth, worst kind ({worst})", kinds[worst].worth, "%", 85.0, "higher"))
    return told
