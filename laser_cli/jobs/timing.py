"""How long an animation will take: from what earlier runs took on this machine, else roughly from the model's size."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from laser_cli.errors import LaserError
from laser_cli.jobs.folders import cache_folder
from laser_cli.jobs.settings import FrameSettings

FORMAT = 1
STAGES = ("first_picture", "inversion", "rendering")
FADING = 0.5
"""How much of what was measured before counts beside the latest run. Runs weigh by their evaluations: a short one
changes little."""
MOST_KINDS = 100
OPERATIONS = 0.2
"""Operations of one evaluation for each parameter and each place of the latents: SD 1.5's 0.7 T at 64 x 64."""
SPEED = {"cuda": 2e13, "mps": 3e12, "cpu": 5e10}
"""Operations a second that are taken for granted: a middling card, a laptop's, one CPU core."""
START = 3.0
"""Seconds taken for granted until a model is loaded."""
LOCKED = 2.0
"""Seconds that a run waits for another to write its times."""

RUN_STAGES = {
    "loading": "loading",
    "first picture": "first_picture",
    "inversion": "inversion",
    "rendering and encoding": "rendering",
}
"""Stages as a run's progress names them, and as they are kept."""

Took = Mapping[str, tuple[int, float]]
"""Stage to (evaluations, seconds); `loading` has no evaluations."""


def kind_of(settings: FrameSettings, size: tuple[int, int]) -> str:
    """What runs of one speed have in common; `size` is (w, h) px."""
    return f"{settings.model} {settings.device} {settings.dtype} {size[0]}x{size[1]}"


def remember(kind: str, took: Took) -> None:
    """Keep what a run took for estimates to come; where that cannot be, it is not kept."""
    from filelock import FileLock, Timeout

    from laser_cli.output.atomic import staged

    folder = cache_folder()
    if folder is None:
        return
    # runs that end at the same moment wait for each other, but for no more than a blink
    with suppress(OSError, LaserError, Timeout, NotImplementedError):
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / "timing.json.lock", timeout=LOCKED), staged(folder / "timing.json") as made:
            kinds = _with_latest(kind, took)
            made.write_text(json.dumps({"version": FORMAT, "kinds": kinds}, indent=1), encoding="utf-8")


def remember_run(settings: FrameSettings, size: tuple[int, int], took: Took) -> None:
    """Keep what the stages of a run took, by the names that its progress has for them; `size` as of `kind_of`."""
    kept = {name: took[stage] for stage, name in RUN_STAGES.items() if stage in took}
    remember(kind_of(settings, size), {name: spent for name, spent in kept.items() if spent[0] or name == "loading"})


def _with_latest(kind: str, took: Took) -> dict[str, Any]:
    """All that is remembered, this run last."""
    known = _known()
    kept = known.pop(kind, {})
    for stage, (rows, seconds) in took.items():
        latest = {"runs": 1, "rows": rows, "seconds": seconds}
        past = kept.get(stage, {})
        kept[stage] = {key: FADING * past.get(key, 0.0) + value for key, value in latest.items()}
    known[kind] = kept
    return dict(list(known.items())[-MOST_KINDS:])


def estimate(kind: str, evaluations: Mapping[str, int]) -> float | None:
    """Seconds from loading the model to the last frame, as earlier runs of the kind had them; None without one."""
    past = _known().get(kind, {})
    rates = {stage: past[stage]["rows"] / past[stage]["seconds"] for stage in STAGES if _measured(past, stage)}
    if "rendering" not in rates or "loading" not in past:
        return None
    work = {stage: evaluations[stage] for stage in STAGES}
    work["rendering"] += evaluations["pacing"]
    # a stage that never ran here goes about as fast as rendering
    seconds = sum(rows / rates.get(stage, rates["rendering"]) for stage, rows in work.items())
    return past["loading"]["seconds"] / max(past["loading"]["runs"], 1) + seconds


def guess(parameters: int, places: int, device: str, evaluations: int) -> float:
    """Seconds without any measurement, right within some factor of five.

    `parameters` of the U-Net, `places`: height x width of the latents.
    """
    kind = device.split(":")[0]
    speed = SPEED.get(kind, SPEED["cpu"]) * ((os.cpu_count() or 1) if kind == "cpu" else 1)
    return START + evaluations * OPERATIONS * parameters * places / speed


def _measured(past: Mapping[str, Mapping[str, float]], stage: str) -> bool:
    return stage in past and past[stage]["rows"] >= 1 and past[stage]["seconds"] > 0


def _known() -> dict[str, dict[str, dict[str, float]]]:
    """What is remembered, by kind and stage; nothing where it is missing or damaged."""
    folder = cache_folder()
    if folder is None:
        return {}
    try:
        told: Any = json.loads((folder / "timing.json").read_text("utf-8"))
        if told["version"] != FORMAT:
            return {}
        numbers = ("runs", "rows", "seconds")
        return {
            str(kind): {str(stage): {name: _number(past[name]) for name in numbers} for stage, past in stages.items()}
            for kind, stages in told["kinds"].items()
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return {}


def _number(value: Any) -> float:
    if not isinstance(value, (int, float)) or not 0 <= value < 1e12:
        raise ValueError(f"{value!r} is no count and no time")
    return float(value)
