"""The driven portrait: a picture and the motion of a face in, frames out, each as soon as it is finished."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

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
from laser_cli.plan.easing import ease
from laser_cli.plan.schema import Plan
from laser_cli.stages.animate import Picture, Warn, smaller_batches
from laser_cli.stages.checkpoint import Checkpointer
from laser_cli.stages.invert import Report, to_array, to_tensor
from laser_cli.stages.preview import PreviewWriter

READ = 2
"""Evaluations of the U-Net that read a portrait: without it, and with it."""


@dataclass(frozen=True)
class Said:
    """What a part of the frames is said to end with: its prompt, its frames with both ends, and its easing."""

    prompt: str
    frames: int
    easing: str = "linear"


@dataclass(frozen=True)
class Words:
    """What the portrait is said to show, what it is to show nothing of, and what it becomes while the face moves."""

    prompt: str
    negative: str = ""
    parts: tuple[Said, ...] = ()

    @classmethod
    def of(cls, plan: Plan, negative: str = "") -> Words:
        """The prompts of a plan."""
        return cls(plan.source, negative, tuple(Said(s.prompt, s.frames, s.easing) for s in plan.segments))

    @property
    def prompts(self) -> list[str]:
        """The prompt of every keyframe: two at least."""
        return [self.prompt, *(part.prompt for part in self.parts or (Said(self.prompt, 0),))]

    def places(self, count: int) -> list[int]:
        """The numbers of the keyframes among `count` frames. Raises ValueError for parts of another length."""
        if not self.parts:
            return [0, count - 1]
        places = list(accumulate((part.frames - 1 for part in self.parts), initial=0))
        if places[-1] != count - 1:
            raise ValueError(f"words for {places[-1] + 1} frames, a motion of {count}")
        return places


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
    reader: Model | None = None,
    fade: int = 0,
    checkpointer: Checkpointer | None = None,
    preview: PreviewWriter | None = None,
) -> Iterator[Picture]:
    """Yields a frame for each of the motion's, drawn from one noise under the portrait `picture` [h, w, 3] uint8.

    The reference is read once, whatever the number of frames and steps. `own`: the motion of the portrait's own face
    (one frame), which v5c needs. `reader`: the model that reads the portrait, where it is not the one that draws.
    `fade`: frame 0 is exactly the picture, and what the drawn one lacks of it is given to so many frames, less and
    less; for motions that begin as the portrait is held. With a `checkpointer` it goes on from what that has saved of
    this render. Raises BadInputError for a model or a size that the nets do not fit.
    """
    height, width = picture.shape[:2]
    check_base(nets, model.unet, height, width)
    shown = reader or model
    check_base(nets, shown.unet, height, width)
    told = shown.encode_prompts([words.negative, words.prompt])
    latents = shown.encode_picture(to_tensor(picture))
    drive = own.drive([0], height, width, nets.maps) if own else None
    portrait = read_reference(shown.unet, nets, latents, told.prompt_embeds, drive)
    report(READ)
    noise = noise_like(tuple(latents.shape[1:]), seed)[None].to(model.device)
    said = model.encode_prompts([words.negative, *words.prompts])
    prompts, negative = said.select(slice(1, None)), said.select([0])
    spec = compose(portrait, motion, words, prompts, negative, noise, (height, width))
    places = sorted(set(words.places(len(motion.coefficients))))
    between = [i for i in range(len(motion.coefficients)) if i not in set(places)]
    saved = checkpointer.load(model.device, len(spec.frames)) if checkpointer else None
    levels, waiting, due = model.schedule.levels(steps), dict[int, Tensor](), 0
    lost: Tensor | None = None
    with knitted(model.backbone, portrait) as backbone:
        for step in render(backbone, levels, spec, params, saved.state if saved else None, model.workers):
            report(step.nfe)
            if step.batch_size:
                warn(smaller_batches(step.batch_size))
            if step.state and checkpointer:
                checkpointer.save(step.state, spec.frames)
            if step.state and preview:
                preview.update(model, step.state, places, between)
            if step.finished is None:
                continue
            pictures, first = model.decode(step.finished.latents), step.finished.first
            at = [places[step.finished.keyframe]] if first < 0 else between[first : first + len(pictures)]
            waiting.update(zip(at, pictures, strict=True))
            while due in waiting:
                drawn = waiting.pop(due)
                if fade and due == 0:
                    lost = to_tensor(picture)[0].to(drawn) - drawn
                if lost is not None and due < fade:
                    drawn = (drawn + (1 - due / fade) ** 2 * lost).clamp(0, 1)
                yield Picture(due, to_array(drawn))
                due += 1


def compose(
    portrait: Portrait,
    motion: FaceMotion,
    words: Words,
    prompts: Conditioning,
    negative: Conditioning,
    noise: Tensor,
    size: tuple[int, int],
) -> RenderSpec:
    """The motion as a render: keyframes where a prompt is reached, the others between them, each under its drive.

    `prompts`: a row for each of `words.prompts`. No attention is interpolated: what a frame shows comes from its
    prompt, its drive and the reference.
    """
    places, maps = words.places(len(motion.coefficients)), portrait.nets.maps

    def frames(rows: Conditioning, numbers: Sequence[int]) -> Conditioning:
        return driven(rows, motion.drive(numbers, *size, maps))

    def told(_step: int, segment: int, t: Tensor) -> Conditioning:
        begin, end = places[segment], places[segment + 1]
        numbers = [begin + round(share * (end - begin)) for share in t.tolist()]
        easing = words.parts[segment].easing if words.parts else "linear"
        eased = torch.tensor([ease(easing, share) for share in t.tolist()], device=t.device)
        return frames(prompts.select([segment]).lerp(prompts.select([segment + 1]), eased), numbers)

    if places[-1] == 0:
        places = [0]
    keyframes = [Keyframe(noise, frames(prompts.select([k]), [i])) for k, i in enumerate(places)]
    pairs = pairwise(places)
    rest = [Frame(k, i / (b - a)) for k, (a, b) in enumerate(pairs) for i in range(1, b - a)]
    base = undriven(negative, motion.drive([0], *size, maps), portrait.pdfgc)
    return RenderSpec(keyframes, rest, base, blend=None, conditioning=told)
