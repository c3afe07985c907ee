"""An edit that moves a face, drawn as `laser animate` draws it: by the model's own portrait adapters."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from laser_cli.controls.knit.driven import face_motion, head_pose
from laser_cli.controls.knit.find import find_adapters, load_adapters
from laser_cli.engine.spec import SamplingParams
from laser_cli.errors import BadInputError
from laser_cli.jobs.build_drive import told_face
from laser_cli.jobs.drive import OWN_SAMPLING
from laser_cli.jobs.run_portrait import fade_of
from laser_cli.jobs.settings import AnimateSettings
from laser_cli.models.model import Model
from laser_cli.plan.schema import Plan
from laser_cli.stages.distances import Distance
from laser_cli.stages.invert import to_tensor
from laser_cli.stages.portrait import draw_portrait
from laser_cli.stages.sitting import READ, Words
from laser_cli.storybook.driving import as_puppet, looks_alone
from laser_cli.tracks.onto import onto_face
from laser_cli.tracks.planned import planned_track
from laser_cli.tracks.read import read_face


def by_drive(
    model: Model,
    plan: Plan,
    picture: np.ndarray,
    settings: AnimateSettings,
    shown: Sequence[int],
    distance: Distance | None = None,
) -> Tensor | None:
    """The shown frames [n, 3, h, w] of a portrait whose face the plan moves; None where there is nothing to drive."""
    found = find_adapters(None, model.name)
    if found is None or not found.puppets or not (face := told_face(plan, found)):
        return None
    try:
        own = as_puppet(read_face(picture, "the picture", puppet=True))
    except BadInputError:  # no portrait, as the command takes it
        return None
    nets = load_adapters(found, model)
    plan = plan.model_copy(update={"face": face})
    track = as_puppet(planned_track(plan, settings.fps, seed=settings.seed, source="the plan"))
    track = as_puppet(onto_face(track, own, relative=True)[0])
    pose = head_pose(own, place=nets.place)
    motion, held = (face_motion(each, pose, 0.0) for each in (track, own))
    pace = None if track.turns else distance
    drawn = draw_portrait(
        model,
        nets,
        picture,
        motion,
        Words.of(looks_alone(plan), settings.negative_prompt or ""),
        SamplingParams(OWN_SAMPLING["guidance"], settings.warmup, settings.chunk),
        OWN_SAMPLING["steps"],
        settings.seed,
        own=held,
        fade=fade_of(settings, pace is not None),
        fresh=OWN_SAMPLING["fresh_noise"],
        wanted=frozenset(shown),
        pace=pace,
    )
    frames = torch.cat([to_tensor(one.array) for one in drawn])
    model.backbone.count(READ)  # the reading of the portrait, as the command counts it
    return frames
