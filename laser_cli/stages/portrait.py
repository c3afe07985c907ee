"""The driven portrait: a picture and the motion of a face in, frames out, each as soon as it is finished."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterator, Sequence
from collections.abc import Set as AbstractSet
from contextlib import closing
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from laser_cli.controls.knit.backbone import KnitBackbone, driven, knitted
from laser_cli.controls.knit.driven import FaceMotion
from laser_cli.controls.knit.load import Nets, check_base
from laser_cli.controls.knit.portrait import read_reference
from laser_cli.engine.invert import invert
from laser_cli.engine.render import render
from laser_cli.engine.sample import last
from laser_cli.engine.schedule import noise_like
from laser_cli.engine.spec import SamplingParams
from laser_cli.models.base import NoiseLevel
from laser_cli.models.model import Model
from laser_cli.stages.animate import Picture, only, places_of
from laser_cli.stages.checkpoint import Checkpointer
from laser_cli.stages.clip import Clip
from laser_cli.stages.distances import Distance
from laser_cli.stages.follow import Warn, finished
from laser_cli.stages.invert import Report, to_array, to_tensor
from laser_cli.stages.pacing import paced
from laser_cli.stages.preview import PreviewWriter
from laser_cli.stages.sitting import READ, Sitting, Words
from laser_cli.stages.tone import Tones

OWN = 0.6
"""How far a first frame from the portrait's own noise, where guidance strengthens colours more, tells of the others."""


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
    fresh: float = 1.0,
    checkpointer: Checkpointer | None = None,
    preview: PreviewWriter | None = None,
    wanted: AbstractSet[int] | None = None,
    pace: Distance | None = None,
) -> Iterator[Picture]:
    """Yields a frame for each of the motion's, drawn under the portrait `picture` [h, w, 3] uint8.

    The reference is read once, whatever the number of frames and steps. Nets with motion modules draw clips, all others
    frame by frame. `own`: the motion of the portrait's own face (one frame), which v5c needs. `reader`: the model that
    reads the portrait, where it is not the one that draws. `fresh` 0..1: how much of the noise is fresh, of `seed`; the
    rest is the portrait's own, inverted under its `own` face. `fade`: frame 0 is exactly the picture; what the drawn
    one lacks of its tones is given to all frames (stages.tone), and the rest to so many, less and less, in which the
    noise turns from the portrait's own; for motions that begin as the portrait is held. With a `checkpointer` it goes
    on from what that has saved of this render (clips begin anew). `wanted`: only these frames are yielded, and, but for
    clips and keyframes, drawn. `pace`: the motion's moments are laid so that frames are equally far apart by that
    distance (not for clips). Raises BadInputError for a model or a size that the nets do not fit.
    """
    height, width = picture.shape[:2]
    check_base(nets, model.unet, height, width)
    reads = reader or model
    check_base(nets, reads.unet, height, width)
    told = reads.encode_prompts([words.negative, words.prompt])
    latents = reads.encode_picture(to_tensor(picture))
    drive = own.drive([0], height, width, nets.maps) if own else None
    portrait = read_reference(reads.unet, nets, latents, told.prompt_embeds, drive)
    report(READ)
    noise = noise_like(tuple(latents.shape[1:]), seed)[None].to(model.device)
    said = model.encode_prompts([words.negative, *words.prompts])
    prompts, negative = said.select(slice(1, None)), said.select([0])
    levels = model.schedule.levels(steps)
    held = lost = tones = None
    with knitted(model.backbone, portrait) as backbone:
        if fresh < 1 and own is not None and reader is None:
            told = driven(prompts.select([0]), own.drive([0], height, width, nets.maps))
            held = last(invert(backbone, latents, levels, told))
            report(len(levels))
        sitting = Sitting(portrait, motion, words, prompts, negative, noise, (height, width), held, fresh, fade)
        if nets.motion is not None:
            clip = Clip(model, backbone, sitting, params, levels, seed, report, reads)
            drawing = ((number, model.decode(x)[0]) for number, x in enumerate(clip.frames()))
        else:
            how = (params, levels, report, warn, checkpointer, preview, wanted, pace)
            drawing = _one_by_one(model, backbone, sitting, *how)
        with closing(drawing):  # nothing may run on when the adapters are taken out
            for number, drawn in drawing:
                if fade and number == 0:
                    shown = to_tensor(picture)[0].to(drawn)
                    tones = Tones.between(drawn, shown, 1.0 if held is None else OWN)
                    lost = shown - tones.put_right(drawn)
                if tones is not None:
                    drawn = tones.put_right(drawn)
                if lost is not None and number < fade:
                    drawn = (drawn + (1 - number / fade) ** 2 * lost).clamp(0, 1)
                if wanted is None or number in wanted:
                    yield Picture(number, to_array(drawn))


def _one_by_one(
    model: Model,
    backbone: KnitBackbone,
    sitting: Sitting,
    params: SamplingParams,
    levels: Sequence[NoiseLevel],
    report: Report,
    warn: Warn,
    checkpointer: Checkpointer | None,
    preview: PreviewWriter | None,
    wanted: AbstractSet[int] | None,
    pace: Distance | None,
) -> Generator[tuple[int, Tensor], None, None]:
    """The frames [3, h, w] with their numbers, in order, in the render loop."""
    spec = sitting.spec()
    saved = checkpointer.load(model.device, len(spec.frames)) if checkpointer else None
    if saved:
        spec = replace(spec, frames=saved.frames)
    elif pace is not None and spec.frames:
        spec = paced(model, spec, params, len(levels), pace, report, sitting.segments, backbone)
    standing = places_of(spec)
    spec, (places, between) = (spec, standing) if wanted is None else only(spec, standing, wanted)
    waiting: dict[int, Tensor] = {}
    due = deque(sorted([*places, *between]))
    steps = render(
        backbone, levels, spec, params, saved.state if saved else None, model.workers, clean=preview is not None
    )
    for done in finished(steps, model, spec.frames, (places, between), report, warn, checkpointer, preview):
        pictures, first = model.decode(done.latents), done.first
        at = [places[done.keyframe]] if first < 0 else between[first : first + len(pictures)]
        waiting.update(zip(at, pictures, strict=True))
        while due and due[0] in waiting:
            number = due.popleft()
            yield number, waiting.pop(number)
