"""laser from Python: the same jobs as the commands, with the frames in memory or in files.

from laser_cli import animate, interpolate, load_model

model = load_model("storybook")  # loaded once, used for both
night = animate("cottage.png", "night falls", model=model, frames=8, out="night.gif")
between = interpolate("a red ball in a meadow", "a blue cube in a meadow", model=model, frames=5)
print(night.paths[0], len(between.frames), between.frames[0].shape)
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from laser_cli.errors import LaserError, UsageError
from laser_cli.jobs.build_animate import build_animation
from laser_cli.jobs.build_interpolate import build_interpolation
from laser_cli.jobs.merge import Layer, flags
from laser_cli.jobs.outputs import Outputs, look_of
from laser_cli.jobs.planning import Guiding, Planning
from laser_cli.jobs.progress import SILENT, Progress
from laser_cli.jobs.run import load, run
from laser_cli.jobs.sinks import FileSinks, Sinks
from laser_cli.jobs.sources import AnimateSources, InterpolateSources
from laser_cli.models.load import load_model
from laser_cli.plan.schema import Plan

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np

    from laser_cli.jobs.build_animate import Built
    from laser_cli.jobs.job import FrameJob
    from laser_cli.models.model import Model

__all__ = ["Drawn", "LaserError", "animate", "interpolate", "load_model"]


@dataclass(frozen=True)
class Drawn:
    """What a job drew: `frames` (h, w, 3) uint8 where no file was asked for, else `paths`; `told` is its result."""

    job: FrameJob
    frames: Sequence[np.ndarray]
    paths: Sequence[Path]
    told: Mapping[str, Any]


def animate(
    image: str | Path | None = None,
    description: str | None = None,
    *,
    plan: str | Path | Plan | None = None,
    prompt: str | None = None,
    preset: str | None = None,
    planner: str | None = None,
    caption: str | None = None,
    drive: str | Path | None = None,
    relative: bool | None = None,
    portrait_adapter: str | None = None,
    controlnet: str | Sequence[str] = (),
    condition: str | Path | Sequence[str | Path] = (),
    ip_adapter: str | Path | None = None,
    image_prompt: str | Path | Sequence[str | Path] = (),
    out: str | Path | None = None,
    model: Model | None = None,
    progress: Progress = SILENT,
    **settings: Any,
) -> Drawn:
    """Animate a picture from a sentence or a plan, as `laser animate` does; `prompt` says what the picture shows.

    `planner` and `caption` name who plans, and who says what a picture without a prompt shows. `drive`, a video or a
    track, moves a portrait's face (`relative`: by its changes alone); `portrait_adapter` names the nets that draw it.
    `controlnet` with `condition`, and `ip_adapter` with `image_prompt`, lead keyframes: one, or as many as the command
    takes.

    `settings` are the command's by their names in presets: ``frames=24, steps=25, seed=0``. A model that is passed is
    used again and overrides the settings `model`, `device` and `dtype`. LaserError says what went wrong and what to do.
    """
    built = build_animation(
        _said(settings, model),
        _path(image),
        description,
        AnimateSources(
            plan_file=None if isinstance(plan, Plan) else _path(plan),
            prompt=prompt,
            preset=preset,
            drive=_path(drive),
            relative=relative,
            portrait_adapter=portrait_adapter,
            **_led(controlnet, condition, ip_adapter, image_prompt),
        ),
        Planning(planner=planner, caption=caption),
        progress,
        plan=plan if isinstance(plan, Plan) else None,
    )
    return _draw(built, out, model, progress)


def interpolate(
    *stops: str | Path,
    guide: str | Sequence[str] = (),
    prompts: Sequence[str] = (),
    preset: str | None = None,
    planner: str | None = None,
    caption: str | None = None,
    controlnet: str | Sequence[str] = (),
    condition: str | Path | Sequence[str | Path] = (),
    ip_adapter: str | Path | None = None,
    image_prompt: str | Path | Sequence[str | Path] = (),
    out: str | Path | None = None,
    model: Model | None = None,
    progress: Progress = SILENT,
    **settings: Any,
) -> Drawn:
    """Draw what lies between two stops or more, prompts or picture files, as `laser interpolate` does.

    `guide`: what the frames between show, one for all or one for each segment. `prompts`: what the pictures show, in
    their order. The rest as of ``animate``.
    """
    guides = (guide,) if isinstance(guide, str) else tuple(guide)
    built = build_interpolation(
        _said(settings, model),
        [str(stop) for stop in stops],
        InterpolateSources(
            prompts=tuple(prompts),
            guides=guides,
            preset=preset,
            **_led(controlnet, condition, ip_adapter, image_prompt),
        ),
        Guiding(planner=planner, caption=caption),
        progress,
    )
    return _draw(built, out, model, progress)


def _said(settings: Mapping[str, Any], model: Model | None) -> Layer:
    """The settings that were passed, on the model if one was."""
    here = {} if model is None else {"model": model.name, "device": "auto", "dtype": "auto"}
    return flags({**settings, **here}, "the arguments")


def _led(
    controlnet: str | Sequence[str],
    condition: str | Path | Sequence[str | Path],
    ip_adapter: str | Path | None,
    image_prompt: str | Path | Sequence[str | Path],
) -> dict[str, Any]:
    """What leads keyframes, as fields of ``ConditionSources``."""

    def several(files: str | Path | Sequence[str | Path]) -> tuple[Path, ...]:
        return (Path(files),) if isinstance(files, str | Path) else tuple(map(Path, files))

    return {
        "controlnet": (controlnet,) if isinstance(controlnet, str) else tuple(controlnet),
        "condition": several(condition),
        "ip_adapter": _path(ip_adapter),
        "image_prompt": several(image_prompt),
    }


def _path(name: str | Path | None) -> Path | None:
    return None if name is None else Path(name)


def _draw(built: Built, out: str | Path | None, model: Model | None, progress: Progress) -> Drawn:
    """The job's frames, in memory or in the file `out`, which is checked before the work."""
    job, sinks = built.job, Sinks()
    if out is not None:
        outputs = Outputs(out=Path(out))
        if outputs.stream:
            raise UsageError("out is a file", hint="without out the frames are returned")
        if job.audio and not outputs.holds_sound:
            job = job.model_copy(update={"audio": None})
        outputs.check(look_of(job.settings, job.audio, job.sound_from), job.count, read=built.read)
        sinks = FileSinks(outputs, built.read, warn=progress.warn)
    result = run(job, model or load(job.settings, progress), sinks, progress)
    return Drawn(job, sinks.frames, result.paths, result.told)
