"""The methods beside each other: laser, its parts, what it is built on, editing baselines, and the truth."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from laser_cli.engine.sample import denoise, last
from laser_cli.engine.schedule import noise_like
from laser_cli.engine.spec import SamplingParams
from laser_cli.jobs.run_animate import direction_of
from laser_cli.jobs.settings import AnimateSettings
from laser_cli.measure.animation.asked import OURS, TRUE
from laser_cli.measure.animation.driven import by_drive
from laser_cli.measure.animation.edits import Edit, joined, times_of
from laser_cli.measure.animation.published import as_published
from laser_cli.models.model import Model
from laser_cli.plan.schema import STRENGTHS, Plan, with_easing
from laser_cli.stages.animate import PLAIN, Direction, animate, generate
from laser_cli.stages.distances import Distance
from laser_cli.stages.invert import Inversion, invert_picture, to_array, to_tensor
from laser_cli.storybook.look import Look


@dataclass(frozen=True)
class Task:
    """An edit to be animated: its plan, the picture (h, w, 3) uint8, and the frames to be drawn of all."""

    model: Model
    look: Look
    edit: Edit
    plan: Plan
    settings: AnimateSettings
    shown: tuple[int, ...]
    distance: Distance

    @cached_property
    def picture(self) -> np.ndarray:
        """The true picture of the source."""
        return to_array(self.edit.truth([0.0], self.look)[0])

    @cached_property
    def inversion(self) -> Inversion:
        """The picture's inversion, as the command makes it."""
        return invert_picture(self.model, self.picture, self.plan.source, self.settings.steps, self.settings.method)

    @property
    def params(self) -> SamplingParams:
        """How the command samples."""
        guidance = self.model.cfg_scale(self.settings.guidance)
        return SamplingParams(guidance, self.settings.warmup, self.settings.chunk)

    @property
    def places(self) -> list[int]:
        """The numbers of the plan's keyframes among all frames."""
        places = [0]
        for segment in self.plan.segments:
            places.append(places[-1] + segment.frames - 1)
        return places


Draw = Callable[[Task], Tensor]
"""The pictures [n, 3, h, w] in 0..1 of a task's frames."""


def default(task: Task) -> Tensor:
    """What `laser animate` does: a portrait whose face moves is driven, where the model can."""
    pace = task.distance if task.settings.even_pace else None
    driven = by_drive(task.model, task.plan, task.picture, task.settings, task.shown, pace)
    if driven is not None:
        return driven
    first = task.picture if task.settings.exact_first else None
    return _drawn(task, task.plan, task.inversion, task.params, first, pace, direction_of(task.settings))


def alone(control: str, warmup: float = 0.0) -> Draw:
    """One control at its usual strength in every segment, evenly in time; the source held to its trajectory.

    ``warmup``: the share of the steps with attention interpolation.
    """

    def draw(task: Task) -> Tensor:
        params = replace(task.params, warmup=warmup)
        return _drawn(task, _controlled(task.plan, control, STRENGTHS[control]), task.inversion, params, task.picture)

    return draw


def text(task: Task) -> Tensor:
    """Text-embedding interpolation from the inverted noise: nothing is held, nothing injected."""
    free = replace(task.inversion, trajectory=replace(task.inversion.trajectory, pinned=False))
    return _drawn(task, _controlled(task.plan, "hold", 0.0), free, replace(task.params, warmup=0.0))


def edited(control: str) -> Draw:
    """The keyframes by a control as published, at full strength, and cross-dissolves between them."""

    def draw(task: Task) -> Tensor:
        params, places = replace(task.params, warmup=0.0), task.places
        plan = _controlled(task.plan, control, 1.0)
        drawn = animate(task.model, plan, task.inversion, params, task.picture, pace=None, wanted=frozenset(places))
        return joined([to_tensor(picture.array)[0] for picture in drawn], places, task.shown)

    return draw


