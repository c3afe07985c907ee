"""Planning for jobs: who plans and within which limits, and the plan or the guides that it makes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from laser_cli.errors import NotFoundError, UsageError
from laser_cli.jobs.progress import SILENT, Progress
from laser_cli.jobs.settings import Frozen, setting
from laser_cli.plan.llm.find import EMBEDDED

if TYPE_CHECKING:
    from laser_cli.plan.guide import Guide
    from laser_cli.plan.llm.asked import Asked
    from laser_cli.plan.llm.converse import Watcher
    from laser_cli.plan.rules import Planned
    from laser_cli.plan.schema import Plan

PANEL = "Planning"
RULES, STORYBOOK = "rules", "storybook"
_KNOWN = "rules (default), storybook (embedded; default for its portraits)" if EMBEDDED.is_file() else "rules (default)"


class PlannerChoice(Frozen):
    """Who plans, and how much of the machine a model may take for it."""

    planner: str | None = setting(
        None,
        PANEL,
        f"Who plans: {_KNOWN}, an instruct model FILE.gguf, or hf:REPO[:FILE] of the hub.",
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


def asked_for(choice: PlannerChoice, description: str, source: str | None, **more: Any) -> Asked:
    """What to ask a planner for; limits that are None stay as they are by default.

    Numbers of keyframes and layers are texts, a number or auto; UsageError for any other.
    """
    from laser_cli.plan.llm.asked import MOST_KEYFRAMES, Asked

    limits = choice.model_dump(exclude={"planner", "planner_timeout", "planner_gpu_layers"}) | more
    limits["keyframes"] = _count("--keyframes", limits.get("keyframes"), 1, MOST_KEYFRAMES)
    limits["layers"] = _count("--planner-gpu-layers", choice.planner_gpu_layers, 0, 10_000)
    limits["timeout"] = choice.planner_timeout
    given = {key: value for key, value in limits.items() if value is not None}
    return Asked(" ".join(description.split()), " ".join((source or "").split()) or None, **given)


def make_plan(
    planner: str | None,
    asked: Asked,
    progress: Progress = SILENT,
    *,
    waypoints: bool = True,
    verbose: bool = False,
    explain: bool = False,
) -> Planned:
    """The plan of `rules`, `storybook`, `FILE.gguf` or `hf:REPO[:FILE]`; NotFoundError for any other planner.

    None is the rules, and `storybook` for a portrait of its world. Waypoints are left out where a number of keyframes
    is asked for.
    """
    from laser_cli.plan.llm.embedded import at_home, plan_by_embedded
    from laser_cli.plan.llm.planner import plan_by_model
    from laser_cli.plan.waypoints import with_waypoints

    name = named(planner)
    if planner is None and at_home(asked):
        name = STORYBOOK
        progress.note("a storybook portrait: planned by storybook (--planner rules does without)")
    watcher = _watcher(progress, verbose, explain)
    if name == RULES:
        made = _by_rules(progress, asked, explain)
    elif name == STORYBOOK:
        made = plan_by_embedded(asked, watcher)
    else:
        made = plan_by_model(name, asked, watcher)
    if asked.keyframes is not None or not waypoints:
        return made
    return made._replace(plan=with_waypoints(made.plan))


def make_guides(
    planner: str | None,
    pairs: Sequence[tuple[str, str]],
    limits: Asked,
    progress: Progress = SILENT,
    *,
    verbose: bool = False,
) -> list[Guide]:
    """A guide for each pair of prompts by the same planners, with the same errors; ``limits`` bounds models.

    The embedded planner knows of changes only: the rules, which know its world's words, make its guides.
    """
    from laser_cli.plan.guide import guide_by_rules
    from laser_cli.plan.llm.embedded import EMBEDDED, world_of
    from laser_cli.plan.llm.guide import guides_by_model

    name = named(planner)
    if name not in (RULES, STORYBOOK):
        return guides_by_model(name, pairs, limits, _watcher(progress, verbose, False))
    if name == STORYBOOK:
        world_of(EMBEDDED)
        progress.note("the storybook planner plans changes only: the rules make the guide")
    return [guide_by_rules(a, b) for a, b in pairs]


def planners_beside(choice: PlannerChoice) -> dict[str, Callable[[str, str | None], Plan]]:
    """The rules and the planner asked for, by what a table calls them; the embedded one, where it is there, if None.

    They plan as the commands do, but a model's call fails with NoPlan where the rules would stand in for it.
    """
    names = {RULES: RULES}
    chosen = named(choice.planner or (STORYBOOK if EMBEDDED.is_file() else None))
    names[chosen if chosen.startswith("hf:") else Path(chosen).name] = chosen
    return {shown: _alone(name, choice) for shown, name in names.items()}


def _alone(name: str, choice: PlannerChoice) -> Callable[[str, str | None], Plan]:
    """A planner as a function, without console, waypoints and substitute."""
    from laser_cli.measure.planners import NoPlan

    def plan(description: str, source: str | None) -> Plan:
        made = make_plan(name, asked_for(choice, description, source), waypoints=False).plan
        if made.planner.instead_of:
            raise NoPlan(f"{name} gave no plan", why=made.planner.instead_of)
        return made

    return plan


def named(planner: str | None) -> str:
    """The planner's name, rules if none is given; NotFoundError for one that cannot be any."""
    from laser_cli.plan.llm.find import HINT, is_model

    name = planner or RULES
    if name in (RULES, STORYBOOK) or is_model(name) or Path(name).is_file():
        return name
    raise NotFoundError(f"there is no planner {name!r}", hint=HINT)


