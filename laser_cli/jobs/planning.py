"""Planning for jobs: who plans and within which limits, as commands ask for it and planners are asked."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from laser_cli.errors import UsageError
from laser_cli.jobs.fields import Frozen, Settings, setting
from laser_cli.jobs.playback import MOST_FRAMES
from laser_cli.jobs.progress import Progress
from laser_cli.plan.easing import Easing

if TYPE_CHECKING:
    import numpy as np

    from laser_cli.plan.request import PlanCallbacks, PlanRequest
    from laser_cli.plan.schema import Plan

PANEL = "Planning"
PlannerForm = Literal["lines", "full"]


class Captioning(Frozen):
    """Who says what pictures show that carry no prompt."""

    caption: str | None = setting(
        None,
        PANEL,
        "Who says what a picture without a prompt shows: storybook, or a model that sees, its mmproj file beside it. "
        "(default: the planner, if it sees)",
        env="LASER_CAPTION",
        metavar="storybook|FILE.gguf|hf:REPO|openai:URL",
    )


class PlannerChoice(Frozen):
    """Who plans, and how much of the machine a model may take for it."""

    planner: str | None = setting(
        None,
        PANEL,
        "Who plans: rules (default), storybook (embedded; default for its portraits), an instruct model FILE.gguf, or "
        "hf:REPO[:FILE] of the hub, or a server's openai:URL[#MODEL].",
        complete="planners",
    )
    planner_form: PlannerForm | None = setting(
        None, PANEL, "What a model fills in: lines (default), or full, with controls and faces, for large ones."
    )
    planner_timeout: float | None = setting(
        None, PANEL, "Seconds that a model may plan before the rules do. (default: 120)", ge=1, le=86400
    )
    planner_gpu_layers: str | None = setting(
        None, PANEL, "Layers of a model on the GPU. (default: auto, all)", metavar="auto|N"
    )


class Guiding(Captioning, PlannerChoice):
    """Who makes guides, and captions of the stops that are pictures."""


class Planning(Captioning, PlannerChoice):
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
        env="LASER_PLANNER_TIMEOUT",
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


class PlanSettings(Settings):
    """How a plan is laid out that nothing is drawn of yet."""

    frames: int = setting(24, None, "Pictures in all. (default: {default})", "--frames", "-n", ge=2, le=MOST_FRAMES)
    easing: Easing | None = setting(
        None, None, "Course of time within segments. (default: ease, or the model's choice)"
    )
    waypoints: bool = setting(
        True, None, "Cut far ways into near ones (default), day to night by way of sunset, or not."
    )


def request_for(choice: PlannerChoice, description: str, source: str | None, **more: Any) -> PlanRequest:
    """What to ask a planner for; limits that are None stay as they are by default.

    Numbers of keyframes and layers are texts, a number or auto; UsageError for any other.
    """
    from laser_cli.plan.request import MOST_KEYFRAMES, PlanRequest

    others = {"planner", "planner_form", "planner_timeout", "planner_gpu_layers", "caption"}
    limits = choice.model_dump(exclude=others) | more
    limits["keyframes"] = _count("--keyframes", limits.get("keyframes"), 1, MOST_KEYFRAMES)
    limits["layers"] = _count("--planner-gpu-layers", choice.planner_gpu_layers, 0, 10_000)
    limits["timeout"], limits["form"] = choice.planner_timeout, choice.planner_form
    given = {key: value for key, value in limits.items() if value is not None}
    return PlanRequest(" ".join(description.split()), " ".join((source or "").split()) or None, **given)


def shown_words(
    choice: Planning, given: str | None, image: Path | None, progress: Progress, verbose: bool = False
) -> str | None:
    """What the picture of an animation shows: as given, else from its metadata, else as captioner or planner see it.

    None where nobody tells. Raises as ``make_caption`` for a captioner that was named; a planner that gives no caption
    is only told of.
    """
    from laser_cli.errors import BadInputError
    from laser_cli.output.pictures import read_picture
    from laser_cli.output.prompts import picture_prompt
    from laser_cli.plan.planners import sees

    if given is not None or image is None or (given := picture_prompt(image)) is not None:
        return given
    if choice.caption is not None:
        return captioned(choice.caption, choice, read_picture(image), image.name, progress, verbose)
    if not sees(choice.planner):
        return None
    try:
        return captioned(str(choice.planner), choice, read_picture(image), image.name, progress, verbose)
    except BadInputError as error:
        progress.warn(f"{error.what}: {error.why}")
        return None


def captioned(
    name: str, choice: Captioning, picture: np.ndarray, shown: str, progress: Progress, verbose: bool = False
) -> str:
    """The caption of a picture by a planner that sees, which is told; `shown` is what messages call the picture."""
    from laser_cli.plan.planners import make_caption
    from laser_cli.plan.request import PlanRequest

    limits = request_for(choice, "", None) if isinstance(choice, PlannerChoice) else PlanRequest("")
    caption = make_caption(name, picture, limits, callbacks_of(progress, verbose))
    progress.note(f"{shown} carries no prompt; seen by {name}: {caption}")
    return caption


def callbacks_of(progress: Progress, verbose: bool = False, explain: bool = False) -> PlanCallbacks:
    """What a planner does, as the progress tells it."""
    from laser_cli.plan.request import PlanCallbacks

    def nothing(*_: object) -> None:
        pass

    def speed(tokens: int, seconds: float) -> None:
        rate = f", {tokens / seconds:.1f} a second" if seconds else ""
        progress.note(f"planner: {tokens} tokens in {seconds:.1f} s{rate}")

    return PlanCallbacks(progress.note, progress.note if explain else nothing, speed if verbose else nothing)


def planners_beside(choice: PlannerChoice) -> dict[str, Callable[[str, str | None], Plan]]:
    """The rules and the planner asked for, by what a table calls them; the embedded one, where it is there, if None.

    They plan as the commands do, but a model's call fails with NoPlan where the rules would stand in for it.
    """
    from laser_cli.plan.planners import find_planner

    chosen = choice.planner or ("storybook" if find_planner("storybook").available() else "rules")
    find_planner(chosen)
    names = {"rules": "rules", chosen if chosen.startswith("hf:") else Path(chosen).name: chosen}
    return {shown: _alone(name, choice) for shown, name in names.items()}


def _alone(name: str, choice: PlannerChoice) -> Callable[[str, str | None], Plan]:
    """A planner as a function, without notes, intermediate keyframes and substitute."""
    from laser_cli.measure.planners import NoPlan
    from laser_cli.plan.planners import make_plan

    def plan(description: str, source: str | None) -> Plan:
        made = make_plan(name, request_for(choice, description, source), intermediate=False).plan
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
