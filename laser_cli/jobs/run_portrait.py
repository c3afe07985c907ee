"""A driven animation's steps: adapters loaded, the track made the portrait's motion, frames drawn under it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from laser_cli.errors import BadInputError
from laser_cli.jobs.prompts import FAR, OTHER_MODEL
from laser_cli.jobs.run import Rendering, fitted

if TYPE_CHECKING:
    from laser_cli.controls.knit.driven import FaceMotion
    from laser_cli.controls.knit.load import Nets
    from laser_cli.jobs.animate import AnimateJob
    from laser_cli.jobs.drive import Drive
    from laser_cli.jobs.progress import Progress
    from laser_cli.jobs.settings import AnimateSettings
    from laser_cli.models.model import Model
    from laser_cli.stages.checkpoint import Checkpointer
    from laser_cli.stages.invert import Report
    from laser_cli.stages.preview import PreviewWriter

FADE, SLOWLY = 0.5, 1.0
"""Seconds in which what the model loses of the portrait leaves the frames, so that nothing pops after frame 0; and at
an even pace, where the first frames move as little as all others."""


def prepare(job: AnimateJob, model: Model, saved: Checkpointer | None, progress: Progress) -> Rendering:
    """Portrait, adapters and motion; what follows is drawn frame by frame."""
    from laser_cli.controls.knit.find import Adapters, load_adapters
    from laser_cli.controls.knit.load import check_base
    from laser_cli.controls.knit.versions import is_hellomeme
    from laser_cli.engine.spec import SamplingParams
    from laser_cli.jobs.run_animate import evaluations_of
    from laser_cli.stages.distances import at_first_use
    from laser_cli.stages.portrait import draw_portrait
    from laser_cli.stages.sitting import READ, Words
    from laser_cli.storybook.driving import looks_alone

    drive, settings = job.drive, job.settings
    assert drive is not None and job.image is not None and drive.track is not None and drive.own is not None
    with progress.stage("first picture", model):
        picture = fitted(job.image.picture(), settings.size or model.size, model.scale, settings.fit, progress)
    path = None if is_hellomeme(str(drive.adapters.path)) else drive.adapters.path
    nets = load_adapters(Adapters(drive.adapters.name, path, drive.adapters.sha256, drive.puppets, drive.clips), model)
    check_base(nets, model.unet, *picture.shape[:2])
    reader = _reader(drive, model)
    if model.embedded:
        _warn_strange(model, picture, progress)
    motion, own = _motions(drive, nets)
    words = Words.of(looks_alone(job.plan) if drive.puppets else job.plan, settings.negative_prompt or "")
    params = SamplingParams(model.cfg_scale(settings.guidance), settings.warmup, settings.chunk)
    pace = at_first_use(settings.distance, model) if settings.even_pace and drive.only_goes_on else None
    fade = fade_of(settings, pace is not None) if reader is None else 0
    before = model.nfe

    def frames(report: Report, preview: PreviewWriter | None) -> Iterator[np.ndarray]:
        how = (params, settings.steps, settings.seed, own, report, progress.warn, reader, fade, settings.fresh_noise)
        kept = (saved, preview, None, pace)
        return (drawn.array for drawn in draw_portrait(model, nets, picture, motion, words, *how, *kept))

    def told() -> Mapping[str, Any]:
        return {"plan": job.recorded["plan"], "drive": drive.recorded, "evaluations": model.nfe - before + READ}

    return Rendering(
        model=model,
        size=(picture.shape[1], picture.shape[0]),
        labels=job.labels,
        record=job.record(model, job.plan.prompts[-1], input_sha256=job.image.sha256),
        evaluations=evaluations_of(job, drawn_first=False, inverted=False)["total"],
        before=before,
        frames=frames,
        told=told,
        beside=drive_pictures(job),
    )


def fade_of(settings: AnimateSettings, even: bool = False) -> int:
    """Frames in which what the model loses of the portrait leaves it."""
    return max(2, round((SLOWLY if even else FADE) * settings.fps)) if settings.exact_first else 0


def _motions(drive: Drive, nets: Nets) -> tuple[FaceMotion, FaceMotion]:
    """The motion of the frames and that of the portrait's own face."""
    from laser_cli.controls.knit.driven import face_motion, head_pose

    assert drive.track is not None and drive.own is not None
    pose = head_pose(drive.own, place=nets.place)
    # heads that all are in one place stay there
    ratio = 0.0 if nets.place else drive.ratio
    return face_motion(drive.track, pose, ratio), face_motion(drive.own, pose, 0.0)


def _reader(drive: Drive, model: Model) -> Model | None:
    """The model that reads the portrait, where it is another than the one that draws."""
    if drive.stylize is None:
        return None
    from laser_cli.models.load import load_model

    dtype = str(model.dtype).removeprefix("torch.")
    reader = load_model(str(drive.stylize.path), str(model.device), dtype, model.offload)
    same = reader.unet.config.block_out_channels == model.unet.config.block_out_channels
    if reader.revision != drive.stylize.sha256:
        raise BadInputError(f"{reader.name} has changed since the job was made", hint="run the command again")
    if not same or reader.scale != model.scale:
        why = "the reader's U-Net has other channels" if not same else "its latents stand for another number of pixels"
        raise BadInputError(f"{reader.name} cannot read for {model.name}", why=why, hint="--stylize with SD 1.5")
    return reader


def _warn_strange(model: Model, picture: np.ndarray, progress: Progress) -> None:
    """Say when the embedded model can hardly show the portrait."""
    from laser_cli.measure.pictures import psnr
    from laser_cli.stages.invert import to_tensor

    shown = to_tensor(picture)
    seen = psnr(model.decode(model.encode_picture(shown)).cpu(), shown)
    if seen < FAR:
        progress.warn(f"this is no storybook picture (the model can show it at {seen:.0f} dB only); {OTHER_MODEL}")


def drive_pictures(job: AnimateJob) -> Callable[[], Iterator[np.ndarray]]:
    """What drives each frame, as pictures (h, w, 3) uint8: the clip's own, or of a track a plain puppet's."""
    from laser_cli.tracks.video import VIDEOS

    drive = job.drive
    assert drive is not None and drive.track is not None
    clip, count = drive.clip, len(drive.track.frames)
    if clip is None or clip.path.suffix.lower() not in VIDEOS:
        return lambda: _puppets(drive, count)
    path, start, lead, fps = clip.path, drive.start or 0.0, drive.lead, drive.track.fps

    def filmed() -> Iterator[np.ndarray]:
        from laser_cli.tracks.video import open_clip

        film = open_clip(path)
        here = enumerate(film.frames)
        place, frame = next(here)
        for i in range(count):
            wanted = round((start + max(0, i - lead) / fps) * film.fps)
            while place < wanted:
                found = next(here, None)
                if found is None:  # the last frame stands where the container promised more
                    break
                place, frame = found
            yield frame

    return filmed


def _puppets(drive: Drive, count: int) -> Iterator[np.ndarray]:
    from laser_cli.stages.invert import to_array
    from laser_cli.storybook.driving import puppet_of
    from laser_cli.storybook.world import draw

    assert drive.track is not None
    for i in range(count):
        yield to_array(draw([puppet_of(drive.track, i)])[0])