def _count(option: str, text: str | None, least: int, most: int) -> int | None:
    if text is None or text == "auto":
        return None
    if text.isascii() and text.isdecimal() and len(text) < 9 and least <= int(text) <= most:
        return int(text)
    raise UsageError(f"{option} {text!r}", why=f"it takes auto, or a number from {least} to {most}")


def _watcher(progress: Progress, verbose: bool, explain: bool) -> Watcher:
    """What a model does, as the progress tells it."""
    from laser_cli.plan.llm.converse import Watcher

    def nothing(*_: object) -> None:
        pass

    def speed(pieces: int, seconds: float) -> None:
        rate = f", {pieces / seconds:.1f} a second" if seconds else ""
        progress.note(f"planner: {pieces} tokens in {seconds:.1f} s{rate}")

    return Watcher(progress.note, progress.note if explain else nothing, speed if verbose else nothing)


def _by_rules(progress: Progress, asked: Asked, explain: bool) -> Planned:
    from laser_cli.plan.rules import plan_by_rules

    made = plan_by_rules(asked.description, asked.source, asked.frames, asked.easing or "ease")
    if explain:
        for line in _reading(asked.description, made.plan.prompts):
            progress.note(line)
    found = len(made.plan.segments)
    if asked.keyframes not in (None, found):
        note = f"the rules make a keyframe of every change they find: {found}, not {asked.keyframes}"
        return made._replace(notes=(*made.notes, note))
    return made


def _reading(description: str, prompts: tuple[str, ...]) -> Iterator[str]:
    """How the rules read a description, stage by stage."""
    from laser_cli.plan.stages import read_stage, split_stages

    after = None
    for number, (stage, prompt) in enumerate(zip(split_stages(description), prompts, strict=False), 1):
        clauses, left = read_stage(stage, prompt, after)
        yield f"stage {number}: {stage}"
        for clause in clauses:
            settled = "".join(f", {kind} {phrase or 'ends'}" for kind, phrase in clause.settled)
            yield f"  {clause.who or 'the picture'}: {clause.how} {clause.what}".rstrip() + settled
            after = clause
        if left:
            yield f"  not understood: {left}"
