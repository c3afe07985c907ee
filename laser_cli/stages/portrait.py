"""The driven portrait: a picture and the motion of a face in, frames out, each as soon as it is finished."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from laser_cli.controls.knit.backbone import driven, knitted, undriven
from laser_cli.controls.knit.driven import FaceMotion
from laser_cli.controls.knit.load import Nets, check_base
from laser_cli.controls.knit.portrait import Portrait, read_reference
from laser_cli.engine.render import render
from laser_cli.engine.schedule import noise_like
from laser_cli.engine.spec import Frame, Keyframe, RenderSpec, SamplingParams
from laser_cli.models.conditioning import Conditioning
from laser_cli.models.model import Model
from laser_cli.stages.animate import Picture, Warn, smaller_batches
from laser_cli.stages.invert import Report, to_array, to_tensor


@dataclass(frozen=True)
class Words:
    """What the portrait is said to show, and what it is to show nothing of."""

    prompt: str
    negative: str = ""


@torch.inference_mode()
def draw_portrait(
    model: Model,
    nets: Nets,
    picture: np.ndarray,
    motion: FaceMotion,
    words: Words,
    params: SamplingParams,
    steps: int,
    seed: int = 0,
    own: FaceMotion | None = None,
    report: Report = lambda nfe: None,
    warn: Warn = lambda text: None,
) -> Iterator[Picture]:
    """Yields a frame for each of the motion's, drawn from one noise under the portrait `picture` [h, w, 3] uint8.

    The reference is read once, whatever the number of frames and steps. `own`: the motion of the portrait's own face
    (one frame), which v5c needs. Raises BadInputError for a model or a size that the nets do not fit.
    """
    height, width = picture.shape[:2]
    check_base(nets, model.unet, height, width)
    told = model.encode_prompts([words.negative, words.prompt])
    latents = model.encode_picture(to_tensor(picture))
    drive = own.drive([0], height, width) if own else None
    portrait = read_reference(model.unet, nets, latents, told.prompt_embeds, drive)
    report(2)
    noise = noise_like(tuple(latents.shape[1:]), seed)[None].to(model.device)
    spec = compose(portrait, motion, told.select([1]), told.select([0]), noise, (height, width))
    waiting: dict[int, Tensor] = {}
    due, last = 0, len(motion.coefficients) - 1
    with knitted(model.backbone, portrait) as backbone:
        for step in render(backbone, model.schedule.levels(steps), spec, params, workers=model.workers):
            report(step.nfe)
            if step.batch_size:
                warn(smaller_batches(step.batch_size))
            if step.finished is None:
                continue
            first = step.finished.first + 1 if step.finished.keyframe < 0 else last * step.finished.keyframe
            waiting.update(enumerate(step.finished.latents.split(1), first))
            while due in waiting:
                yield Picture(due, to_array(model.decode(waiting.pop(due))[0]))
                due += 1


def compose(
    portrait: Portrait,
    motion: FaceMotion,
    prompt: Conditioning,
    negative: Conditioning,
    noise: Tensor,
    size: tuple[int, int],
) -> RenderSpec:
    """The motion as a render: its first and last frame as keyframes, the others between them, each under its drive.

    No attention is interpolated: what a frame shows comes from its drive and from the reference.
    """
    count = len(motion.coefficients)

    def told(_step: int, _segment: int, t: Tensor) -> Conditioning:
        frames = (t * (count - 1)).round().long().tolist()
        return driven(prompt, motion.drive(frames, *size))

    ends = [0] if count == 1 else [0, count - 1]
    keyframes = [Keyframe(noise, driven(prompt, motion.drive([i], *size))) for i in ends]
    frames = [Frame(0, i / (count - 1)) for i in range(1, count - 1)]
    base = undriven(negative, motion.drive([0], *size), portrait.pdfgc)
    return RenderSpec(keyframes, frames, base, blend=None, conditioning=told)
