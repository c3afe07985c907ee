"""Inverting a picture: the one place where its job meets the stages and the engine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from laser_cli.jobs.prompts import warn_picture
from laser_cli.jobs.run import Result, fitted

if TYPE_CHECKING:
    from laser_cli.jobs.invert import InvertJob
    from laser_cli.jobs.progress import Progress
    from laser_cli.jobs.sinks import Sinks
    from laser_cli.models.model import Model


def run(job: InvertJob, model: Model, sinks: Sinks, progress: Progress) -> Result:
    """Invert a picture into the sinks; the result says in dB of PSNR how well it can be drawn again."""
    from laser_cli.engine.invert import nfe
    from laser_cli.measure.pictures import psnr
    from laser_cli.stages.invert import invert_picture, regenerate, to_tensor

    s = job.settings
    picture = fitted(job.image.picture(), s.size or model.size, model.scale, s.fit, progress)
    with progress.bar(nfe(s.steps, s.method) + s.steps, "inverting") as bar:
        inversion = invert_picture(model, picture, job.prompt, s.steps, s.method, job.image.sha256, bar.advance)
        again = regenerate(model, inversion, bar.advance)
    warn_picture(progress, model, inversion, picture)
    trip, original = model.decode(inversion.trajectory.latents[:1]), to_tensor(picture)
    figures = {
        "round_trip_to_picture": psnr(trip, original),
        "redrawn_to_round_trip": psnr(again, trip),
        "redrawn_to_picture": psnr(again, original),
    }
    sinks.take_inversion(inversion)
    told = {"psnr": figures, "method": inversion.method, "steps": s.steps, "prompt": job.prompt}
    return Result(sinks.paths, told, (picture.shape[1], picture.shape[0]))


def costs(job: InvertJob) -> dict[str, Any]:
    """Evaluations of the inversion and of drawing the picture again; memory and time are not estimated."""
    from laser_cli.engine.invert import nfe

    count = nfe(job.settings.steps, job.settings.method) + job.settings.steps
    return {"evaluations": {"inversion": count, "total": count}, "memory": None, "time": None}
