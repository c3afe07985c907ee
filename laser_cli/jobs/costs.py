"""What a job would cost on this machine: memory and time; no weights are loaded, nothing is written."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from laser_cli.jobs import estimate, timing
from laser_cli.jobs.model import options_of
from laser_cli.jobs.run import placed, size_of
from laser_cli.models.find import cached_model

if TYPE_CHECKING:
    import numpy as np

    from laser_cli.jobs.job import FrameJob

AnyJob = TypeVar("AnyJob", bound="FrameJob")


def on_this_machine(
    job: AnyJob, first: np.ndarray | None, keyframes: int, evaluations: Mapping[str, int]
) -> tuple[AnyJob, dict[str, Any]]:
    """The job as it is placed here, and its costs: evaluations, size, memory, time and the model's revision.

    What is not known, because the model is not on this machine or not whole, is None. ``first`` is the first picture.
    """
    options = options_of(job.settings)
    found = cached_model(job.settings.model, options.variant, options.revision)
    shape = estimate.read_shape(found.path) if found else None
    settings: Any = placed(job.settings, found.path if found else None)
    told: dict[str, Any] = {"evaluations": evaluations, "size": None, "memory": None, "time": None}
    if found and shape and settings.size:
        size = size_of(first, settings.size, shape.scale)
        seconds = timing.estimate(timing.kind_of(settings, size), evaluations) if job.timed else None
        measured = seconds is not None
        if seconds is None:
            places = (size[0] // shape.scale) * (size[1] // shape.scale)
            parameters = estimate.parameters(found.path, "unet")
            seconds = timing.guess(parameters, places, settings.device, evaluations["total"])
        told["size"] = size
        told["memory"] = estimate.memory(found.path, shape, settings, size, keyframes)
        told["time"] = {"seconds": round(seconds, 1), "measured": measured}
    return job.model_copy(update={"settings": settings}), {
        **told,
        "model_revision": options.key(found) if found else None,
    }