def same_seed(task: Task) -> Tensor:
    """Every prompt drawn from one seed's noise, and cross-dissolves between: the input is not looked at."""
    size = (task.model.size, task.model.size)
    how = (task.settings.seed, task.settings.steps, task.params.guidance, size)
    ends = [to_tensor(generate(task.model, prompt, *how))[0] for prompt in task.plan.prompts]
    return joined(ends, task.places, task.shown)


def sdedit(strength: float) -> Draw:
    """SDEdit (arXiv 2108.01073): the picture noised to a share of the steps, denoised under each keyframe's prompt."""

    def draw(task: Task) -> Tensor:
        model, steps = task.model, task.settings.steps
        levels = model.schedule.levels(steps)[steps - max(1, round(steps * strength)) :]
        z = model.encode_picture(to_tensor(task.picture))
        x = levels[0].signal * z + levels[0].noise * noise_like(tuple(z.shape[1:]), task.settings.seed).to(z)
        told = model.encode_prompts(["", *task.plan.prompts[1:]])
        n = len(task.plan.segments)
        uncond, cond = told.select([0]).expand(n), told.select(slice(1, None))
        noised = x.expand(n, -1, -1, -1)
        drawn = last(denoise(model.backbone, noised, levels, cond, uncond, task.params.guidance, model.workers))
        return joined([to_tensor(task.picture)[0], *model.decode(drawn).cpu()], task.places, task.shown)

    return draw


def true_dissolve(task: Task) -> Tensor:
    """Cross-dissolves between the true stages."""
    count = len(task.edit.stages)
    places = [i * (task.plan.total_frames - 1) // (count - 1) for i in range(count)]
    ends = task.edit.truth([i / (count - 1) for i in range(count)], task.look)
    return joined(list(ends), places, task.shown)


def truth(task: Task) -> Tensor:
    """The world's own course."""
    return task.edit.truth(times_of(task.shown, task.plan.total_frames), task.look)


def nothing(task: Task) -> Tensor:
    """The picture, again and again."""
    return to_tensor(task.picture).expand(len(task.shown), -1, -1, -1)


class Method(NamedTuple):
    """How a row is drawn, and whether it needs the picture's inversion, whose cost is then its own."""

    draw: Draw
    inverted: bool = False


METHODS: Mapping[str, Method] = {
    OURS: Method(default, inverted=True),
    "LASER as published": Method(as_published),
    "texture alone": Method(alone("texture"), inverted=True),
    "motion alone": Method(alone("motion"), inverted=True),
    "hybrid alone": Method(alone("hybrid"), inverted=True),
    "words alone": Method(alone("words"), inverted=True),
    "AID alone": Method(alone("hold", AnimateSettings().warmup), inverted=True),
    "text interpolation": Method(text, inverted=True),
    "Plug-and-Play, dissolve": Method(edited("texture"), inverted=True),
    "MasaCtrl, dissolve": Method(edited("motion"), inverted=True),
    "same seed, dissolve": Method(same_seed),
    "SDEdit 0.5, dissolve": Method(sdedit(0.5)),
    "SDEdit 0.7, dissolve": Method(sdedit(0.7)),
    TRUE[0]: Method(true_dissolve),
    TRUE[1]: Method(truth),
    "no change": Method(nothing),
}


def _controlled(plan: Plan, control: str, strength: float) -> Plan:
    """The plan with one control everywhere, evenly in time."""
    changes = {"control": control, "strength": strength}
    segments = tuple(segment.model_copy(update=changes) for segment in plan.segments)
    return with_easing(plan.model_copy(update={"segments": segments}), "linear")


def _drawn(
    task: Task,
    plan: Plan,
    inversion: Inversion,
    params: SamplingParams,
    exact_first: np.ndarray | None = None,
    pace: Distance | None = None,
    direction: Direction = PLAIN,
) -> Tensor:
    shown = frozenset(task.shown)
    drawn = animate(task.model, plan, inversion, params, exact_first, pace=pace, direction=direction, wanted=shown)
    return torch.cat([to_tensor(picture.array) for picture in drawn])
