"""Planning for jobs: who plans and within which limits, and the plan or the guides that it makes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from laser_cli.errors import UsageError
from laser_cli.jobs.progress import SILENT, Progress
from laser_cli.jobs.settings import Frozen, setting

if TYPE_CHECKING:
    from laser_cli.plan.guide import Guide
    from laser_cli.plan.request import PlanCallbacks, Planned, PlanRequest
    from laser_cli.plan.schema import Plan

PANEL = "Planning"


class PlannerChoice(Frozen):
    """Who plans, and how much of the machine a model may take for it."""

    planner: str | None = setting(
        None,
        PANEL,
        "Who plans: rules (default), storybook (embedded; default for its portraits), an instruct model FILE.gguf, or "
        "hf:REPO[:FILE] of the hub.",
        env="LASER_PLANNER",
    )
    planner_timeout: float | None = setting(
        None, PANEL, "Seconds that a model may plan before the rules do. (default: 120)", ge=1, le=86400
    )
    planner_gpu_layers: str | None = setting(
        None, PANEL, "Layers of a model on the GPU. (default: auto, all)", metavar="auto|N"
    )


class Planning(PlannerChoice):
    """Who plans an animation."""

    keyframes: str | None = setting(
        None, PANEL, "How many follow the picture, 1 to 6, without waypoints. (default: auto)", metavar="auto|N"
    )


class PlanningAlone(Planning):
    """Who plans where nothing is drawn."""

    planner_timeout: float | None = setting(
        None,
        PANEL,
        "Seconds that a model may take before the rules plan instead. (default: 120)",
        "--timeout",
        "--planner-timeout",
        ge=1,
        le=86400,
    )
    seed: int | None = setting(None, PANEL, "Of a model's choice of words. (default: 0)", ge=0)
    temperature: float | None = setting(
        None, PANEL, "Of a model's choice of words; 0 always takes the likeliest. (default: 0.25)", ge=0, le=2
    )
    retries: int | None = setting(
        None, PANEL, "How often a model is asked again if its plan cannot be used. (default: 2)", ge=0, le=10
    )


def asked_for(choice: PlannerChoice, description: str, source: str | None, **more: Any) -> PlanRequest:
    """What to ask a planner for; limits that are None stay as they are by default.

    Numbers of keyframes and layers are texts, a number or auto; UsageError for any other.
    """
    from laser_cli.plan.request import MOST_KEYFRAMES, PlanRequest

    limits = choice.model_dump(exclude={"planner", "planner_timeout", "planner_gpu_layers"}) | more
    limits["keyframes"] = _count("--keyframes", limits.get("keyframes"), 1, MOST_KEYFRAMES)
    limits["layers"] = _count("--planner-gpu-layers", choice.planner_gpu_layers, 0, 10_000)
    limits["timeout"] = choice.planner_timeout
    given = {key: value for key, value in limits.items() if value is not None}
    return PlanRequest(" ".join(description.split()), " ".join((source or "").split()) or None, **given)


def make_plan(
    planner: str | None,
    request: PlanRequest,
    progress: Progress = SILENT,
    *,
    waypoints: bool = True,
    verbose: bool = False,
    explain: bool = False,
) -> Planned:
    """A plan by the planner of that name (see ``plan.planners.make_plan``), told to the progress."""
    from laser_cli.plan import planners

    callbacks = _callbacks(progress, verbose, explain)
    return planners.make_plan(planner, request, callbacks, intermediate=waypoints)


def make_guides(
    planner: str | None,
    pairs: Sequence[tuple[str, str]],
    limits: PlanRequest,
    progress: Progress = SILENT,
    *,
    verbose: bool = False,
) -> list[Guide]:
    """A guide for each pair of prompts by the planner of that name, the rules if None; ``limits`` bounds models."""
    from laser_cli.plan import planners

    return planners.make_guides(planner, pairs, limits, _callbacks(progress, verbose, False))


def planners_beside(choice: PlannerChoice) -> dict[str, Callable[[str, str | None], Plan]]:
    """The rules and the planner asked for, by what a table calls them; all that this installation has, if None.

    They plan as the commands do, but a model's call fails with NoPlan where the rules would stand in for it.
    """
    from laser_cli.plan.planners import find_planner, names

    chosen = ["rules", choice.planner] if choice.planner else names()
    for name in chosen:
        find_planner(name)
    shown = {name if name.startswith("hf:") else Path(name).name: name for name in chosen}
    return {label: _alone(name, choice) for label, name in shown.items()}


def _alone(name: str, choice: PlannerChoice) -> Callable[[str, str | None], Plan]:
    """A planner as a function, without console, intermediate keyframes and substitute."""
    from laser_cli.measure.planners import NoPlan

    def plan(description: str, source: str | None) -> Plan:
        made = make_plan(name, asked_for(choice, description, source), waypoints=False).plan
        if made.planner.instead_of:
            raise NoPlan(f"{name} gave no plan", why=made.planner.instead_of)
        return made

    return plan


def _count(option: str, text: str | None, least: int, most: int) -> int | None:
    if text is None or text == "auto":
        return None
    if text.isascii() and text.isdecimal() and len(text) < 9 and least <= int(text) <= most:
        return int(text)
    raise UsageError(f"{option} {text!r}", why=f"it takes auto, or a number from {least} to {most}")


def _callbacks(progress: Progress, verbose: bool, explain: bool) -> PlanCallbacks:
    """What a planner does, as the progress tells it."""
    from laser_cli.plan.request import PlanCallbacks

    def speed(tokens: int, seconds: float) -> None:
        rate = f", {tokens / seconds:.1f} a second" if seconds else ""
        progress.note(f"planner: {tokens} tokens in {seconds:.1f} s{rate}")

    silent = PlanCallbacks()
    return PlanCallbacks(
        progress.note, progress.note if explain else silent.explain, speed if verbose else silent.speed
    )
