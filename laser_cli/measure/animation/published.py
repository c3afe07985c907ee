"""LASER as its authors' code animates (arXiv 2404.13558), on this project's engine.

Every segment inverts the picture that the one before ended in, under the prompt that it was drawn for. Its frames all
start from that noise, evenly in time; alpha = 0..1 leads from one prompt to the next, away from the first, and lets go
of what is injected from the source by 1 - alpha. The blend itself was not published: here it is linear.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from laser_cli.engine.render import render
from laser_cli.engine.spec import Frame, Keyframe, RenderSpec, SamplingParams
from laser_cli.models.conditioning import Conditioning
from laser_cli.stages.invert import Inversion, invert_picture, to_array, to_tensor

if TYPE_CHECKING:
    from laser_cli.measure.animation.methods import Task

INJECTED = {"texture": "texture", "motion": "motion", "hybrid": "motion"}
"""The control of each signal; hybrid mixes keys and values, as motion replaces them."""
MIXED = 0.8
"""What hybrid multiplies alpha by, so that it never arrives."""


def as_published(task: Task) -> Tensor:
    """The frames of a task, [n, 3, h, w]."""
    model, picture = task.model, task.picture
    pictures: dict[int, Tensor] = {}
    params = SamplingParams(task.params.guidance, 0.0, task.params.batch_size)
    prompts, places = task.plan.prompts, task.places
    for k, segment in enumerate(task.plan.segments):
        inversion = invert_picture(model, picture, prompts[k], task.settings.steps, "ddim")
        inner = [i for i in task.shown if places[k] < i < places[k + 1]]
        alphas = [(i - places[k]) / (places[k + 1] - places[k]) for i in inner]
        spec = segment_spec(inversion, model.encode_prompts([segment.prompt]), segment.control, alphas)
        numbers, ends = [places[k], places[k + 1]], {}
        for step in render(
            model.backbone, model.schedule.levels(task.settings.steps), spec, params, None, model.workers
        ):
            if step.finished is None:
                continue
            decoded = model.decode(step.finished.latents).cpu()
            if step.finished.keyframe >= 0:
                ends[numbers[step.finished.keyframe]] = decoded[0]
            else:
                first = step.finished.first
                pictures |= dict(zip(inner[first : first + len(decoded)], decoded, strict=True))
        pictures = {**ends, **pictures, places[k + 1]: ends[places[k + 1]]}
        picture = to_array(ends[places[k + 1]])
    return torch.cat([to_tensor(to_array(pictures[i])) for i in task.shown])


def segment_spec(inversion: Inversion, target: Conditioning, control: str, alphas: list[float]) -> RenderSpec:
    """A segment's render: the source, its end under the conditioning ``target``, and frames at these alphas."""
    source, reach = inversion.trajectory, MIXED if control == "hybrid" else 1.0
    end = source.conditioning.lerp(target, torch.tensor([reach]))
    name = INJECTED.get(control)
    begins = {name: 1.0} if name else {}
    ends = {name: 1.0 - reach} if name else {}
    keyframes = [
        Keyframe(source.noise, source.conditioning, None, begins),
        Keyframe(source.noise, end, None, ends),
    ]
    return RenderSpec(keyframes, [Frame(0, alpha) for alpha in alphas], source.conditioning, source=0, blend=None)
